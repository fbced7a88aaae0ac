// Package cost says how many milliseconds it costs a group of visitors to be sent to a POP: its round trip and how that varies, what is
// lost and fails, what is not stored there, the operator's price, and policy. It also says what becomes of a measurement
// that grows old.
//
// It is pure, and not for measuring or for choosing.
package cost

import (
	"math"
	"time"

	"nearcast/cdn"
)

// What a cost is made of.
const (
	jitter  = 0.5  // of R90 - R50
	loss    = 2500 // 1 % is 25 ms: a time-out of 250 ms, times about ten packets of a small response
	failure = 3000 // 1 % is 30 ms: a visitor waits for 3 s
)

// The names of the terms, as in [cdn.CostTerm].
const (
	TermRTT      = "rtt"
	TermJitter   = "jitter"
	TermLoss     = "loss"
	TermFailures = "failures"
	TermMiss     = "miss"
	TermPrice    = "price"
	TermPolicy   = "policy"
)

// Terms are the parts of a cost, in milliseconds.
type Terms struct {
	RTT, Jitter, Loss, Failures, Miss, Price, Policy float64
}

// Of is the cost of a path to a POP. Health may be nil; price and policy are in milliseconds.
func Of(q *cdn.Quality, health *cdn.POPHealth, price, policy float64) Terms {
	t := Terms{
		RTT:      float64(q.R50),
		Jitter:   float64(jitter * max(0, float64(q.R90)-float64(q.R50))),
		Loss:     float64(loss * float64(q.Loss)),
		Failures: float64(failure * float64(q.Failures)),
		Price:    price,
		Policy:   policy,
	}
	if health != nil && health.HitRatio >= 0 && health.HitRatio <= 1 && health.Behind > 0 {
		t.Miss = float64((1 - health.HitRatio) * min(health.Behind, most))
	}
	return t
}

// most is the highest cost, in milliseconds: the next is as bad.
const most = 1e5

// Sum is the cost: 0 to 100000.
func (t *Terms) Sum() float64 {
	sum := t.RTT + t.Jitter + t.Loss + t.Failures + t.Miss + t.Price + t.Policy
	if !(sum < most) {
		return most
	}
	return max(sum, 0)
}

// List is the terms by name, without those that are zero.
func (t *Terms) List() []cdn.CostTerm {
	var list []cdn.CostTerm
	for _, term := range []cdn.CostTerm{
		{Term: TermRTT, MS: t.RTT},
		{Term: TermJitter, MS: t.Jitter},
		{Term: TermLoss, MS: t.Loss},
		{Term: TermFailures, MS: t.Failures},
		{Term: TermMiss, MS: t.Miss},
		{Term: TermPrice, MS: t.Price},
		{Term: TermPolicy, MS: t.Policy},
	} {
		if term.MS != 0 {
			list = append(list, term)
		}
	}
	return list
}

// Geographic is what is usual between places so many km apart, when nothing was measured. It is the formula of
// routequality/estimate, from what 246 cities measured between each other; distances are rounded to kilometres, so that
// processors that compute them a little differently agree.
func Geographic(km float64) cdn.Quality {
	km = math.Round(max(km, 0))
	if !(km <= 20100) { // half around the earth
		km = 20100
	}
	r := 10 + float64(km/100*(1.8+float64(1.4*math.Exp(-km/1500))))
	return cdn.Quality{R50: float32(r), R90: float32(r * 1.2)}
}

// How a measurement ages that is not followed by others.
const (
	HalfLife = 4 * time.Hour  // of what it counts against geography
	Static   = 24 * time.Hour // from then on it counts nothing
)

// Weight is the part of a measurement of that age that still counts: 1 to 0.
func Weight(age time.Duration) float64 {
	if age <= 0 {
		return 1
	}
	if age >= Static {
		return 0
	}
	return math.Exp2(-float64(age) / float64(HalfLife))
}

// Aged is a measurement of which so much still counts, and geography for the rest.
func Aged(q, geographic cdn.Quality, weight float64) cdn.Quality {
	if weight >= 1 {
		return q
	}
	mix := func(a, b float32) float32 {
		return float32(float64(weight*float64(a)) + float64((1-weight)*float64(b)))
	}
	return cdn.Quality{
		R50: mix(q.R50, geographic.R50), R90: mix(q.R90, geographic.R90), Loss: mix(q.Loss, 0), Failures: mix(q.Failures, 0),
		N: mix(q.N, 0), Measured: q.Measured,
	}
}
