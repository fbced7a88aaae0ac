package estimate_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/serf/coordinate"
	"pgregory.net/rapid"

	"nearcast/routequality/estimate"
)

// grid makes a network of n names on a plane, with an access delay each, and lets everybody measure everybody so many times.
func grid(t *testing.T, n, rounds int) (c *estimate.Coordinates, truth func(i, j int) float64) {
	t.Helper()
	truth = func(i, j int) float64 {
		return 5 + math.Hypot(float64(i%4-j%4), float64(i/4-j/4))*20 + float64(i%3) + float64(j%3)
	}
	c = estimate.NewCoordinates()
	for round := range rounds {
		for i := range n {
			j := (i + 1 + round%(n-1)) % n
			if err := c.Observe(name(i), name(j), ms(truth(i, j))); err != nil {
				t.Fatal(err)
			}
		}
	}
	return c, truth
}

func name(i int) string { return fmt.Sprintf("pop%d", i) }

func TestCoordinates(t *testing.T) {
	c, truth := grid(t, 16, 400)
	var wrong []float64
	for i := range 16 {
		for j := range i {
			got, known := c.RTT(name(i), name(j))
			if !known {
				t.Fatal("not known")
			}
			wrong = append(wrong, math.Abs(got-truth(i, j))/truth(i, j))
		}
	}
	slices.Sort(wrong)
	if half := wrong[len(wrong)/2]; half > 0.08 {
		t.Errorf("half of the distances are wrong by more than %.0f %%, want 8 %%", 100*half)
	}
}

// TestCoordinatesAreDeterministic: the library throws dice when two points meet; ours never do.
func TestCoordinatesAreDeterministic(t *testing.T) {
	a, _ := grid(t, 8, 50)
	b, _ := grid(t, 8, 50)
	for i := range 8 {
		if got, want := fmt.Sprint(a.At(name(i))), fmt.Sprint(b.At(name(i))); got != want {
			t.Fatalf("%s is at %s and at %s", name(i), got, want)
		}
	}
}

func TestCoordinatesOfStrangers(t *testing.T) {
	c, _ := grid(t, 4, 10)
	if _, known := c.RTT("pop0", "nobody"); known {
		t.Error("a name that was never seen has a place")
	}
	if c.At("nobody") != nil {
		t.Error("a name that was never seen has a point")
	}
	if err := c.Observe("pop0", "pop0", ms(1)); err == nil {
		t.Error("a name has measured itself")
	}
	for _, rtt := range []time.Duration{-1, time.Minute} {
		if err := c.Observe("pop0", "pop1", rtt); err == nil {
			t.Errorf("a round trip of %v was believed", rtt)
		}
	}
	c.Forget("pop0")
	if _, known := c.RTT("pop0", "pop1"); known || c.Len() != 3 {
		t.Error("a name that was forgotten has a place")
	}
}

// TestPutRefusesAbsurdPoints: a point of another process is believed only if a network could have it.
func TestPutRefusesAbsurdPoints(t *testing.T) {
	good := func() *coordinate.Coordinate { return coordinate.NewCoordinate(coordinate.DefaultConfig()) }
	for _, tt := range []struct {
		name   string
		change func(c *coordinate.Coordinate)
		ok     bool
	}{
		{"as it should be", func(*coordinate.Coordinate) {}, true},
		{"of three dimensions", func(c *coordinate.Coordinate) { c.Vec = c.Vec[:3] }, false},
		{"not a number", func(c *coordinate.Coordinate) { c.Vec[1] = math.NaN() }, false},
		{"at infinity", func(c *coordinate.Coordinate) { c.Vec[1] = math.Inf(1) }, false},
		{"a minute away", func(c *coordinate.Coordinate) { c.Vec[1] = 60 }, false},
		{"below the ground", func(c *coordinate.Coordinate) { c.Height = -1 }, false},
		{"adjusted by a minute", func(c *coordinate.Coordinate) { c.Adjustment = -60 }, false},
		{"more certain than certain", func(c *coordinate.Coordinate) { c.Error = -1 }, false},
		{"an error that is no number", func(c *coordinate.Coordinate) { c.Error = math.NaN() }, false},
	} {
		c, at := estimate.NewCoordinates(), good()
		tt.change(at)
		if err := c.Put("x", at); (err == nil) != tt.ok {
			t.Errorf("%s: error %v", tt.name, err)
		}
	}
	if err := estimate.NewCoordinates().Put("x", nil); err == nil {
		t.Error("no point at all was believed")
	}
}

