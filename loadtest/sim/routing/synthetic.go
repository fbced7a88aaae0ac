package main

import (
	"fmt"
	"math"
	"math/rand/v2"

	"nearcast/cdn"
	"nearcast/routequality/estimate"
)

// region is a part of the world in which cities are, and the share of them.
type region struct {
	share                    float64
	south, north, west, east float64
}

func regions() []region {
	return []region{
		{0.28, 26, 50, -124, -70},  // North America
		{0.31, 37, 60, -9, 32},     // Europe
		{0.12, 22, 44, 104, 145},   // East Asia
		{0.13, -7, 30, 70, 122},    // South and South-East Asia
		{0.07, -38, 5, -76, -38},   // South America
		{0.05, -34, 33, -10, 38},   // Africa
		{0.04, -43, -18, 115, 177}, /* Oceania */
	}
}

// stretches are how much longer than light in a straight fibre a round trip is, by distance: of pairs below so many km the 10th, 50th,
// 90th and 99th percentile. They are of 246 real sites; the values between are drawn on a logarithmic scale.
func stretches() []struct{ km, p10, p50, p90, p99 float64 } {
	return []struct{ km, p10, p50, p90, p99 float64 }{
		{300, 2.71, 5.97, 15.85, 47.5},
		{1500, 2.06, 3.16, 6.51, 15.3},
		{5000, 1.77, 2.42, 4.20, 7.9},
		{10_000, 1.48, 1.83, 3.07, 4.7},
		{math.Inf(1), 1.48, 1.81, 2.46, 3.5},
	}
}

// synthetic makes a network of n sites that is wrong about geography as often as real ones are.
func synthetic(n int, seed uint64) *network {
	dice := rand.New(rand.NewPCG(seed, 0x5ce9e))
	net := &network{rtt: blank(n)}
	access := make([]float64, n)
	for i := range n {
		net.sites = append(net.sites, site{
			id: fmt.Sprintf("site%03d", i), place: somewhere(dice), population: math.Round(4e5 * math.Exp(1.1*dice.NormFloat64())),
		})
		access[i] = 0.1 + 0.3*dice.ExpFloat64()
	}
	for i := range n {
		for j := range i {
			km := net.km(i, j)
			there := estimate.FibreTime(max(km, 20))*stretch(dice, km) + access[i] + access[j]
			net.rtt[i][j] = there
			net.rtt[j][i] = there * math.Exp(0.008*dice.NormFloat64()*math.Abs(dice.NormFloat64())) // the way back is a little different
		}
	}
	return net
}

// somewhere returns a place in one of the regions.
func somewhere(dice *rand.Rand) cdn.Location {
	all := regions()
	at := dice.Float64()
	r := all[len(all)-1]
	for _, c := range all {
		if at -= c.share; at < 0 {
			r = c
			break
		}
	}
	return cdn.Location{
		Latitude: r.south + (r.north-r.south)*dice.Float64(), Longitude: r.west + (r.east-r.west)*dice.Float64(),
	}
}

// stretch draws how much longer than light a pair's round trip is.
func stretch(dice *rand.Rand, km float64) float64 {
	for _, s := range stretches() {
		if km >= s.km {
			continue
		}
		shares := [...]float64{0, 0.1, 0.5, 0.9, 0.99, 1}
		values := [...]float64{1.1 + 0.4*(s.p10-1.1), s.p10, s.p50, s.p90, s.p99, 1.2 * s.p99}
		u := dice.Float64()
		for k := range len(shares) - 1 {
			if u <= shares[k+1] {
				t := (u - shares[k]) / (shares[k+1] - shares[k])
				return math.Exp((1-t)*math.Log(values[k]) + t*math.Log(values[k+1]))
			}
		}
	}
	return 2
}
