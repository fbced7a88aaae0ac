package policy

// NewS3FIFO returns a shadow of budget octets under plain S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP
// 2023): a tenth of the budget for newcomers, which go to the main queue if they were asked for at least uses more times (1 or 2) before
// they reach the end of theirs.
func NewS3FIFO(budget int64, uses int) *Shadow {
	return newShadow(budget, newS3FIFO(setting{share: 100, rounds: maxUses, uses: uint8(uses), whole: true}))
}

// setting is what [Live] adapts of S3-FIFO.
type setting struct {
	share  int64 // of the budget that is the small queue's, per mille; 0: there is none, newcomers go to the main queue (CLOCK)
	rounds uint8 // an entry goes round in the main queue at most so often without being asked for again
	uses   uint8 // that bring an entry from the small queue into the main one
	ghosts int   // times the entries and the budget, how many are remembered; 0: once
	whole  bool  // a newcomer that is larger than the small queue's share may push out all others there, as in plain S3-FIFO
}

// small is how many octets the small queue may have.
func (o setting) small(budget int64) int64 { return budget * o.share / 1000 }

// plain reports whether it is S3-FIFO as published, in one of the two readings that there are.
func (o setting) plain() bool { return o.share == 100 && o.rounds == maxUses && o.ghosts == 0 }

// haunt remembers who had to go from a cache of so many entries and octets. It remembers twice its octets at least, but as published: else
// one large ghost would push out all others.
func (o setting) haunt(g *ghosts, e *node, entries int, budget int64) {
	times := max(o.ghosts, 1)
	octets := budget
	if !o.whole {
		octets *= int64(max(times, 2))
	}
	g.add(e.hash, e.size, entries*times, octets)
}

// bypasses reports whether a newcomer would only push everybody out of the small queue and then go itself. It goes at once, and is
// remembered: if it is asked for again it goes to the main queue.
func (o setting) bypasses(size, budget int64) bool {
	return o.share > 0 && !o.whole && size > o.small(budget)
}

func newS3FIFO(set setting) *s3fifo {
	return &s3fifo{small: queue{id: 1}, main: queue{id: 2}, ghosts: newGhosts(), setting: set}
}

type s3fifo struct {
	small, main queue
	ghosts      ghosts
	setting     setting
	large       uint32 // the newcomer, if it is to go first
}

func (o *s3fifo) add(s *Shadow, n uint32) {
	o.large = none
	e := s.slab.at(n)
	switch {
	case o.ghosts.take(e.hash), o.setting.share == 0:
		s.slab.push(&o.main, n)
		return
	case o.setting.bypasses(e.size, s.budget):
		o.large = n
	}
	s.slab.push(&o.small, n)
}

func (o *s3fifo) hit(s *Shadow, n uint32) {
	o.large = none
	if e := s.slab.at(n); e.uses < maxUses {
		e.uses++
	}
}

func (o *s3fifo) queue(s *Shadow, n uint32) *queue {
	if s.slab.at(n).queue == o.small.id {
		return &o.small
	}
	return &o.main
}

func (o *s3fifo) resize(s *Shadow, n uint32, size int64) { s.slab.resize(o.queue(s, n), n, size) }

func (o *s3fifo) remove(s *Shadow, n uint32) {
	o.large = none
	s.slab.remove(o.queue(s, n), n)
}

func (o *s3fifo) victim(s *Shadow) uint32 {
	if n := o.large; n != none {
		o.large = none
		return o.drop(s, n)
	}
	for {
		if o.main.count == 0 || o.small.count > 0 && o.small.bytes > o.setting.small(s.budget) {
			n := o.small.front
			if s.slab.at(n).uses < o.setting.uses {
				return o.drop(s, n)
			}
			s.slab.remove(&o.small, n)
			s.slab.at(n).uses = 0
			s.slab.push(&o.main, n)
			continue
		}
		n := o.main.front
		e := s.slab.at(n)
		s.slab.remove(&o.main, n)
		if e.uses == 0 {
			return n
		}
		e.uses = min(e.uses, o.setting.rounds) - 1
		s.slab.push(&o.main, n)
	}
}

// drop takes a node out of the small queue and remembers it.
func (o *s3fifo) drop(s *Shadow, n uint32) uint32 {
	e := s.slab.at(n)
	s.slab.remove(&o.small, n)
	o.setting.haunt(&o.ghosts, e, o.small.count+o.main.count, s.budget)
	return n
}
