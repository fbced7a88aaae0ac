package policy

// Cache is a cache of nothing but hashes and sizes: to see what a policy makes of a row of requests.
type Cache interface {
	// Access asks for an entry, which is of size octets (not negative), and stores it if it is not there and the policy wants it. It reports
	// whether it was there.
	Access(hash uint64, size int64) (hit bool)
	// Stats returns what has been counted so far.
	Stats() Stats
}

// Stats are what a [Cache] has counted.
type Stats struct {
	Requests, Hits   int64
	Octets, HitBytes int64 // asked for, and found, in octets
	Entries, Bytes   int64 // now there
	Evictions        int64 // entries that went for room
}

// ObjectRatio is the share of requests that were hits; 0 without any.
func (s Stats) ObjectRatio() float64 { return float64(s.Hits) / float64(max(s.Requests, 1)) }

// count books one request.
func (s *Stats) count(size int64, hit bool) {
	s.Requests++
	s.Octets += size
	if hit {
		s.Hits++
		s.HitBytes += size
	}
}

// Shadow is a [Cache] under one of the rival policies. An entry whose size has changed is a hit and keeps its place. What is larger than the
// whole budget is never stored. It is not safe for concurrent use.
type Shadow struct {
	budget int64
	limit  int64 // octets of the largest entry taken
	slab   slab
	index  index
	order  order
	stats  Stats
}

// order is the heart of a rival: the order in which entries go. All nodes are of the shadow's slab.
type order interface {
	// add takes in a new node; it must be in a queue afterwards.
	add(s *Shadow, n uint32)
	// hit is told of a node asked for again.
	hit(s *Shadow, n uint32)
	// resize books a node's new size.
	resize(s *Shadow, n uint32, size int64)
	// remove takes a node out of its queue.
	remove(s *Shadow, n uint32)
	// victim takes the next one that goes out of its queue. There is at least one.
	victim(s *Shadow) uint32
}

func newShadow(budget int64, o order) *Shadow {
	return &Shadow{budget: budget, limit: budget, index: newIndex(), order: o}
}

// Access implements [Cache].
func (s *Shadow) Access(hash uint64, size int64) bool {
	n := s.index.find(&s.slab, hash)
	hit := n != none
	s.stats.count(size, hit)
	switch {
	case hit:
		if s.slab.at(n).size != size {
			s.stats.Bytes += size - s.slab.at(n).size
			s.order.resize(s, n, size)
		}
		s.order.hit(s, n)
	case size <= s.limit:
		n = s.slab.take(hash, size)
		s.index.insert(&s.slab, n)
		s.stats.Bytes += size
		s.order.add(s, n)
	}
	for s.stats.Bytes > s.budget {
		s.drop(s.order.victim(s))
		s.stats.Evictions++
	}
	return hit
}

// Remove forgets an entry, as when it was purged. It reports whether it was there.
func (s *Shadow) Remove(hash uint64) bool {
	n := s.index.find(&s.slab, hash)
	if n == none {
		return false
	}
	s.order.remove(s, n)
	s.drop(n)
	return true
}

// Has reports whether an entry is there, without asking for it.
func (s *Shadow) Has(hash uint64) bool { return s.index.find(&s.slab, hash) != none }

// drop forgets a node that is in no queue any more.
func (s *Shadow) drop(n uint32) {
	s.stats.Bytes -= s.slab.at(n).size
	s.index.remove(&s.slab, n)
	s.slab.give(n)
}

// halve makes the budget half as large and forgets what is not to stay. Half of what was counted is forgotten too, so that requests from before
// weigh no more than those to come, of which there will be half as many.
func (s *Shadow) halve(stays func(hash uint64) bool) {
	s.limit = min(s.limit, s.budget/2)
	for _, n := range [...]*int64{&s.stats.Requests, &s.stats.Hits, &s.stats.Octets, &s.stats.HitBytes, &s.stats.Evictions} {
		*n /= 2
	}
	s.shrink(s.budget/2, stays)
}

// shrink sets the budget and forgets what is not to stay.
func (s *Shadow) shrink(budget int64, stays func(hash uint64) bool) {
	s.budget = budget
	for n := uint32(1); n <= s.slab.top; n++ {
		if e := s.slab.at(n); e.queue != none && !stays(e.hash) {
			s.order.remove(s, n)
			s.drop(n)
		}
	}
	for s.stats.Bytes > s.budget {
		s.drop(s.order.victim(s))
	}
}

// Stats implements [Cache].
func (s *Shadow) Stats() Stats {
	st := s.stats
	st.Entries = int64(s.slab.count)
	return st
}
