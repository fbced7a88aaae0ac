package main

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"nearcast/cdn"
)

func newExplainRoute() *cobra.Command {
	var f operatorFlags
	var visitor, scheduler string
	cmd := &cobra.Command{
		Use:   "route NAME --client IP",
		Short: "Say which POP a visitor is sent to, and why",
		Long: `Say which POP a visitor is sent to who asks for a domain, and why: the group of visitors that it is in, the POPs
that were considered with what each costs in milliseconds and of what that is made, the share of the group that each
gets, and how old the measurements are.

One scheduler answers, the first that does; they all have the same map (see nearcast map). The question is not
counted as a visit.`,
		Example: `  nearcast explain route www.shop.example --client 203.0.113.7
  nearcast explain route www.shop.example --client 2001:db8::1 --scheduler core-2`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			api, err := f.connect()
			if err != nil {
				return err
			}
			e, err := api.Route(cmd.Context(), args[0], visitor, scheduler)
			if err != nil {
				return err
			}
			if f.output != "table" {
				return f.print(cmd.OutOrStdout(), e, nil)
			}
			return printRoute(cmd.OutOrStdout(), &e, time.Now())
		},
	}
	f.register(cmd)
	cmd.Flags().StringVar(&visitor, "client", "", "`IP` address of the visitor, or of a resolver that says nothing of its visitors")
	cmd.Flags().StringVar(&scheduler, "scheduler", "", "`NODE` whose scheduler is to say; any if empty")
	must(cmd.MarkFlagRequired("client"))
	return cmd
}

func printRoute(out io.Writer, e *cdn.RouteExplanation, now time.Time) error {
	answer := "none"
	if e.POP != "" {
		answer = fmt.Sprintf("%s: %s", e.POP, nodeList(e.Nodes))
	}
	policies := "none matches"
	if len(e.Policies) > 0 {
		policies = strings.Join(e.Policies, ", ")
	}
	rows := [][]string{
		{"name", string(e.Name)},
		{"site", orDash(string(e.Site))},
		{"client", e.Client},
		{"group", orDash(string(e.Group))},
		{"place", orDash(e.Place)},
		{"policies", policies},
		{"answer", answer},
		{"why", orDash(e.Reason)},
		{"scope", scopeOf(e.Client, e.Scope)},
		{"map", mapVersion(&e.Map, now) + by(e.Scheduler)},
		{"table", tableAge(e.TableAge)},
	}
	for _, a := range e.Alarms {
		rows = append(rows, []string{"alarm", a})
	}
	if err := printTable(out, rows); err != nil || len(e.Candidates) == 0 {
		return err
	}
	fmt.Fprintln(out)
	return printTable(out, candidateRows(e.Candidates))
}

func by(scheduler cdn.NodeName) string {
	if scheduler == "" {
		return ""
	}
	return ", of " + string(scheduler)
}

// scopeOf is the prefix for all of which the answer holds.
func scopeOf(client string, bits int) string {
	if addr, err := netip.ParseAddr(client); err == nil {
		if p, err := addr.Prefix(bits); err == nil {
			return p.String()
		}
	}
	return fmt.Sprintf("/%d", bits)
}

// mapVersion says which map it is.
func mapVersion(v *cdn.MapVersion, now time.Time) string {
	if v.Digest == "" {
		return "none yet: no route table has come"
	}
	return fmt.Sprintf("version %d, slot %d, step %d, digest %s, made %s ago", v.Version, v.Slot, v.Steps, shortDigest(v.Digest), ago(max(0, now.Sub(v.At).Seconds())))
}

func shortDigest(d string) string { return d[:min(len(d), 12)] }

func tableAge(seconds float64) string {
	if seconds < 0 {
		return "none"
	}
	return ago(seconds) + " old"
}

// candidateRows are the POPs with their costs. Terms that nobody has are left out.
func candidateRows(candidates []cdn.RouteCandidate) [][]string {
	var terms []string
	for _, t := range []string{"rtt", "jitter", "loss", "failures", "miss", "price", "policy"} {
		if slices.ContainsFunc(candidates, func(c cdn.RouteCandidate) bool { return termOf(&c, t) != 0 }) {
			terms = append(terms, t)
		}
	}
	head := []string{"POP", "COST"}
	for _, t := range terms {
		head = append(head, strings.ToUpper(t))
	}
	rows := [][]string{append(head, "SHARE", "STATE", "PLANNED", "LOAD", "N", "AGE", "WHY")}
	for i := range candidates {
		c := &candidates[i]
		row := []string{string(c.POP), fmt.Sprintf("%.1fms", c.Cost)}
		for _, t := range terms {
			row = append(row, fmt.Sprintf("%.1f", termOf(c, t)))
		}
		rows = append(rows, append(row, percent(c.Share), orDash(c.State), percent(c.Planned), percent(c.Load), fmt.Sprintf("%.0f", c.N), ago(c.Age), orDash(c.Why)))
	}
	return rows
}

// termOf is a term of the cost in milliseconds; zero if it has none.
func termOf(c *cdn.RouteCandidate, term string) (ms float64) {
	for _, t := range c.Terms {
		if t.Term == term {
			ms += t.MS
		}
	}
	return ms
}
