package pools

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"nearcast/loadtest/sim/trial"
	"nearcast/routequality/gossip"
)

// Result is what came of a simulation, or of several.
type Result struct {
	Kind   gossip.Kind `json:"kind"`
	Nodes  int         `json:"nodes"`
	Loss   float64     `json:"loss"`
	Starve float64     `json:"starve"`

	Seconds          float64      `json:"virtual_seconds"`
	OctetsPerSecond  float64      `json:"octets_per_node_second"`
	MostPerSecond    float64      `json:"octets_per_second_of_busiest_node"`
	CoresPerNode     float64      `json:"cores_per_node"`
	First            trial.Spread `json:"detected_by_first"`
	Every            trial.Spread `json:"detected_by_each"`
	Last             trial.Spread `json:"detected_by_all"`
	Missed           int          `json:"deaths_missed"`
	Accusations      float64      `json:"accusations"`
	FalseAny         int          `json:"false_removals"`
	FalseAll         int          `json:"false_removals_by_all"`
	FalsePerMonth    float64      `json:"false_removals_per_pool_month"`
	FalsePerMonthMax float64      `json:"false_removals_per_pool_month_95"`

	first, every, last []time.Duration
	octets, maxOctets  int64
	cpuSeconds         float64
}

// add counts another seed's result in.
func (r *Result) add(o *Result) {
	r.Seconds += o.Seconds
	r.octets += o.octets
	r.MostPerSecond = max(r.MostPerSecond, float64(o.maxOctets)/o.Seconds)
	r.cpuSeconds += o.cpuSeconds
	r.Missed += o.Missed
	r.Accusations += o.Accusations
	r.FalseAny += o.FalseAny
	r.FalseAll += o.FalseAll
	r.first, r.every, r.last = append(r.first, o.first...), append(r.every, o.every...), append(r.last, o.last...)
}

// finish computes what is printed: what depends on all seeds.
func (r *Result) finish() {
	perNode := r.Seconds * float64(r.Nodes)
	r.OctetsPerSecond, r.CoresPerNode = float64(r.octets)/perNode, r.cpuSeconds/perNode
	r.First, r.Every, r.Last = trial.SpreadOf(r.first), trial.SpreadOf(r.every), trial.SpreadOf(r.last)
	r.FalsePerMonth = float64(r.FalseAny) / r.Seconds * trial.Month
	r.FalsePerMonthMax = trial.UpperBound(r.FalseAny) / r.Seconds * trial.Month
}

// Print prints it as a table, or with the format json as an object.
func (r *Result) Print(out io.Writer, format string) error {
	if format == "json" {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		if err := e.Encode(r); err != nil {
			return fmt.Errorf("printing the result: %w", err)
		}
		return nil
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s pool of %d\tloss %.1f %%, starved %.0f %%, %.1f virtual hours\n", r.Kind, r.Nodes, 100*r.Loss, 100*r.Starve, r.Seconds/3600)
	fmt.Fprintf(t, "sent\t%.2f kB/s per node, %.2f by the busiest\n", r.OctetsPerSecond/1000, r.MostPerSecond/1000)
	fmt.Fprintf(t, "processor\t%.4f cores per node\n", r.CoresPerNode)
	for _, line := range []struct {
		what string
		s    trial.Spread
	}{{"a death is known to the first", r.First}, {"to each", r.Every}, {"to all", r.Last}} {
		fmt.Fprintf(t, "%s\tp50 %.2f s, p99 %.2f s, max %.2f s (%d)\n", line.what, line.s.P50, line.s.P99, line.s.Max, line.s.Count)
	}
	fmt.Fprintf(t, "deaths missed\t%d\n", r.Missed)
	fmt.Fprintf(t, "accusations\t%.0f, %.1f per pool and minute\n", r.Accusations, r.Accusations/r.Seconds*60)
	fmt.Fprintf(t, "false removals\t%d, %d of them by all; %.2f per pool and month, at most %.2f with 95 %% confidence\n",
		r.FalseAny, r.FalseAll, r.FalsePerMonth, r.FalsePerMonthMax)
	if err := t.Flush(); err != nil {
		return fmt.Errorf("printing the result: %w", err)
	}
	return nil
}
