package edge

import (
	"context"
	"sync"

	"nearcast/cdn"
	"nearcast/edge/store"
	"nearcast/edge/store/purge"
)

// revision is the newest purge that is applied; it only grows.
type revision struct {
	mu      sync.Mutex // guards the following
	value   cdn.Revision
	changed chan struct{} // closed at the next growth; nil if nobody waits
}

func (r *revision) load() cdn.Revision {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.value
}

func (r *revision) raise(to cdn.Revision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if to <= r.value {
		return
	}
	r.value = to
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

// wait returns true once the revision is at least want, or false if ctx ends first.
func (r *revision) wait(ctx context.Context, want cdn.Revision) bool {
	for {
		r.mu.Lock()
		if r.value >= want {
			r.mu.Unlock()
			return true
		}
		if r.changed == nil {
			r.changed = make(chan struct{})
		}
		changed := r.changed
		r.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// reset is raise, but for a log that has begun anew: then the newest purge may have a lower number.
func (r *revision) reset(to cdn.Revision) {
	r.raise(to)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.value = to
}

// Purge puts a purge into force. No request that starts after it
// has returned is answered with content from before, or only as stale content if the purge is soft. Targets of domains that are
// not configured here are remembered until they are. A purge that covers nothing
// only says which revision the node is at.
func (s *Server) Purge(p cdn.Purge) {
	// Raised first: from now on no other node may answer with what it has from before.
	s.begun.raise(p.Revision)
	if p.At.IsZero() {
		p.At = s.now()
	}
	epoch, err := s.purges.Apply(p)
	if err != nil { // it is in force
		s.log.Error("a purge is not safe on disk", "revision", p.Revision, "error", err)
	}
	s.detach(&p, epoch)
	s.sweeper.poke()
	// Raised last: whoever waits for the revision must find the content gone.
	s.applied.raise(p.Revision)
}

// detach keeps newcomers from the fills under way that a purge covers, and frees what is easily found.
func (s *Server) detach(p *cdn.Purge, epoch store.Epoch) {
	if t := s.tables.Load(); t != nil {
		for _, target := range p.Targets {
			keys, _ := t.keys(target)
			for _, key := range keys {
				s.fills.Detach(key, func() {
					if !p.Soft {
						s.store.Delete(key)
					}
				})
			}
		}
	}
	if len(p.Scopes) == 0 {
		return
	}
	s.fills.DetachIf(func(key cdn.CacheKey, h *head) bool {
		o := &store.Object{Key: key, Born: epoch - 1}
		switch {
		case h == nil:
		case h.renewed != nil:
			o = h.renewed
		case h.object != nil:
			o = h.object
		}
		return s.purges.Judge(o) != purge.Good
	})
}

// CaughtUp says that all purges have been applied that came while the node was away. Until then a node of a fleet serves nothing
// that it had stored before it was started.
func (s *Server) CaughtUp() { s.purges.Release() }

// PurgeAll removes everything that is stored, in the sense of [Server.Purge]. It makes good for all purges up to
// the revision; zero says nothing about that.
func (s *Server) PurgeAll(revision cdn.Revision) {
	if revision != 0 {
		s.begun.reset(revision)
	}
	if _, err := s.purges.ApplyAll(revision); err != nil { // it is in force
		s.log.Error("a purge of everything is not safe on disk", "revision", revision, "error", err)
	}
	s.forgets.Add(1)
	s.fills.DetachAll(s.store.Clear)
	s.sweeper.poke()
	if revision != 0 {
		s.applied.reset(revision)
	}
}

// forget removes what is stored of a key because something at this node has made it untrue. It is counted first, so that what
// came before is not stored afterwards by those who hold no fill.
func (s *Server) forget(key cdn.CacheKey) {
	s.forgets.Add(1)
	s.fills.Detach(key, func() { s.store.Delete(key) })
}

// forgetForGood is forget for keys whose contents must not come back after a restart either: what may be on disk is noted among the purges,
// durably unless the disk takes too long for that.
func (s *Server) forgetForGood(ctx context.Context, keys []cdn.CacheKey) {
	var newest store.Epoch
	for _, key := range keys {
		mayReturn := s.tiers.MayReturn(key)
		s.forget(key)
		if !mayReturn {
			continue
		}
		epoch, err := s.purges.Invalidate(key)
		if err != nil { // it is in force
			s.log.ErrorContext(ctx, "an invalidation is not safe on disk", "error", err)
		}
		newest = max(newest, epoch)
	}
	if newest == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	if err := s.purges.Commit(ctx, newest); err != nil {
		s.metrics.uncommitted.Inc()
	}
}

// outdated reports whether an object that has just come is not to be stored: it was purged on its way, or softly, and something newer
// is stored by now.
func (s *Server) outdated(q *query, o *store.Object) bool {
	switch s.purges.Judge(o) {
	case purge.Gone:
		return true
	case purge.Stale:
		stored := s.store.Peek(q.lookup())
		return stored != nil && stored.Born > o.Born
	default:
		return false
	}
}
