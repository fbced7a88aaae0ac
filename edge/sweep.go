package edge

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"nearcast/cdn"
	"nearcast/edge/store"
	"nearcast/edge/store/purge"
	"nearcast/edge/store/tier"
)

// What has been purged is not served from then on; to free its room, and to forget the purges, the sweeper looks for it later. It begins a while
// after a purge, so that one pass is for several, reads heads on disk at a bounded rate, and rests most of the time.
const (
	sweepDelay = 10 * time.Second
	sweepRate  = 16 << 20 // octets in a second
	sweepRest  = 9        // times as long as a pass took
)

// sweeper removes what has been purged.
type sweeper struct {
	wake                    chan struct{} // of capacity one: there may be something to do
	passes, looked, removed atomic.Int64
	tables                  atomic.Pointer[tables] // of the pass under way; nil if there is none
	low                     atomic.Uint64          // what was purged later than this must be remembered, for what the pass has seen
	swept                   store.Epoch            // of the last pass that missed nothing; the sweeper's own
}

// poke says that there may be something to do.
func (w *sweeper) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// lower says that what was purged after an epoch must be remembered.
func (w *sweeper) lower(to store.Epoch) {
	for {
		low := w.low.Load()
		if uint64(to) >= low || w.low.CompareAndSwap(low, uint64(to)) {
			return
		}
	}
}

// alive reports whether an object that moves, or is asked for on disk, may live on. A pass of the sweeper might miss it then, and has to know of it.
func (s *Server) alive(o *store.Object) bool {
	if t := s.sweeper.tables.Load(); t != nil {
		return s.spared(t, o)
	}
	return s.purges.Judge(o) != purge.Gone
}

// spared reports whether an object is not gone. Purges that may come to count for it are remembered: soft ones, and those of whom the configuration
// of now does not know that they cover it, since it would store what was asked for elsewhere.
func (s *Server) spared(t *tables, o *store.Object) bool {
	switch s.purges.Judge(o) {
	case purge.Gone:
		return false
	case purge.Stale:
		s.sweeper.lower(o.Born)
	default:
		if !inner(o) && !t.reaches(o) {
			s.sweeper.lower(o.Born)
		}
	}
	return true
}

// inner reports whether an object is found through another one only.
func inner(o *store.Object) bool { return strings.HasPrefix(string(o.Key), "\x00") }

// targetOf returns what a stored object was asked for as.
func targetOf(o *store.Object) (cdn.Target, bool) {
	_, keyed, _ := strings.Cut(string(o.Key), " ")
	scheme, _, _ := strings.Cut(keyed, "://")
	slash := strings.IndexByte(o.URL, '/')
	if slash < 0 {
		return cdn.Target{}, false
	}
	target, err := cdn.NewTarget(scheme, cdn.Domain(o.URL[:slash]), o.URL[slash:])
	return target, err == nil
}

// reaches reports whether an object is stored where a request for its URL would look for it.
func (t *tables) reaches(o *store.Object) bool {
	target, ok := targetOf(o)
	if !ok {
		return false
	}
	keys, _ := t.keys(target)
	return slices.Contains(keys, o.Key)
}

// sweeping sweeps when there is something to do, until ctx ends.
func (s *Server) sweeping(ctx context.Context) {
	for {
		select {
		case <-s.sweeper.wake:
		case <-ctx.Done():
			return
		}
		if !rest(ctx, cmp.Or(s.cfg.sweepDelay, sweepDelay)) {
			return
		}
		begin := time.Now()
		if _, err := s.sweep(ctx, sweepRate); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "the search for what has been purged was broken off; the next purge begins it again", "error", err)
		}
		if !rest(ctx, sweepRest*time.Since(begin)) {
			return
		}
	}
}

// rest waits, and reports false if ctx has ended.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// sweep removes everything that is gone, and has the purges forgotten that have no more to say then.
func (s *Server) sweep(ctx context.Context, rate int64) (tier.Swept, error) {
	t := s.tables.Load()
	epoch := s.purges.Epoch()
	w := &s.sweeper
	if t == nil || !s.purges.Pending() || w.swept == epoch {
		return tier.Swept{}, nil
	}
	w.low.Store(math.MaxUint64)
	w.tables.Store(t)
	defer w.tables.Store(nil)
	done, err := s.tiers.Sweep(ctx, rate, func(o *store.Object) bool { return s.spared(t, o) })
	w.looked.Add(done.Looked + done.Disk.Looked)
	w.removed.Add(done.Removed + done.Disk.Removed)
	if err != nil {
		return done, err
	}
	w.passes.Add(1)
	if done.Whole && s.tables.Load() == t {
		s.purges.Swept(min(epoch, store.Epoch(w.low.Load())))
		w.swept = epoch
	}
	return done, nil
}
