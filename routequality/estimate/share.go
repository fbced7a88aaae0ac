package estimate

import (
	"math"
	"time"
)

// share counts events and how many of them were bad; both fade with [lossHalfLife].
type share struct {
	last     int64 // Unix nanoseconds
	all, bad float32
}

// maxEvents bounds what one report may claim.
const maxEvents = 1 << 24

func (s *share) add(now time.Time, all, bad int, refused *Refused) error {
	if all < 0 || bad < 0 || bad > all || all > maxEvents {
		return refused.refuse(ErrImpossible)
	}
	seen := s.at(now)
	s.all, s.bad = float32(min(seen.N+float64(all), maxEvents)), float32(min(seen.Bad+float64(bad), maxEvents))
	s.last = max(s.last, now.UnixNano())
	return nil
}

func (s *share) at(now time.Time) Share {
	if s.last == 0 {
		return Share{}
	}
	left := decay(max(0, time.Duration(now.UnixNano()-s.last)), lossHalfLife)
	return Share{N: float64(s.all) * left, Bad: float64(s.bad) * left}
}

// Share is a share of events that were bad, of so many: both numbers have faded and are not whole.
type Share struct {
	N   float64 // events, 0 or more
	Bad float64 // of them, 0 to N
}

// Rate returns the share that is believed, 0 to 1, where prior is the share to expect of such paths. It is prior until the events
// say otherwise by more than chance: what lies within one standard error of prior is taken for chance, and the rest is added. One lost
// probe among many must not drive away a city, as 2500 ms per unit of loss would.
func (s Share) Rate(prior float64) float64 {
	if s.N <= 0 {
		return prior
	}
	x := (s.Bad + priorWeight*prior) / (s.N + priorWeight)
	seen := max(s.Bad, 1) / max(s.N, 1)
	chance := math.Sqrt(min(seen, 1) / max(s.N, 1))
	switch {
	case x > prior:
		return min(1, prior+max(0, x-prior-chance))
	default:
		return max(0, prior-max(0, prior-x-chance))
	}
}

// Plus returns the share of both together: of the paths of a POP, say.
func (s Share) Plus(t Share) Share { return Share{N: s.N + t.N, Bad: s.Bad + t.Bad} }
