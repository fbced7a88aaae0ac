package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"nearcast/cdn"
	"nearcast/control/wire"
)

func nodeList(names []cdn.NodeName) string {
	if len(names) == 0 {
		return "-"
	}
	var texts []string
	for _, n := range names {
		texts = append(texts, string(n))
	}
	return strings.Join(texts, ",")
}

func newNodes() *cobra.Command {
	var f operatorFlags
	cmd := &cobra.Command{
		Use:   "nodes",
		Short: "Show the nodes: where they are, how they are, what they run",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := f.connect()
			if err != nil {
				return err
			}
			nodes, err := api.Nodes(cmd.Context())
			if err != nil {
				return err
			}
			return f.print(cmd.OutOrStdout(), nodes, func() [][]string {
				rows := [][]string{{"NODE", "POP", "REGION", "TIER", "ADDRESS", "ROLES", "STATE", "GENERATION", "PURGED", "SEEN"}}
				for _, n := range nodes {
					rows = append(rows, nodeRow(n))
				}
				return rows
			})
		},
	}
	f.register(cmd)
	return cmd
}

func nodeRow(n wire.Node) []string {
	var roles, addrs []string
	for _, r := range n.Roles {
		roles = append(roles, string(r))
	}
	for _, a := range n.Addresses {
		addrs = append(addrs, a.String())
	}
	row := []string{
		string(n.Name), orDash(string(n.POP)), orDash(string(n.Region)), orDash(string(n.Tier)),
		strings.Join(addrs, ","), strings.Join(roles, ","), orDash(string(n.State)), "-", "-", "-",
	}
	if len(n.Reports) == 0 {
		return row
	}
	worst := n.Reports[0] // of the node's roles, the one that is behind
	for _, r := range n.Reports[1:] {
		worst.Generation = min(worst.Generation, r.Generation)
		worst.AgeSeconds = max(worst.AgeSeconds, r.AgeSeconds)
	}
	row[7], row[9] = fmt.Sprint(worst.Generation), fmt.Sprintf("%.0fs ago", worst.AgeSeconds)
	if r := n.Report(cdn.RoleEdge); r != nil {
		row[8] = fmt.Sprint(r.PurgeRevision)
	}
	return row
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func newStatus() *cobra.Command {
	var f operatorFlags
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the CDN at a glance",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := f.connect()
			if err != nil {
				return err
			}
			s, err := api.Status(cmd.Context())
			if err != nil {
				return err
			}
			return f.print(cmd.OutOrStdout(), s, func() [][]string {
				rows := [][]string{
					{"zone", string(s.Zone)},
					{"generation", fmt.Sprintf("%d, by %s at %s", s.Generation, orDash(s.By), s.At.Format("2006-01-02 15:04:05 MST"))},
					{"sites", fmt.Sprint(s.Sites)},
					{"cache nodes", fmt.Sprintf("%d, of which %d ready and %d lagging", s.Nodes.Total, s.Nodes.Ready, s.Nodes.Lagging)},
					{"purges", fmt.Sprint(s.PurgeHead)},
					{"version", s.Version},
				}
				if s.FleetRefused != "" {
					rows = append(rows, []string{"fleet file", "refused: " + s.FleetRefused})
				}
				if len(s.Drains) > 0 {
					rows = append(rows, []string{"draining", strings.Join(s.Drains, ", ")})
				}
				return rows
			})
		},
	}
	f.register(cmd)
	return cmd
}

func newExplain() *cobra.Command {
	var f operatorFlags
	var header []string
	cmd := &cobra.Command{
		Use:   "explain URL",
		Short: "Say what every node would do with a GET of a URL, and why",
		Long: `Say what every node would do with a GET of a URL at this moment: which site and route it belongs
to, the key under which its response is stored, what would be done and by which rule of which RFC. Nothing is
fetched, and nothing is remembered as used.

Which POP a visitor is sent to, and why, says: nearcast explain route NAME --client IP`,
		Example: `  nearcast explain http://www.shop.example/price.json
  nearcast explain http://www.shop.example/ -H "Accept-Language: de" -H "Cookie: tier=gold"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := f.connect()
			if err != nil {
				return err
			}
			e, err := api.Explain(cmd.Context(), args[0], header...)
			if err != nil {
				return err
			}
			if f.output != "table" {
				return f.print(cmd.OutOrStdout(), e, nil)
			}
			return explainTable(cmd, e)
		},
	}
	f.register(cmd)
	cmd.AddCommand(newExplainRoute())
	cmd.Flags().StringArrayVarP(&header, "header", "H", nil, `field of the request, "Name: value"; may be repeated`)
	return cmd
}

func explainTable(cmd *cobra.Command, e wire.Explanation) error {
	if e.Site == "" {
		fmt.Fprintf(cmd.OutOrStdout(), "%s\nno site has this domain: every node answers 404\n", e.URL)
		return nil
	}
	head := [][]string{
		{"url", e.URL}, {"site", string(e.Site)}, {"route", e.Route}, {"key", string(e.Key)}, {"cname", string(e.CNAME)},
	}
	if err := printTable(cmd.OutOrStdout(), head); err != nil {
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout())
	rows := [][]string{{"NODE", "TIER", "DECISION", "AGE", "TTL", "NEXT", "REASON"}}
	for _, n := range e.Nodes {
		x := n.Explanation
		if x == nil {
			rows = append(rows, []string{string(n.Node), "-", "no answer", "-", "-", "-", n.Error})
			continue
		}
		rows = append(rows, []string{
			string(n.Node), orDash(string(x.Tier)), x.Decision, fmt.Sprint(x.Age), fmt.Sprint(x.TTL), orDash(x.Next), reason(x),
		})
	}
	return printTable(cmd.OutOrStdout(), rows)
}

// reason is why a node decides as it does, with the rule behind it.
func reason(x *cdn.Explanation) string {
	if x.Section == "" {
		return orDash(x.Reason)
	}
	return x.Reason + " (" + x.Section + ")"
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the program's version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "nearcast", Version)
			return err
		},
	}
}
