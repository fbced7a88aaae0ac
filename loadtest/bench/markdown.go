package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

const head = `# Performance

What a cache hit costs, beside other caches in the same run. This page is written by

    make bench

from [performance.json](performance.json); what is written by hand is kept in performance.notes.md and follows the tables.
How it is measured, and how to read it: ` + "`go doc ./loadtest/bench`" + `. In short: processor time per request of the server's whole tree of processes, every
server pinned to one core, load on another, medians of interleaved rounds. The edge logs every access and keeps its metrics; the peers log nothing.
Only ratios within this run mean anything: the figures themselves are this machine's, on that day.

`

// markdown returns the page.
func (r *report) markdown(notes string) string {
	var b strings.Builder
	b.WriteString(head)
	fmt.Fprintf(&b, "| | |\n|---|---|\n| date | %s |\n| machine | %s, %d cores, %s |\n", r.Date.Format(time.DateTime+" UTC"), r.Machine.CPU, r.Machine.Cores, r.Machine.Kernel)
	var versions []string
	for _, v := range r.Versions {
		versions = append(versions, v.Name+" "+v.Version)
	}
	fmt.Fprintf(&b, "| versions | %s |\n| command | `%s` |\n| rounds | %d of about %d s |\n", strings.Join(versions, ", "), r.Command, r.Rounds, r.Seconds)
	for _, line := range r.Missing {
		fmt.Fprintf(&b, "| missing | %s |\n", line)
	}
	r.costs(&b)
	r.rates(&b)
	r.remarks(&b)
	if notes = strings.TrimSpace(notes); notes != "" {
		b.WriteString("\n" + notes + "\n")
	}
	return b.String()
}

// costs is the table with the limits.
func (r *report) costs(b *strings.Builder) {
	names := r.names()
	b.WriteString("\n## Cost and limits\n\n")
	if len(r.Rows) == 0 {
		b.WriteString("Nothing was measured.\n")
		return
	}
	fmt.Fprintf(b, "A ratio is the edge's figure to that of the one that the limit names, else to that of the best peer.\n\n"+
		"| | unit | %s | best peer | ratio | limit | holds |\n|---|---|%s---|---|---|---|\n", strings.Join(names, " | "), strings.Repeat("---|", len(names)))
	for _, w := range r.Rows {
		v := w.verdict()
		ratio, holds := "", ""
		if v.ratio > 0 {
			ratio = fmt.Sprintf("%.2f", v.ratio)
		}
		if v.asked {
			holds = map[bool]string{true: "yes", false: "**no**"}[v.holds]
		}
		fmt.Fprintf(b, "| %s | %s |", w.Title, w.Unit)
		for _, name := range names {
			fmt.Fprintf(b, " %s |", w.cell(name, name == edgeName))
		}
		fmt.Fprintf(b, " %s | %s | %s | %s |\n", v.best, ratio, w.Limit, holds)
	}
}

// find returns a server's part of the row.
func (w row) find(name string) (result, bool) {
	for _, r := range w.Results {
		if r.Server == name {
			return r, true
		}
	}
	return result{}, false
}

func (w row) cell(name string, strong bool) string {
	r, ok := w.find(name)
	switch {
	case !ok:
		return ""
	case strong:
		return "**" + figure(r.Value) + "**"
	}
	return figure(r.Value)
}

// figure writes three digits that mean something.
func figure(v float64) string {
	switch {
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// String writes a limit as the table does.
func (l limit) String() string {
	switch {
	case l.Max > 0:
		return "<= " + figure(l.Max)
	case l.Ratio > 0:
		return fmt.Sprintf("<= %.2f x %s", l.Ratio, cmp.Or(l.Of, bestPeer))
	}
	return "shown"
}

// rates is the table of what is shown beside the costs.
func (r *report) rates(b *strings.Builder) {
	names := r.names()
	var lines strings.Builder
	for _, w := range r.Rows {
		if !slices.ContainsFunc(w.Results, func(r result) bool { return r.Rate > 0 }) {
			continue
		}
		lines.WriteString("| " + w.Title + " |")
		for _, name := range names {
			if one, ok := w.find(name); ok && one.Rate > 0 {
				fmt.Fprintf(&lines, " %.0f/s, %s, %s", one.Rate, millis(one.P50), millis(one.P99))
			}
			lines.WriteString(" |")
		}
		lines.WriteString("\n")
	}
	if lines.Len() == 0 {
		return
	}
	fmt.Fprintf(b, "\n## Rate and latency\n\nPer second, 50th and 99th percentile of the latency in ms, at saturation: of the slower of server and load.\n\n"+
		"| | %s |\n|---|%s\n%s", strings.Join(names, " | "), strings.Repeat("---|", len(names)), &lines)
}

func millis(us float64) string { return fmt.Sprintf("%.2f", us/1000) }

// remarks says what makes a figure doubtful.
func (r *report) remarks(b *strings.Builder) {
	lines := append([]string(nil), r.Remarks...)
	for _, w := range r.Rows {
		for _, one := range w.Results {
			if one.Bad > 0 {
				lines = append(lines, fmt.Sprintf("%s, %s: %d responses were errors or did not come.", w.Title, one.Server, one.Bad))
			}
			if one.Origin > 0 {
				lines = append(lines, fmt.Sprintf("%s, %s: the origin was asked %d times.", w.Title, one.Server, one.Origin))
			}
			if one.Remark != "" {
				lines = append(lines, fmt.Sprintf("%s, %s: %s.", w.Title, one.Server, strings.TrimSuffix(one.Remark, ".")))
			}
		}
	}
	if len(lines) == 0 {
		return
	}
	b.WriteString("\n## Remarks of the program\n\n")
	for _, line := range lines {
		b.WriteString("* " + line + "\n")
	}
}
