package disk

import (
	"math"
	"time"

	"nearcast/edge/store"
)

// grace is how long something with a validator is kept after it has become stale: a validation is cheaper than a fetch.
const grace = 24 * time.Hour

// useful is the [Config.Useful] that goes by the head alone. Where the origin said nothing, the operator's policy
// must have, which is not known here.
func useful(o *store.Object) (fresh, until time.Time) {
	end, validator, said := o.Response.FreshUntil()
	if !o.Fresh.IsZero() {
		end, said = o.Fresh, true
	}
	switch {
	case !said:
		return time.Time{}, time.Time{}
	case validator:
		return end, end.Add(grace)
	}
	return end, end
}

// class says which open segment a record goes to: those that end soon are kept together, so that they end together.
type class uint8

const (
	long class = iota
	short
	classes
)

// shortLife is how long what goes to short is fresh at most.
const shortLife = time.Hour

// classify returns when an object is of no use any more, in Unix seconds (0: never), and its class.
func (s *Store) classify(o *store.Object) (expiry uint32, c class) {
	fresh, until := s.config.Useful(o)
	if !fresh.IsZero() && fresh.Sub(s.now()) < shortLife {
		c = short
	}
	return coarse(until), c
}

// coarse returns a time in Unix seconds, rounded up; 0 for none and for what is beyond 2106.
func coarse(t time.Time) uint32 {
	if t.IsZero() {
		return 0
	}
	n := t.Unix() + 1
	if n > math.MaxUint32 {
		return 0
	}
	return uint32(max(n, 1)) //nolint:gosec // checked
}

func expired(expiry uint32, now time.Time) bool { return expiry != 0 && now.Unix() >= int64(expiry) }
