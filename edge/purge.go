package edge

import (
	"context"
	"sync"

	"nearcast/cdn"
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

// Purge removes what is stored of the purge's targets. No request that starts after it
// has returned is answered with content from before. Targets of domains that are
// not configured here are ignored: nothing can be stored of them. A purge without targets
// only says which revision the node is at.
func (s *Server) Purge(p cdn.Purge) {
	if t := s.tables.Load(); t != nil {
		for _, target := range p.Targets {
			keys, _ := t.keys(target)
			for _, key := range keys {
				s.forget(key)
			}
		}
	}
	// Raised last: whoever waits for the revision must find the content gone.
	s.applied.raise(p.Revision)
}

// PurgeAll removes everything that is stored, in the sense of [Server.Purge].
func (s *Server) PurgeAll() {
	s.forgets.Add(1)
	s.fills.DetachAll(s.store.Clear)
}

// forget removes what is stored of a key. It is counted first, so that what came before is not
// stored afterwards by those who hold no fill.
func (s *Server) forget(key cdn.CacheKey) {
	s.forgets.Add(1)
	s.fills.Detach(key, func() { s.store.Delete(key) })
}
