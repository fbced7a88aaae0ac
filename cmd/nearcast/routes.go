package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"nearcast/cdn"
	"nearcast/control/wire"
)

func newRoutes() *cobra.Command {
	var f operatorFlags
	var links bool
	q := wire.TableQuery{Only: "groups"}
	cmd := &cobra.Command{
		Use:   "routes",
		Short: "Show what is measured of the ways to visitors, between POPs and to origins",
		Long: `Show what is measured, as the route-quality service publishes it: for each group of visitors, the busiest first, how
much it asks for and its ways to the POPs that are worth considering; with --links the ways from POP to POP and to
origins. R50 is the middle round trip and R90 the one that one in ten exceeds, in milliseconds; N is the weight in
samples behind them, and where it is 0, nothing was measured and they are what is usual.`,
		Example: `  nearcast routes
  nearcast routes --group AS64500 --limit 10
  nearcast routes --links`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := f.connect()
			if err != nil {
				return err
			}
			if q.Limit < 0 {
				return cdn.Errorf(cdn.Invalid, "", "--limit %d: want a whole number from 0, which means all", q.Limit)
			}
			if links {
				q.Only = "links"
			}
			t, err := api.Table(cmd.Context(), q)
			if err != nil {
				return err
			}
			if f.output != "table" {
				return f.print(cmd.OutOrStdout(), t, nil)
			}
			return printRoutes(cmd, t, links)
		},
	}
	f.register(cmd)
	flags := cmd.Flags()
	flags.StringVar(&q.Group, "group", "", "only groups whose name has this `TEXT`")
	flags.BoolVar(&links, "links", false, "the ways from POP to POP and to origins")
	flags.IntVar(&q.Limit, "limit", 50, "most groups or links; 0 shows all")
	cmd.MarkFlagsMutuallyExclusive("group", "links")
	return cmd
}

func printRoutes(cmd *cobra.Command, t wire.Table, links bool) error {
	rows, shown, all, what := groupRows(t.Table), len(t.Table.Groups), t.Groups, "groups"
	if links {
		rows, shown, all, what = linkRows(t.Table), len(t.Table.Links), t.Links, "links"
	}
	if err := printTable(cmd.OutOrStdout(), rows); err != nil {
		return err
	}
	rest := ""
	if shown < all {
		rest = "; --limit 0 shows all"
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%d of %d %s, of version %d of the table, published %s ago%s\n",
		shown, all, what, t.Table.Version, ago(max(0, time.Since(t.Table.At).Seconds())), rest)
	return nil
}

// groupRows has a row for each path; a group without one has a row, too.
func groupRows(t *cdn.RouteTable) [][]string {
	rows := [][]string{{"GROUP", "ASKS", "REQUESTS", "POP", "R50", "R90", "LOSS", "FAILURES", "N", "AGE"}}
	for _, g := range t.Groups {
		head := []string{string(g.Name), bitRate(g.Octets), fmt.Sprintf("%.1f/s", g.Requests)}
		for i := range g.Paths {
			rows = append(rows, append(append(head, string(g.Paths[i].POP)), qualityCells(&g.Paths[i].Quality, t.At)...))
			head = []string{"", "", ""} // a group's name stands once
		}
		if len(g.Paths) == 0 {
			rows = append(rows, append(head, "-", "-", "-", "-", "-", "-", "-"))
		}
	}
	return rows
}

func linkRows(t *cdn.RouteTable) [][]string {
	rows := [][]string{{"FROM", "TO", "R50", "R90", "LOSS", "FAILURES", "N", "AGE"}}
	for _, l := range t.Links {
		rows = append(rows, append([]string{string(l.From), l.To}, qualityCells(&l.Quality, t.At)...))
	}
	return rows
}

// qualityCells are R50 to AGE; the age is by the clock of the one that measured and published.
func qualityCells(q *cdn.Quality, at time.Time) []string {
	age := -1.0
	if q.Measured > 0 {
		age = max(0, at.Sub(time.Unix(q.Measured, 0)).Seconds())
	}
	return []string{
		fmt.Sprintf("%.1f", q.R50), fmt.Sprintf("%.1f", q.R90), percent(float64(q.Loss)), percent(float64(q.Failures)), fmt.Sprintf("%.0f", q.N), ago(age),
	}
}
