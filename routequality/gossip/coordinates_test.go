package gossip_test

import (
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"nearcast/cdn"
	"nearcast/routequality/gossip"
	"nearcast/routequality/gossip/memnet"
)

// Members on a line of 10 ms steps know after some minutes about how far any two of them are from each other.
func TestRTT(t *testing.T) {
	step := func(a netip.AddrPort) int { return int(a.Addr().As4()[3]) }
	delay := func(from, to netip.AddrPort) time.Duration {
		return time.Duration(math.Abs(float64(step(from)-step(to)))) * 5 * time.Millisecond
	}
	inBubble(t, 8, memnet.Config{Seed: 3, Delay: delay, Jitter: 0.05}, func(_ int, c *gossip.Config) { c.Kind = gossip.WAN }, func(f *fleet) {
		f.awaitAll(20*time.Second, f.complete)
		<-time.After(4 * time.Minute)
		var off []float64
		for i, a := range f.all {
			for j, b := range f.all {
				ms, known := f.all[2].RTT(a.cfg.Node, b.cfg.Node)
				if known != (i != j) {
					t.Errorf("n2 knows the way from n%d to n%d: %t", i, j, known)
				}
				if i != j {
					want := 10 * math.Abs(float64(i-j))
					off = append(off, math.Abs(ms-want)/want)
				}
			}
		}
		slices.Sort(off)
		if half, most := off[len(off)/2], off[len(off)*9/10]; half > 0.2 || most > 0.7 {
			t.Errorf("half of the distances are within %.0f %%, nine of ten within %.0f %%", 100*half, 100*most)
		}
		f.all[5].end()
		f.await(time.Second, func(m *machine) bool { return m.State("n5") == cdn.StateDown }, f.all[2])
		if _, known := f.all[2].RTT("n1", "n5"); known {
			t.Error("the way to a member that has left is known")
		}
		if _, known := f.all[2].RTT("n1", "n77"); known {
			t.Error("the way to nobody is known")
		}
	})
}

func TestAbsurdCoordinates(t *testing.T) {
	inBubble(t, 2, memnet.Config{}, nil, func(f *fleet) {
		<-time.After(time.Minute)
		good := f.all[1].Coordinate()
		if len(good) > 128 {
			t.Errorf("a coordinate has %d octets, at most 128 are allowed", len(good))
		}
		before := f.all[0].Coordinate()
		inf := append(slices.Clone(good[:13]), 0x7f, 0x80, 0, 0)
		inf = append(inf, good[17:]...)
		nan := append(slices.Clone(good[:13]), 0x7f, 0xc0, 0, 1)
		nan = append(nan, good[17:]...)
		far := append(slices.Clone(good[:13]), 0x47, 0, 0, 0) // 32768 s
		far = append(far, good[17:]...)
		negative := append([]byte{good[0], 0xbf, 0x80, 0, 0}, good[5:]...) // an error of -1
		refused := 0.0
		for _, test := range []struct {
			name    string
			rtt     time.Duration
			payload []byte
		}{
			{"negative round trip", -time.Millisecond, good},
			{"no round trip", 0, good},
			{"long round trip", 11 * time.Second, good},
			{"nothing", time.Millisecond, nil},
			{"short", time.Millisecond, good[:len(good)-1]},
			{"long", time.Millisecond, append(slices.Clone(good), 0)},
			{"version", time.Millisecond, append([]byte{9}, good[1:]...)},
			{"infinite", time.Millisecond, inf},
			{"no number", time.Millisecond, nan},
			{"far", time.Millisecond, far},
			{"negative error", time.Millisecond, negative},
		} {
			f.all[0].ObserveRTT("n1", test.rtt, test.payload)
			refused++
			if got := counter(t, f.all[0].cfg.Registry, "nearcast_routequality_gossip_coordinates_refused_total"); got != refused {
				t.Errorf("%s: %v coordinates are refused, want %v", test.name, got, refused)
			}
		}
		if !slices.Equal(f.all[0].Coordinate(), before) {
			t.Error("refused coordinates have moved the member")
		}
		f.all[0].ObserveRTT("n7", time.Millisecond, good) // of whom nobody has heard
		if _, known := f.all[0].RTT("n0", "n7"); known {
			t.Error("the way to a stranger is known")
		}
	})
}

// A process can have a pool of each kind, and another one of a kind after the first, on one registry.
func TestOneRegistry(t *testing.T) {
	reg := prometheus.NewRegistry()
	for range 2 {
		lan, wan := config("n1"), config("n1")
		lan.Registry, wan.Registry, wan.Kind = reg, reg, gossip.WAN
		a, b := start(t, lan), start(t, wan)
		for _, kind := range []string{"lan", "wan"} {
			if got := labelled(t, reg, "nearcast_routequality_gossip_members", "pool", kind); got != 1 {
				t.Errorf("%v members in the %s pool, want 1", got, kind)
			}
		}
		if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
			t.Errorf("lint: %v, %v", problems, err)
		}
		a.end()
		b.end()
	}
}

// labelled returns a metric that has a label; zero if there is none.
func labelled(t *testing.T, r *prometheus.Registry, name, label, value string) float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == name && l.GetName() == label && l.GetValue() == value {
					return m.GetCounter().GetValue() + m.GetGauge().GetValue()
				}
			}
		}
	}
	return 0
}
