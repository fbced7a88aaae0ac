// Package trial is what simulations of failure detection have in common: how machines starve, and how times and counts of events are
// summed up. It is not for the running system.
package trial

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Starving is how a machine stands still, time and again. The zero value never does.
type Starving struct {
	Share   float64       // of its time, from 0 and below 1
	Stretch time.Duration // for how long at a time on average, above 0; five times that at most
}

// Next returns how long the machine runs before it stands still next, and for how long it does then. It must not be called if Share is 0.
func (s Starving) Next(chance *rand.Rand) (runs, stands time.Duration) {
	gap := float64(s.Stretch) * (1 - s.Share) / s.Share
	runs = time.Duration(chance.ExpFloat64() * gap)
	return runs, min(time.Duration(chance.ExpFloat64()*float64(s.Stretch)), 5*s.Stretch)
}

// Spread is how long something took, in seconds.
type Spread struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

// SpreadOf sorts the times and returns their spread; zero if there are none.
func SpreadOf(all []time.Duration) Spread {
	if len(all) == 0 {
		return Spread{}
	}
	slices.Sort(all)
	at := func(q float64) float64 { return all[int(math.Ceil(q*float64(len(all))))-1].Seconds() }
	return Spread{len(all), at(0.5), at(0.99), at(1)}
}

// Month is 30 days, in seconds.
const Month = 30 * 24 * 3600.0

// UpperBound returns the mean below which a Poisson count is above seen in 19 of 20 cases: 3.0 for none, which is the rule of three.
func UpperBound(seen int) float64 {
	low, high := float64(seen), 3*float64(seen)+10
	for range 60 {
		mean := (low + high) / 2
		term := math.Exp(-mean)
		sum := term
		for k := 1; k <= seen; k++ {
			term *= mean / float64(k)
			sum += term
		}
		if sum > 0.05 {
			low = mean
		} else {
			high = mean
		}
	}
	return high
}
