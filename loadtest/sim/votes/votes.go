package votes

import (
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"nearcast/loadtest/sim/trial"
)

// Count is what is counted of a POP that lives.
type Count struct {
	Seconds      float64 `json:"virtual_seconds"`
	Probes       int     `json:"probes"`
	Misses       int     `json:"probes_missed"`
	Skipped      int     `json:"probes_skipped"` // the voter stood still
	Doubts       int     `json:"doubts"`         // how often one voter has come to think that the POP is dead
	MostDoubting int     `json:"most_doubting"`  // at the same time
	Removals     int     `json:"false_removals"` // how often the server has come to think so
}

// Result is what came of a simulation.
type Result struct {
	Loss   float64 `json:"loss"`
	Starve float64 `json:"starve"`
	Count
	PerMonth    float64      `json:"false_removals_per_pop_month"`
	PerMonthMax float64      `json:"false_removals_per_pop_month_95"` // with 95 % confidence it is less
	Detected    trial.Spread `json:"detected"`                        // from a POP's death until the server knows
	Published   trial.Spread `json:"published"`                       // until a scheduler has been told
}

// Run lets the POP of each seed live for a time, and then kills so many others. Seeds run on all processors.
func Run(o Options, first uint64, seeds int, long time.Duration, kills int) (*Result, error) {
	r := &Result{Loss: o.Loss, Starve: o.Starving.Share}
	counts := make([]Count, seeds)
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range seeds {
		group.Go(func() (err error) {
			counts[i], err = live(o, first+uint64(i), long) //nolint:gosec // an index
			return err
		})
	}
	detected, published := make([]time.Duration, kills), make([]time.Duration, kills)
	for i := range kills {
		group.Go(func() (err error) {
			detected[i], published[i], err = die(o, first+uint64(i)) //nolint:gosec // an index
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("simulating votes: %w", err)
	}
	for i := range counts {
		r.add(&counts[i])
	}
	if r.Seconds > 0 {
		r.PerMonth = float64(r.Removals) / r.Seconds * trial.Month
		r.PerMonthMax = trial.UpperBound(r.Removals) / r.Seconds * trial.Month
	}
	r.Detected, r.Published = trial.SpreadOf(detected), trial.SpreadOf(published)
	return r, nil
}

func (c *Count) add(o *Count) {
	c.Seconds += o.Seconds
	c.Probes += o.Probes
	c.Misses += o.Misses
	c.Skipped += o.Skipped
	c.Doubts += o.Doubts
	c.MostDoubting = max(c.MostDoubting, o.MostDoubting)
	c.Removals += o.Removals
}

// live watches a POP that lives.
func live(o Options, seed uint64, long time.Duration) (Count, error) {
	w := newWorld(o, seed)
	_, err := w.until(long, nil)
	w.count.Seconds = long.Seconds()
	return w.count, err
}

const (
	killFrom = 20 * time.Second // by then it is known to be up
	patience = time.Minute      // with a death
)

// die returns how long it takes until the server knows that a POP has died, and until a scheduler does.
func die(o Options, seed uint64) (detected, published time.Duration, err error) {
	w := newWorld(o, seed)
	chance := rand.New(rand.NewPCG(seed, 0xdead)) //nolint:gosec // not a secret
	w.killed = killFrom + time.Duration(chance.Int64N(int64(time.Second)))
	if _, err := w.until(w.killed, nil); err != nil {
		return 0, 0, err
	}
	at, err := w.until(w.killed+patience, func() bool { return w.down })
	if err == nil && !w.down {
		err = fmt.Errorf("seed %d: a minute after its death the POP counts as up", seed)
	}
	return at - w.killed, at + w.carried(w.toScheduler) - w.killed, err
}

// Print prints a line for each result.
func Print(out io.Writer, results []*Result) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "loss\tstarved\tPOP months\tprobes missed\tskipped\tdoubts of one voter /month\tmost doubting of 4\tfalse removals\tper POP and month\tat most (95 %)\tdeath known p50, p99 s\tpublished p50, p99 s\t")
	for _, r := range results {
		months := r.Seconds / trial.Month
		fmt.Fprintf(t, "%.0f %%\t%.0f %%\t%.3g\t%.4f %%\t%.4f %%\t%.1f\t%d\t%d\t%.2f\t%.2f\t%.2f, %.2f\t%.2f, %.2f\t\n", 100*r.Loss, 100*r.Starve, months,
			100*float64(r.Misses)/float64(r.Probes), 100*float64(r.Skipped)/float64(r.Probes), float64(r.Doubts)/months, r.MostDoubting,
			r.Removals, r.PerMonth, r.PerMonthMax, r.Detected.P50, r.Detected.P99, r.Published.P50, r.Published.P99)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("printing the results: %w", err)
	}
	return nil
}
