package purge

import (
	"slices"
	"strings"
	"sync"

	"nearcast/cdn"
	"nearcast/edge/store"
)

// eachItem calls f with each item of a record; what is not younger than cut as the whole site that it belongs to.
func eachItem(r *record, cut store.Epoch, f func(r *record, id counted)) {
	old := r.epoch <= cut
	for i := range r.targets {
		id := counted{soft: r.soft, target: r.targets[i]}
		if old {
			id = counted{soft: r.soft, scope: cdn.Scope{Kind: scopeDomain, Domain: r.targets[i].Domain}}
		}
		f(r, id)
	}
	for i := range r.scopes {
		id := counted{soft: r.soft, scope: r.scopes[i]}
		if old && id.scope.Kind != scopeDomain {
			id.scope = cdn.Scope{Kind: cdn.ScopeSite, Site: id.scope.Site}
		}
		f(r, id)
	}
	if r.kind == kindKey {
		id := counted{key: r.key}
		if old {
			name, _, _ := strings.Cut(string(r.key), " ")
			id = counted{scope: cdn.Scope{Kind: cdn.ScopeSite, Site: cdn.SiteName(name)}}
		}
		f(r, id)
	}
}

// everything returns the epoch at which everything was purged, zero if never.
func (t *table) everything() store.Epoch {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.all
}

// bound folds the oldest eighth into purges of whole sites if there are more entries than that. It returns the epoch up to
// which it has, or zero.
func (t *table) bound(limit int) (cut store.Epoch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.entries <= limit {
		return 0
	}
	epochs := make([]store.Epoch, 0, t.entries)
	for _, s := range t.sites {
		s.each(func(m *marks) bool {
			epochs = append(epochs, m.newest())
			return false
		})
	}
	slices.Sort(epochs)
	cut = epochs[len(epochs)-(limit-limit/8)-1]
	for _, s := range t.sites {
		n := s.each(func(m *marks) bool {
			if m.newest() > cut {
				return false
			}
			s.whole.fold(*m)
			return true
		})
		t.entries -= n
		t.folded += uint64(n)
	}
	return cut
}

// drop forgets what was purged up to an epoch.
func (t *table) drop(upTo store.Epoch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := func(m *marks) bool { return m.newest() <= upTo }
	for name, s := range t.sites {
		t.entries -= s.each(old)
		if s.newest <= upTo {
			delete(t.sites, name)
		}
	}
	for domain, m := range t.domains {
		if old(m) {
			delete(t.domains, domain)
		}
	}
	if t.all <= upTo {
		t.all = 0
	}
}

// each calls remove with the marks of each entry, takes out those for which it says so, and returns how many those were.
func (s *site) each(remove func(m *marks) bool) (removed int) {
	for _, in := range [...]map[uint64]marks{s.keys, s.tags} {
		for hash, m := range in {
			if remove(&m) {
				delete(in, hash)
				removed++
			}
		}
	}
	for path, list := range s.dirs {
		kept := slices.DeleteFunc(slices.Clone(list), func(d *directory) bool { return remove(&d.marks) })
		removed += len(list) - len(kept)
		if s.dirs[path] = kept; len(kept) == 0 {
			delete(s.dirs, path)
		}
	}
	kept := slices.DeleteFunc(slices.Clone(s.regexps), func(e *expression) bool { return remove(&e.marks) })
	removed += len(s.regexps) - len(kept)
	s.regexps = kept
	return removed
}

// begun counts the fills that are under way, by the epoch at which they began.
type begun struct {
	mu  sync.Mutex // guards the following
	now map[store.Epoch]int
}

// Begin is [Log.Epoch] for a fill: until [Log.End] with what it returns, purges are remembered by which its
// object can be judged.
func (l *Log) Begin() store.Epoch {
	l.begun.mu.Lock()
	defer l.begun.mu.Unlock()
	if l.begun.now == nil {
		l.begun.now = make(map[store.Epoch]int)
	}
	epoch := l.Epoch()
	l.begun.now[epoch]++
	return epoch
}

// End says that nothing will be stored any more that is born at an epoch of [Log.Begin].
func (l *Log) End(epoch store.Epoch) {
	l.begun.mu.Lock()
	defer l.begun.mu.Unlock()
	if l.begun.now[epoch]--; l.begun.now[epoch] <= 0 {
		delete(l.begun.now, epoch)
	}
}

// Pending reports whether there is a purge by which an object might have to be judged.
func (l *Log) Pending() bool {
	t := &l.table
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.all != 0 || len(t.sites) > 0 || len(t.domains) > 0
}

// Swept says that every object in every store that was born before an epoch of [Log.Epoch] has been judged at that epoch or later, and
// removed if it was [Gone] or [Stale]. What was purged up to then is forgotten, but for what fills under way need.
func (l *Log) Swept(epoch store.Epoch) {
	l.begun.mu.Lock()
	epoch = min(epoch, l.Epoch())
	for running := range l.begun.now {
		epoch = min(epoch, running)
	}
	l.begun.mu.Unlock()
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.closed || epoch <= l.swept {
		return
	}
	l.swept = epoch
	l.table.drop(epoch)
	if l.journal.items >= minRewrite {
		if err := l.compact(0); err != nil {
			l.stats.failures.Add(1)
			l.log.Error("the purge log could not be made shorter", "error", err)
		}
	}
}
