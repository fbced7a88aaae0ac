package tier

import (
	"nearcast/cdn"
	"nearcast/edge/store"
	"nearcast/edge/store/policy"
)

// Observer is shown a sample of what is asked for. Its methods are called from any goroutine, and with locks held: they must not call the
// store.
type Observer interface {
	// Samples reports whether Asked is to be called if the key is asked for now. It is called with each hit.
	Samples(key cdn.CacheKey) bool
	// Asked is called with an object that was asked for: it was here, or it has been brought because it was not. What
	// takes the place of another has been asked for before, and what may not be stored never.
	Asked(o *store.Object)
}

// Observe has an observer shown what is asked for from now on, and largest say how large, in octets, a body that is on disk may be to be kept in memory
// as well. It must be called before anything else is, or not at all.
func (s *Store) Observe(o Observer, largest func() int64) { s.observer, s.largest = o, largest }

// observePut shows what is about to be put, unless the lookup finds what it replaces.
func (s *Store) observePut(o *store.Object, l store.Lookup) {
	if s.observer == nil || !s.observer.Samples(l.Key) {
		return
	}
	l.Head = true
	if s.ram.Peek(l) == nil && (s.disk == nil || !s.disk.Has(l) || s.disk.Peek(l) == nil) {
		s.observer.Asked(o)
	}
}

// Policy tells how the policy of the memory is set.
func (s *Store) Policy() policy.Report { return s.ram.Policy() }
