package policy

import "math"

// NewModel returns a shadow of budget octets that is to be like a [Live] of that size: it is set as one is at first, until Follow sets it
// otherwise.
func NewModel(budget int64) *Shadow { return newShadow(budget, newS3FIFO(settings()[0])) }

// Follow sets a shadow that [NewModel] made as a [Live] is set that reports this. It leaves other shadows as they are.
func (s *Shadow) Follow(r Report) {
	if o, ok := s.order.(*s3fifo); ok && !o.setting.whole {
		o.setting = setting{share: int64(math.Round(r.Small * 1000)), rounds: uint8(r.Rounds), uses: uint8(r.Uses)}
	}
}

// Resize makes the budget larger or smaller, so that it fits a sample that has become so, and forgets the entries that are not to stay.
// Counts stay as they are.
func (s *Shadow) Resize(budget int64, stays func(hash uint64) bool) {
	if s.limit >= s.budget {
		s.limit = budget
	}
	s.shrink(budget, stays)
}
