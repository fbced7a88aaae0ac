package peers

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
)

// interval is how often maps are compared.
const interval = time.Second

// Peer is another scheduler.
type Peer interface {
	// Versions are its newest maps, the newest last.
	Versions(ctx context.Context) ([]cdn.MapVersion, error)
	// State is what can be gone on from.
	State(ctx context.Context) ([]byte, error)
	// URL says where it is.
	URL() string
}

// Scheduler is this one.
type Scheduler interface {
	// Versions are its newest maps, the newest last.
	Versions() []cdn.MapVersion
	// Adopt goes on from the state of another.
	Adopt(state []byte) error
}

// Config says who is to agree.
type Config struct {
	// Self is this scheduler. Required.
	Self Scheduler
	// Before reports whether this scheduler's name comes before that of the peer of an index. Required.
	Before func(peer int) bool
	// Peers are the others.
	Peers []Peer
	// Log gets what is taken over. Required.
	Log *slog.Logger
	// Registry gets the metrics. Required.
	Registry *prometheus.Registry
}

// Keeper compares and takes over.
type Keeper struct {
	cfg       Config
	differing prometheus.Gauge
	adopted   *prometheus.CounterVec

	tries int // in a row to take over a state
	rest  int // comparisons until the next one
}

// mostRest is the most comparisons between two tries: a state can have 90 MB, and its owner makes no map while it writes it.
const mostRest = 63

// New returns a keeper that has not compared yet.
func New(cfg Config) *Keeper {
	k := &Keeper{
		cfg: cfg,
		differing: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "nearcast_scheduler_peers_differing",
			Help: "Other schedulers whose map of the same route table is another one.",
		}),
		adopted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nearcast_scheduler_states_adopted_total",
			Help: "States of other schedulers that this one was to take over, by result.",
		}, []string{"result"}),
	}
	cfg.Registry.MustRegister(k.differing, k.adopted)
	return k
}

// Run compares once a second, until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		k.Compare(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Compare asks every peer for its maps, and takes over the state of one if it has to: again and again if that does not help, but less and
// less often. What cannot be reached is left out. It is not for concurrent use.
func (k *Keeper) Compare(ctx context.Context) {
	theirs := k.ask(ctx)
	mine := k.cfg.Self.Versions()
	differing, best, most := 0, -1, steps(mine)
	for i, versions := range theirs {
		if !differ(mine, versions) {
			continue
		}
		differing++
		n := steps(versions)
		if n > most || n == most && best < 0 && !k.cfg.Before(i) {
			best, most = i, n
		}
	}
	k.differing.Set(float64(differing))
	switch {
	case best < 0:
		k.tries, k.rest = 0, 0
	case k.rest > 0:
		k.rest--
	default:
		k.rest = min(1<<k.tries-1, mostRest)
		k.tries = min(k.tries+1, 16)
		k.adopt(ctx, k.cfg.Peers[best], most)
	}
}

// ask asks all at the same time; nil is no answer.
func (k *Keeper) ask(ctx context.Context) [][]cdn.MapVersion {
	ctx, cancel := context.WithTimeout(ctx, interval)
	defer cancel()
	theirs := make([][]cdn.MapVersion, len(k.cfg.Peers))
	var wg sync.WaitGroup
	for i, p := range k.cfg.Peers {
		wg.Go(func() {
			versions, err := p.Versions(ctx)
			if err != nil {
				k.cfg.Log.DebugContext(ctx, "asking another scheduler for its maps", "url", p.URL(), "error", err)
				return
			}
			theirs[i] = versions
		})
	}
	wg.Wait()
	return theirs
}

func (k *Keeper) adopt(ctx context.Context, from Peer, steps uint64) {
	state, err := from.State(ctx)
	if err == nil {
		err = k.cfg.Self.Adopt(state)
	}
	if err != nil {
		k.adopted.WithLabelValues("failed").Inc()
		k.cfg.Log.WarnContext(ctx, "another scheduler's map differs and its state cannot be taken over", "url", from.URL(), "error", err)
		return
	}
	k.adopted.WithLabelValues("ok").Inc()
	k.cfg.Log.InfoContext(ctx, "another scheduler's map differs and its state is taken over, since it has seen more", "url", from.URL(), "steps", steps)
}

// steps is how much a scheduler has seen.
func steps(versions []cdn.MapVersion) uint64 {
	if len(versions) == 0 {
		return 0
	}
	return versions[len(versions)-1].Steps
}

// differ reports whether two schedulers have made different maps of the newest route table that both have seen, for the same configuration: who has
// a newer one must not fall back to the map for an older. Who has made none differs from everybody who has.
func differ(mine, theirs []cdn.MapVersion) bool {
	if len(mine) == 0 || len(theirs) == 0 {
		return len(theirs) > 0
	}
	for _, m := range slices.Backward(mine) {
		for _, t := range slices.Backward(theirs) {
			if m.Epoch == t.Epoch && m.Version == t.Version {
				return m.Digest != t.Digest && m.Generation == t.Generation
			}
		}
	}
	return false
}
