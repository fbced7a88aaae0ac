package policy

import "math"

// NewModel returns a shadow of budget octets that is to be like a [Live] of that size: it is set as one is at first, until Follow sets it
// otherwise.
func NewModel(budget int64) *Shadow { return newShadow(budget, newS3FIFO(settings()[0])) }

// Follow sets a shadow that [NewModel] made as a [Live] is set that reports this. Others it leaves as they are, and reports false.
func (s *Shadow) Follow(r Report) bool {
	o, ok := s.order.(*s3fifo)
	if !ok || o.setting.whole {
		return false
	}
	o.setting = setting{share: int64(math.Round(r.Small * 1000)), rounds: uint8(r.Rounds), uses: uint8(r.Uses), ghosts: r.Ghosts}
	return true
}

// Resize makes the budget larger or smaller, so that it fits a sample that has become so, and forgets the entries that are not to stay.
// Counts stay as they are.
func (s *Shadow) Resize(budget int64, stays func(hash uint64) bool) {
	if s.limit >= s.budget {
		s.limit = budget
	}
	s.budget, s.limit = budget, min(s.limit, budget)
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
