package estimate_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"nearcast/routequality/estimate"
)

// start is when every test begins.
func start() time.Time { return time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC) }

func ms(x float64) time.Duration { return time.Duration(x * float64(time.Millisecond)) }

// probe adds round trips in ms, one each 10 s, and returns the time of the last.
func probe(t *testing.T, p *estimate.Path, now time.Time, rtts ...float64) time.Time {
	t.Helper()
	for _, r := range rtts {
		now = now.Add(10 * time.Second)
		if err := p.Add(now, estimate.Sample{RTT: ms(r), At: now}, nil); err != nil {
			t.Fatal(err)
		}
	}
	return now
}

func times(n int, x float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = x
	}
	return out
}

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if !(math.Abs(got-want) <= within) {
		t.Errorf("%s is %.3f, want %.3f within %.3f", what, got, want, within)
	}
}

func TestPath(t *testing.T) {
	for _, tt := range []struct {
		name   string
		rtts   []float64
		r50    float64
		within float64
	}{
		{"one sample is believed as it is", []float64{40}, 40, 0.01},
		{"a steady path is what it is", times(100, 40), 40, 0.01},
		{"one absurd answer among good ones is nothing", append(times(20, 40), 4000, 40, 40), 40, 0.01},
		{"and every seventh is not much more", append(append(times(6, 40), 400), append(times(6, 40), 400)...), 40, 0.01},
		{"at the beginning samples are averaged, not stuck to the first", append([]float64{80, 80, 80}, times(20, 40)...), 40, 6},
		{"a route that has changed is known after six samples", append(times(100, 40), times(6, 90)...), 90, 0.01},
		{"in both directions", append(times(100, 90), times(6, 40)...), 40, 0.01},
		{"after three it is not yet believed", append(times(100, 40), times(3, 90)...), 40, 2},
		{"a drift of a tenth is followed slowly", append(times(100, 40), times(60, 44)...), 43, 0.8},
		{"zero is what a coarse clock says, not an error", times(3, 0), 0.01, 0.001},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var p estimate.Path
			now := probe(t, &p, start(), tt.rtts...)
			near(t, "R50", p.Estimate(now).R50, tt.r50, tt.within)
		})
	}
}

// TestTimeConstants: what visitors measure replaces what was known within minutes, probes within tens of minutes.
func TestTimeConstants(t *testing.T) {
	for _, tt := range []struct {
		source estimate.Source
		after  time.Duration
	}{{estimate.Passive, time.Minute}, {estimate.Active, 10 * time.Minute}} {
		var p estimate.Path
		now := start()
		add := func(r float64) {
			now = now.Add(time.Second)
			if err := p.Add(now, estimate.Sample{RTT: ms(r), At: now, Source: tt.source}, nil); err != nil {
				t.Fatal(err)
			}
		}
		for range 3600 {
			add(100)
		}
		for range int(tt.after.Seconds()) {
			add(110)
		}
		near(t, "after one time constant the logarithm", math.Log(p.Estimate(now).R50), math.Log(110)-(math.Log(110)-math.Log(100))/math.E, 0.002)
	}
}

// TestR90: with noise of which one sample in ten exceeds a bound, that bound is found.
func TestR90(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	for _, noise := range []float64{1, 5, 40} {
		var p estimate.Path
		now, sum := start(), 0.0
		for i := range 6000 {
			now = probe(t, &p, now, 50+noise*dice.ExpFloat64())
			if i >= 2000 {
				sum += p.Estimate(now).R90 / 4000
			}
		}
		want := 50 + noise*math.Ln10
		near(t, "R90", sum, want, 0.08*want)
		near(t, "R50", p.Estimate(now).R50, 50+noise*math.Ln2, 0.05*50+0.3*noise)
	}
}

func TestRefused(t *testing.T) {
	now := start()
	for _, tt := range []struct {
		name string
		s    estimate.Sample
		want error
	}{
		{"negative", estimate.Sample{RTT: -1, At: now}, estimate.ErrNegative},
		{"as long as anybody waits", estimate.Sample{RTT: 30 * time.Second, At: now}, nil},
		{"longer", estimate.Sample{RTT: 30*time.Second + 1, At: now}, estimate.ErrTooLong},
		{"a clock a little ahead", estimate.Sample{RTT: ms(1), At: now.Add(2 * time.Second)}, nil},
		{"from the future", estimate.Sample{RTT: ms(1), At: now.Add(2*time.Second + 1)}, estimate.ErrFuture},
		{"ten minutes old", estimate.Sample{RTT: ms(1), At: now.Add(-10 * time.Minute)}, nil},
		{"older", estimate.Sample{RTT: ms(1), At: now.Add(-10*time.Minute - 1)}, estimate.ErrStale},
		{"without a time", estimate.Sample{RTT: ms(1)}, estimate.ErrStale},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var p estimate.Path
			var refused estimate.Refused
			err := p.Add(now, tt.s, &refused)
			if !errors.Is(err, tt.want) {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			if reason, ok := errors.AsType[estimate.RefusedError](err); ok {
				if p != (estimate.Path{}) {
					t.Error("what was refused has changed the path")
				}
				if refused.Of(reason) != 1 || refused.Total() != 1 {
					t.Errorf("counted %v", refused)
				}
			} else if refused.Total() != 0 {
				t.Errorf("counted %v although nothing was refused", refused)
			}
		})
	}
}

