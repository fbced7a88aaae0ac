package votes

import (
	"math/rand/v2"
	"time"

	"nearcast/loadtest/sim/trial"
)

// machine stands still time and again. It is asked about times that go up and down by a few seconds.
type machine struct {
	starving trial.Starving
	chance   *rand.Rand
	stands   []stretch // in order
}

type stretch struct{ from, to time.Duration }

// remembered is for how long a machine knows when it stood still.
const remembered = 10 * time.Second

// awake returns the first moment from t on at which it does not stand still.
func (m *machine) awake(t time.Duration) time.Duration {
	if m.starving.Share == 0 {
		return t
	}
	for len(m.stands) == 0 || m.stands[len(m.stands)-1].to <= t {
		m.draw()
	}
	for i := len(m.stands) - 1; i >= 0 && m.stands[i].to > t; i-- {
		if m.stands[i].from <= t {
			return m.stands[i].to
		}
	}
	return t
}

func (m *machine) draw() {
	var last time.Duration
	if n := len(m.stands); n > 0 {
		last = m.stands[n-1].to
		if n >= 64 && m.stands[n/2].to < last-remembered {
			m.stands = append(m.stands[:0], m.stands[n/2:]...)
		}
	}
	runs, stands := m.starving.Next(m.chance)
	m.stands = append(m.stands, stretch{last + runs, last + runs + stands})
}