func FuzzCoordinates(f *testing.F) {
	f.Add(0.1, 0.01, 0.0, 1.0, int64(20e6))
	f.Add(math.NaN(), math.Inf(1), -1.0, 99.0, int64(-5))
	f.Fuzz(func(t *testing.T, x, height, adjustment, e float64, rtt int64) {
		c := estimate.NewCoordinates()
		at := coordinate.NewCoordinate(coordinate.DefaultConfig())
		at.Vec[0], at.Height, at.Adjustment, at.Error = x, height, adjustment, e
		if c.Put("liar", at) != nil {
			return
		}
		for range 20 {
			if c.Observe("us", "liar", time.Duration(rtt)) != nil {
				return
			}
		}
		if got, known := c.RTT("us", "liar"); !known || math.IsNaN(got) || math.IsInf(got, 0) {
			t.Fatalf("a round trip of %v", got)
		}
	})
}

// prospects are POPs in a row, 100 km from each other, the first 100 km from the group.
func prospects(n int, change func(i int, p *estimate.Prospect)) []estimate.Prospect {
	out := make([]estimate.Prospect, n)
	for i := range out {
		out[i] = estimate.Prospect{Km: float64(100 * (i + 1)), Predicted: math.NaN(), Measured: math.NaN()}
		change(i, &out[i])
	}
	return out
}

func TestShortlist(t *testing.T) {
	for _, tt := range []struct {
		name string
		pops []estimate.Prospect
		want []int
	}{
		{"the six nearest", prospects(20, func(int, *estimate.Prospect) {}), []int{0, 1, 2, 3, 4, 5}},
		{"and of the others four by coordinates", prospects(20, func(i int, p *estimate.Prospect) { p.Predicted = float64(100 - i) }), []int{0, 1, 2, 3, 4, 5, 19, 18, 17, 16}},
		{"fewer if there are fewer", prospects(3, func(i int, p *estimate.Prospect) { p.Predicted = float64(9 - i) }), []int{0, 1, 2}},
		{"of equals the first", prospects(8, func(_ int, p *estimate.Prospect) { p.Km = 5 }), []int{0, 1, 2, 3, 4, 5}},
		{"without a place coordinates only", prospects(9, func(i int, p *estimate.Prospect) { p.Km, p.Predicted = math.NaN(), float64(100-i) }), []int{8, 7, 6, 5}},
		{"nobody", nil, nil},
		{"what exploring has found, if it is not far behind the best", prospects(12, func(i int, p *estimate.Prospect) {
			p.Measured = []float64{50, 51, 52, 53, 54, 55, math.NaN(), 200, 40, 71, 70, 69}[i]
		}), []int{0, 1, 2, 3, 4, 5, 8, 11, 10}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := estimate.Shortlist(tt.pops); !slices.Equal(got, tt.want) {
				t.Errorf("shortlist %v, want %v", got, tt.want)
			}
		})
	}
}

func TestExplore(t *testing.T) {
	pops := prospects(20, func(int, *estimate.Prospect) {}) // light needs 1 ms for each 100 km
	list := estimate.Shortlist(pops)
	if got := estimate.Explore(pops, list, 10, 0, 9); !slices.Equal(got, []int{6, 7, 8}) {
		t.Errorf("with 10 ms at best %v are worth a look, want 6, 7 and 8: the others are behind the light", got)
	}
	if got := estimate.Explore(pops, list, 5, 0, 9); len(got) > 0 {
		t.Errorf("%v cannot be better than 5 ms", got)
	}
	if got := estimate.Explore(nil, nil, 5, 3, 2); len(got) > 0 {
		t.Errorf("%v of nobody", got)
	}
}

// TestExploreProperties: nothing on the shortlist, nothing twice, nothing that light could not reach, and everybody else in turn.
func TestExploreProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pops := prospects(rapid.IntRange(0, 40).Draw(t, "pops"), func(_ int, p *estimate.Prospect) {
			p.Km = rapid.SampledFrom([]float64{math.NaN(), 0, 50, 900, 5000, 19_000}).Draw(t, "km")
			p.Predicted = rapid.SampledFrom([]float64{math.NaN(), 1, 20, 300}).Draw(t, "predicted")
		})
		list := estimate.Shortlist(pops)
		best, n := rapid.Float64Range(0, 300).Draw(t, "best"), rapid.IntRange(1, 4).Draw(t, "n")
		if len(list) > estimate.MaxShortlist {
			t.Fatalf("shortlist of %d", len(list))
		}
		seen := map[int]bool{}
		for turn := range 40 {
			got := estimate.Explore(pops, list, best, turn, n)
			for k, i := range got {
				if slices.Contains(list, i) || slices.Contains(got[:k], i) || estimate.FibreTime(pops[i].Km) >= best {
					t.Fatalf("turn %d explores %v beside %v", turn, got, list)
				}
				seen[i] = true
			}
		}
		for i, p := range pops {
			if worth := !slices.Contains(list, i) && !(estimate.FibreTime(p.Km) >= best); worth != seen[i] {
				t.Fatalf("POP %d: worth a look %v, got one %v", i, worth, seen[i])
			}
		}
	})
}
