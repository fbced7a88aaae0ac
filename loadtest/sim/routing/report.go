package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// table prints a line for each controller: the mean of all seeds and, in brackets, the worst.
func table(out io.Writer, o options, results []result) error {
	if _, err := fmt.Fprintf(out, "scenario %s, %d POPs, %d nodes, %d seeds; mean of the seeds (worst)\n\n", o.scenario, o.pops, o.nodes, o.seeds); err != nil {
		return fmt.Errorf("printing the table: %w", err)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "controller\tregret ms\t> 10 ms off\ton overloaded POPs\tchurn /min\tsent to the dead POP\ton the lossy POP\tout of the map s\tfailed over s\t")
	for _, name := range controllerNames() {
		var mine []result
		for _, r := range results {
			if r.Controller == name {
				mine = append(mine, r)
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", name,
			column(mine, "%.2f", 1, func(r result) float64 { return r.Regret }),
			column(mine, "%.2f %%", 100, func(r result) float64 { return r.Far }),
			column(mine, "%.3f %%", 100, func(r result) float64 { return r.Overload }),
			column(mine, "%.1f %%", 100, func(r result) float64 { return r.Churn }),
			column(mine, "%.3f %%", 100, func(r result) float64 { return r.score.dead / r.score.total }),
			column(mine, "%.3f %%", 100, func(r result) float64 { return r.score.lossy / r.score.total }),
			column(mine, "%.0f", 1, func(r result) float64 { return float64(r.score.detected) }),
			column(mine, "%.0f", 1, func(r result) float64 { return float64(r.score.failedOver) }))
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("printing the table: %w", err)
	}
	return notes(out, o, results)
}

// column prints the mean and the worst of what a function says, or a dash if it never happened.
func column(results []result, format string, unit float64, of func(result) float64) string {
	sum, worst := 0.0, 0.0
	for _, r := range results {
		if of(r) < 0 {
			return "-"
		}
		sum += of(r)
		worst = max(worst, of(r))
	}
	return fmt.Sprintf(format+" ("+format+")", unit*sum/float64(len(results)), unit*worst)
}

// notes prints what nearcast has not believed, and that several schedulers had the same maps: if not, nothing would be printed.
func notes(out io.Writer, o options, results []result) error {
	frozen, refused, clocks, maps := 0, uint64(0), 0, 0
	for _, r := range results {
		frozen += r.score.frozen
		refused += r.score.refused
		clocks += r.score.clocks
		maps += r.score.maps
	}
	if _, err := fmt.Fprintf(out, "\nnearcast: %d steps with a frozen map, %d samples refused, %d clocks of POPs wrong\n", frozen, refused, clocks); err != nil {
		return fmt.Errorf("printing the table: %w", err)
	}
	if o.schedulers > 1 {
		if _, err := fmt.Fprintf(out, "%d schedulers, each told in an order of its own: the digests of %d maps are the same\n", o.schedulers, maps); err != nil {
			return fmt.Errorf("printing the table: %w", err)
		}
	}
	return nil
}
