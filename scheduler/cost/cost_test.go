package cost_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nearcast/cdn"
	"nearcast/scheduler/cost"
)

func TestOf(t *testing.T) {
	path := cdn.Quality{R50: 40, R90: 60, Loss: 0.01, Failures: 0.01}
	got := cost.Of(&path, &cdn.POPHealth{HitRatio: 0.9, Behind: 50}, 3, -2)
	want := cost.Terms{RTT: 40, Jitter: 10, Loss: 25, Failures: 30, Miss: 5, Price: 3, Policy: -2}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-3 })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if sum := got.Sum(); math.Abs(sum-111) > 1e-3 || len(got.List()) != 7 {
		t.Errorf("sum %v of %v", sum, got.List())
	}
	for _, test := range []struct {
		name   string
		terms  cost.Terms
		health *cdn.POPHealth
		want   float64
	}{
		{"below zero", cost.Terms{RTT: 5, Policy: -50}, nil, 0},
		{"no number", cost.Terms{RTT: math.NaN()}, nil, 1e5},
		{"no end", cost.Terms{Loss: math.Inf(1)}, nil, 1e5},
	} {
		if got := test.terms.Sum(); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
	steady := cdn.Quality{R50: 40, R90: 30}
	for _, h := range []*cdn.POPHealth{nil, {}, {HitRatio: -1, Behind: 50}, {HitRatio: 2, Behind: 50}, {HitRatio: 0.5, Behind: math.NaN()}} {
		if got := cost.Of(&steady, h, 0, 0); got != (cost.Terms{RTT: 40}) {
			t.Errorf("%+v: %+v", h, got)
		}
	}
}

// These are the figures of package routequality/estimate.
func TestGeographic(t *testing.T) {
	for km, want := range map[float64]float64{-5: 10, 0: 10, 350: 20.18, 350.4: 20.18, 1500: 44.73, 9000: 172.31, 20000: 370} {
		got := cost.Geographic(km)
		if math.Abs(float64(got.R50)-want) > 0.01 || math.Abs(float64(got.R90)-1.2*want) > 0.02 {
			t.Errorf("%v km: %+v, want %v", km, got, want)
		}
	}
	for _, km := range []float64{math.Inf(1), math.NaN(), 1e9} {
		if got := cost.Geographic(km); !(got.R50 > 300 && got.R50 < 500) {
			t.Errorf("%v km: %+v", km, got)
		}
	}
}

func TestAged(t *testing.T) {
	for _, test := range []struct {
		age  time.Duration
		want float64
	}{{-time.Hour, 1}, {0, 1}, {4 * time.Hour, 0.5}, {8 * time.Hour, 0.25}, {24 * time.Hour, 0}, {100 * time.Hour, 0}} {
		if got := cost.Weight(test.age); math.Abs(got-test.want) > 1e-12 {
			t.Errorf("weight %v after %v, want %v", got, test.age, test.want)
		}
	}
	q := cdn.Quality{R50: 100, R90: 120, Loss: 0.04, Failures: 0.02, N: 40, Measured: 7}
	got := cost.Aged(q, cdn.Quality{R50: 20, R90: 24}, 0.25)
	want := cdn.Quality{R50: 40, R90: 48, Loss: 0.01, Failures: 0.005, N: 10, Measured: 7}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
