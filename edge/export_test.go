package edge

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/edge/cacheadmin"
	"nearcast/edge/store"
	"nearcast/internal/web/lane"
	"nearcast/internal/web/tlscert"
)

// Lane is how the node answers in the loops of its connections.
func (s *Server) Lane() lane.Handler { return hitLane{s} }

// Certificates are those in use.
func (s *Server) Certificates() *tlscert.Keeper { return s.certificates }

// WriteRecords writes lines as the access log does, each string at once, and registers the counter of those that are lost.
func WriteRecords(w io.Writer, registry *prometheus.Registry, lines ...string) {
	r := newRecorder("a file", "a node")
	registry.MustRegister(r.dropped)
	for _, l := range lines {
		r.write(w, []byte(l), slog.New(slog.DiscardHandler))
	}
}

// KeptFor is how much memory the lane keeps for a connection between two requests, in octets, without what it has for each, and
// how many fields of the last request.
func KeptFor(p *lane.Peer) (octets, fields int) {
	v, ok := p.Memo.(*visit)
	if !ok {
		return 0, 0
	}
	for _, value := range v.values[:cap(v.values)] {
		if value != "" {
			fields++
		}
	}
	return cap(v.key) + 16*cap(v.values) + len(v.accepted) + len(v.normal), fields + len(v.header)
}

// PreparePlaces prepares the index of where visitors are, and names it.
func (s *Server) PreparePlaces() any {
	s.preparePlaces()
	return s.places.Load()
}

// Fills returns how many fetches are under way.
func (s *Server) Fills() int { return s.fills.Running() }

// Stored is the fill level of the node's store.
func (s *Server) Stored() store.Stats { return s.store.Stats() }

// ShadowMemory is what shadow caches take.
func (s *Server) ShadowMemory() int64 { return s.shadows.Report().Memory }

// Sweep removes what has been purged, now, and reports how many objects that were and whether nothing was missed.
func (s *Server) Sweep(ctx context.Context) (removed int64, whole bool, err error) {
	done, err := s.sweep(ctx, 0)
	return done.Removed + done.Disk.Removed, done.Whole, err
}

// Operator is the node as the operator of its machine sees it.
func (s *Server) Operator() cacheadmin.Node { return operator{s} }

// Warm waits until all that is on disk is known.
func (s *Server) Warm() {
	if warm := s.tiers.Warm(); warm != nil {
		<-warm
	}
}

// SweepSoon has a node sweep at once after a purge.
func SweepSoon(cfg *Config) { cfg.sweepDelay = time.Millisecond }

// Pretend makes a node as busy as a test says, and leaves nothing to chance.
func Pretend(cfg *Config, measure func() cdn.NodeLoad, chance func() float64) {
	cfg.measure, cfg.chance = measure, chance
}

// Measure has the node measure itself at once.
func (s *Server) Measure() { s.measureNow() }

// Blind makes the store know of the slices of contents, but not give their octets, as a disk does that is too busy. It must be called before
// Run.
func (s *Server) Blind() { s.store = blind{s.store} }

type blind struct{ store.Store }

func (b blind) Get(l store.Lookup) (*store.Object, bool) {
	if strings.HasPrefix(string(l.Key), "\x00slice ") && !l.Head {
		return nil, true
	}
	return b.Store.Get(l)
}
