package estimate_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"nearcast/routequality/estimate"
)

// TestOver: the more samples of its own, the less the prior counts; and a prior counts as far as it was measured itself.
func TestOver(t *testing.T) {
	for _, tt := range []struct {
		n, prior, want float64
	}{
		{0, 1e9, 100},          // nothing measured: the prior
		{8, 1e9, 60},           // as much as the prior: half and half
		{24, 1e9, 40},          // (24*20 + 8*100) / 32
		{1e9, 1e9, 20},         // its own
		{2, 1e9, 84},           // (2*20 + 8*100) / 10
		{0.5, 1e9, 1620. / 17}, // (0.5*20 + 8*100) / 8.5
		{8, 8, 140. / 3.},      // a prior of eight samples counts as four: (8*20 + 4*100) / 12
		{8, 0, 210. / 8.5},     // a guess counts as half a sample
		{0, 0, 100},            // but is better than nothing
	} {
		prior := estimate.Estimate{R50: 100, R90: 150, N: tt.prior}
		e := estimate.Estimate{R50: 20, R90: 30, N: tt.n}.Over(prior)
		near(t, "R50", e.R50, tt.want, 0.01)
		near(t, "weight", e.N, tt.n+8*prior.Confidence(), 1e-6)
	}
}

// TestChain: the finest that is well measured decides, what is thin leans on what is behind it, and the last resort only counts when there
// is nothing else.
func TestChain(t *testing.T) {
	thin, good := estimate.Estimate{R50: 10, R90: 10, N: 1}, estimate.Estimate{R50: 50, R90: 60, N: 800}
	none, last := estimate.Estimate{}, estimate.Geographic(1000)
	for _, tt := range []struct {
		name   string
		levels []estimate.Estimate
		want   float64
	}{
		{"nothing at all", nil, 0},
		{"the last resort", []estimate.Estimate{none, none, last}, last.R50},
		{"a parent", []estimate.Estimate{none, good, last}, 50},
		{"a thin one leans on its parent", []estimate.Estimate{thin, good, last}, (10 + 8*50.) / 9},
		{"a grandparent", []estimate.Estimate{none, none, none, good, last}, 50},
		{"a good one", []estimate.Estimate{good, thin, last}, 50},
	} {
		t.Run(tt.name, func(t *testing.T) { near(t, "R50", estimate.Chain(tt.levels...).R50, tt.want, 1) })
	}
}

func TestOverProperties(t *testing.T) {
	draw := func(t *rapid.T, name string) estimate.Estimate {
		e := estimate.Estimate{R50: rapid.Float64Range(0, 3e4).Draw(t, name), N: rapid.Float64Range(0, 1e6).Draw(t, name)}
		e.R90 = e.R50 * rapid.Float64Range(1, 3).Draw(t, name)
		return e
	}
	rapid.Check(t, func(t *rapid.T) {
		e, prior := draw(t, "own"), draw(t, "prior")
		got := e.Over(prior)
		low, high := min(e.R50, prior.R50), max(e.R50, prior.R50)
		if got.R50 < low-1e-6 || got.R50 > high+1e-6 || got.R90 < got.R50 || got.Confidence() < e.Confidence()-1e-12 {
			t.Fatalf("%+v over %+v is %+v", e, prior, got)
		}
	})
}

// TestGeographic against the medians of 246 cities.
func TestGeographic(t *testing.T) {
	for _, tt := range []struct{ km, ms float64 }{{150, 10}, {900, 30}, {3000, 68}, {7500, 148}, {12000, 244}} {
		near(t, "round trip", estimate.Geographic(tt.km).R50, tt.ms, max(5, tt.ms*0.15))
	}
	near(t, "no way at all", estimate.Geographic(0).R50, 10, 0)
	near(t, "a distance below zero", estimate.Geographic(-5).R50, 10, 0)
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Float64Range(0, 20_000).Draw(t, "a"), rapid.Float64Range(0, 20_000).Draw(t, "b")
		if (a < b) != (estimate.Geographic(a).R50 < estimate.Geographic(b).R50) && math.Abs(a-b) > 1e-6 {
			t.Fatalf("%v km are not further than %v km", a, b)
		}
		if estimate.Geographic(a).R50 < estimate.FibreTime(a) {
			t.Fatalf("faster than light over %v km", a)
		}
	})
}

func TestShareRate(t *testing.T) {
	for _, tt := range []struct {
		name      string
		n, bad    float64
		prior     float64
		low, high float64
	}{
		{"nothing seen is the prior", 0, 0, 0.01, 0.01, 0.01},
		{"none of few is the prior still", 5, 0, 0.01, 0, 0.01},
		{"one of ten probes is chance", 10, 1, 0, 0, 0},
		{"one of a hundred too", 100, 1, 0, 0, 0.001},
		{"two of ten are a warning", 10, 2, 0, 0, 0.02},
		{"a fifth of forty is a fault", 40, 8, 0, 0.08, 0.2},
		{"a fifth of a thousand is a fifth", 1000, 200, 0, 0.18, 0.2},
		{"all of ten", 10, 10, 0, 0.2, 1},
		{"one in a hundred of very many", 1e6, 1e4, 0, 0.0098, 0.01},
		{"a path that is better than its POP", 1e5, 0, 0.2, 0, 0.001},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := estimate.Share{N: tt.n, Bad: tt.bad}.Rate(tt.prior)
			if !(got >= tt.low && got <= tt.high) {
				t.Errorf("rate %.4f, want %.4f to %.4f", got, tt.low, tt.high)
			}
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Float64Range(0, 1e7).Draw(t, "n")
		s := estimate.Share{N: n, Bad: n * rapid.Float64Range(0, 1).Draw(t, "bad")}
		if r := s.Rate(rapid.Float64Range(0, 1).Draw(t, "prior")); !(r >= 0 && r <= 1) {
			t.Fatalf("rate %v of %+v", r, s)
		}
	})
}

// TestLossFades: what was lost is half forgotten after two minutes.
func TestLossFades(t *testing.T) {
	var p estimate.Path
	if err := p.AddPackets(start(), 100, 20, nil); err != nil {
		t.Fatal(err)
	}
	got := p.Estimate(start().Add(2 * time.Minute)).Packets
	near(t, "sent", got.N, 50, 0.01)
	near(t, "lost", got.Bad, 10, 0.01)
	sum := got.Plus(estimate.Share{N: 1, Bad: 1})
	near(t, "sum", sum.N+sum.Bad, 62, 0.1)
}
