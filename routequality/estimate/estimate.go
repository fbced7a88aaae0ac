package estimate

import (
	"math"
	"slices"
	"time"
)

// priorWeight is how many samples of its own a path needs to count as much as what is known of others like it.
const priorWeight = 8

// leastPrior is how many samples a prior counts as of which nothing was measured.
const leastPrior = 0.5

// Estimate is what is believed of a path.
type Estimate struct {
	R50, R90 float64       // round trip, ms: the middle one, and the one that one in ten exceeds
	N        float64       // weight in samples behind it, faded with a half-life of 10 minutes; 0: nothing is known
	Age      time.Duration // of the newest sample
	Packets  Share         // lost
	Requests Share         // failed
}

// Confidence is 0 if nothing was measured and comes near 1 with many recent samples; 0.5 at eight.
func (e Estimate) Confidence() float64 { return e.N / (e.N + priorWeight) }

// Over shrinks the estimate towards a prior, the better the fewer samples there are: (n*x + k*prior) / (n + k), where k is 8 for a prior that is
// well measured, such as a neighbour network's, and less for one that is not: half a sample for geography, which is a guess that is often
// wrong by a half. Packets and requests stay the path's own: see [Share.Rate].
func (e Estimate) Over(prior Estimate) Estimate {
	k := max(leastPrior, priorWeight*prior.Confidence())
	w := e.N / (e.N + k)
	out := e
	out.R50 = w*e.R50 + (1-w)*prior.R50
	out.R90 = max(out.R50, w*e.R90+(1-w)*prior.R90)
	out.N = e.N + priorWeight*prior.Confidence()
	if e.N == 0 {
		out.Age = prior.Age
	}
	return out
}

// Chain folds estimates, the finest first and the last resort at the end, into one: each is shrunk towards what is behind it. The usual
// chain is prefix of 24 bits, BGP prefix, ASN and city, ASN and country, coordinates, [Geographic].
func Chain(finest ...Estimate) Estimate {
	var out Estimate
	for i, e := range slices.Backward(finest) {
		if i == len(finest)-1 {
			out = e
			continue
		}
		out = e.Over(out)
	}
	return out
}

// Predicted is the prior that coordinates give: a round trip without a sample of this path, worth n samples of the coordinates' own.
func Predicted(ms, n float64) Estimate {
	return Estimate{R50: ms, R90: ms * typicalSpread, N: n}
}

const typicalSpread = 1.2 // of R90 over R50 on a path of which nothing is known

// Geographic is the last resort: the round trip between places so many km apart, from what 246 cities measured between each other. Half of
// all pairs are within a third of it. Nothing was measured, so N is 0.
func Geographic(km float64) Estimate {
	km = max(km, 0)
	r := 10 + FibreTime(km)*(1.8+1.4*math.Exp(-km/1500))
	return Estimate{R50: r, R90: r * typicalSpread}
}

// FibreTime is the round trip in ms of light in a straight fibre of so many km: no network is faster.
func FibreTime(km float64) float64 { return km / 100 }