func TestCountsRefused(t *testing.T) {
	for _, c := range [][2]int{{-1, 0}, {1, -1}, {1, 2}, {1 << 30, 0}} {
		var p estimate.Path
		var refused estimate.Refused
		if err := p.AddPackets(start(), c[0], c[1], &refused); !errors.Is(err, estimate.ErrImpossible) {
			t.Errorf("packets %v: error %v", c, err)
		}
		if err := p.AddRequests(start(), c[0], c[1], &refused); !errors.Is(err, estimate.ErrImpossible) {
			t.Errorf("requests %v: error %v", c, err)
		}
		if refused.Of(estimate.ErrImpossible) != 2 || p != (estimate.Path{}) {
			t.Errorf("%v: counted %v", c, refused)
		}
	}
}

// TestConfidence rises with samples and fades with a half-life of ten minutes.
func TestConfidence(t *testing.T) {
	var p estimate.Path
	near(t, "of nothing", p.Estimate(start()).Confidence(), 0, 0)
	now := start()
	for range 8 {
		now = now.Add(time.Millisecond)
		if err := p.Add(now, estimate.Sample{RTT: ms(20), At: now}, nil); err != nil {
			t.Fatal(err)
		}
	}
	near(t, "of eight", p.Estimate(now).Confidence(), 0.5, 0.001)
	later := now.Add(10 * time.Minute)
	near(t, "samples after ten minutes", p.Estimate(later).N, 4, 0.01)
	if age := p.Estimate(later).Age; age != 10*time.Minute {
		t.Errorf("age %v", age)
	}
}

// TestOneRoundOfPathsFitsInMemory: 200,000 groups with ten POPs each are two million paths.
func TestOneRoundOfPathsFitsInMemory(t *testing.T) {
	if got := unsafe.Sizeof(estimate.Path{}); got > 72 {
		t.Errorf("a path takes %d octets, want 72 at most", got)
	}
}

// TestPathProperties: whatever comes, the estimate lies among the samples, R90 is no less than R50, and what is refused changes nothing.
func TestPathProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p estimate.Path
		now := start()
		low, high := math.Inf(1), 0.0
		for range rapid.IntRange(1, 60).Draw(t, "samples") {
			now = now.Add(time.Duration(rapid.Int64Range(-int64(time.Second), int64(time.Hour)).Draw(t, "passes")))
			s := estimate.Sample{
				RTT:    time.Duration(rapid.Int64Range(-5, int64(31*time.Second)).Draw(t, "rtt")),
				At:     now.Add(time.Duration(rapid.Int64Range(-int64(11*time.Minute), int64(3*time.Second)).Draw(t, "skew"))),
				Source: estimate.Source(rapid.IntRange(0, 1).Draw(t, "source")),
			}
			before := p
			if err := p.Add(now, s, nil); err != nil {
				if p != before {
					t.Fatalf("refused with %v and changed", err)
				}
				continue
			}
			r := max(float64(s.RTT)/1e6, 0.01)
			low, high = min(low, r), max(high, r)
			e := p.Estimate(now)
			if e.R50 < low*0.999 || e.R50 > high*1.001 {
				t.Fatalf("R50 %v of samples from %v to %v", e.R50, low, high)
			}
			if e.R90 < e.R50 || e.N < 0 || e.N > 60 || e.Age < 0 {
				t.Fatalf("absurd: %+v", e)
			}
		}
	})
}

func FuzzPath(f *testing.F) {
	f.Add(int64(20e6), int64(0), int64(10e9), 100, 1)
	f.Add(int64(-1), int64(1)<<62, int64(-1)<<63, -1, 5)
	f.Fuzz(func(t *testing.T, rtt, skew, passes int64, all, bad int) {
		var p estimate.Path
		var refused estimate.Refused
		now := start()
		accepted := 0
		for range 5 {
			now = now.Add(time.Duration(passes % int64(time.Hour)))
			for _, err := range []error{
				p.Add(now, estimate.Sample{RTT: time.Duration(rtt), At: now.Add(time.Duration(skew))}, &refused),
				p.AddPackets(now, all, bad, &refused), p.AddRequests(now, all, bad, &refused),
			} {
				if err == nil {
					accepted++
				}
			}
			e := p.Estimate(now).Over(estimate.Geographic(100))
			for _, x := range []float64{e.R50, e.R90, e.N, e.Packets.Rate(0), e.Requests.Rate(0.1)} {
				if math.IsNaN(x) || math.IsInf(x, 0) || x < 0 {
					t.Fatalf("absurd: %+v", e)
				}
			}
		}
		if accepted+int(refused.Total()) != 15 { //nolint:gosec // small
			t.Fatalf("%d accepted and %d refused of 15", accepted, refused.Total())
		}
	})
}
