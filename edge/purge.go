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

// maxRemembered bounds the targets of purges that are remembered for the next configuration.
const maxRemembered = 1 << 16

// purges are the targets that have been purged. What is stored of a target under the rules of one configuration
// is not found by those of another, so each new configuration purges them again.
type purges struct {
	mu      sync.Mutex // guards the following
	targets []cdn.Target
	more    bool // there have been too many
}

func (p *purges) add(targets []cdn.Target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.targets)+len(targets) > maxRemembered {
		p.targets, p.more = nil, true
	}
	if !p.more {
		p.targets = append(p.targets, targets...)
	}
}

// all returns the targets; ok is false if there have been too many to know them.
func (p *purges) all() (targets []cdn.Target, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.targets, !p.more
}

// Purge removes what is stored of the purge's targets. No request that starts after it
// has returned is answered with content from before. Targets of domains that are
// not configured here are ignored: nothing can be stored of them. A purge without targets
// only says which revision the node is at.
func (s *Server) Purge(p cdn.Purge) {
	// Raised first: from now on no other node may answer with what it has from before.
	s.begun.raise(p.Revision)
	s.purges.add(p.Targets)
	s.forgetTargets(p.Targets)
	// Raised last: whoever waits for the revision must find the content gone.
	s.applied.raise(p.Revision)
}

func (s *Server) forgetTargets(targets []cdn.Target) {
	t := s.tables.Load()
	if t == nil {
		return
	}
	for _, target := range targets {
		keys, _ := t.keys(target)
		for _, key := range keys {
			s.forget(key)
		}
	}
}

// purgeAgain applies to a new configuration's keys what has been purged under older ones.
func (s *Server) purgeAgain() {
	targets, ok := s.purges.all()
	if !ok {
		s.PurgeAll(0)
		return
	}
	s.forgetTargets(targets)
}

// PurgeAll removes everything that is stored, in the sense of [Server.Purge]. It makes good for all purges up to
// the revision.
func (s *Server) PurgeAll(revision cdn.Revision) {
	s.begun.raise(revision)
	s.forgets.Add(1)
	s.fills.DetachAll(s.store.Clear)
	s.applied.raise(revision)
}

// forget removes what is stored of a key. It is counted first, so that what came before is not
// stored afterwards by those who hold no fill.
func (s *Server) forget(key cdn.CacheKey) {
	s.forgets.Add(1)
	s.fills.Detach(key, func() { s.store.Delete(key) })
}
