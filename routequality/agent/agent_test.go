package agent_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/routequality/agent"
	"nearcast/routequality/gossip"
	"nearcast/routequality/probe/probetest"
	"nearcast/routequality/report"
)

// TestAlone: a POP with one node, in a fleet with one POP.
func TestAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newPlace("fra", "fra-1"), new(servers)
		n := p.run(t, config(p, "fra-1"), s)
		if err := n.Apply(fleet([]cdn.NodeName{"fra-1"})); err != nil {
			t.Fatal(err)
		}
		pass(20*time.Second + 500*time.Millisecond)
		got := s.take()
		if len(got) < 20 || len(got) > 23 {
			t.Errorf("%d reports in 20 s", len(got))
		}
		seq, loads, samples := uint64(0), 0, 0
		for _, r := range got {
			if r.POP.POP != "fra" || r.From != "fra-1" || r.Seq <= seq || r.Incarnation == 0 || len(r.Votes)+len(r.Probes) > 0 {
				t.Errorf("%+v", r.POP)
			}
			seq = r.Seq
			if want := []report.Member{{Node: "fra-1", State: cdn.StateReady, Incarnation: 1000}}; !slices.Equal(r.Members, want) {
				t.Errorf("members %v", r.Members)
			}
			for _, n := range r.Nodes {
				if n.Load != nil {
					loads++
				}
				if n.Visitors != nil {
					samples += len(n.Visitors.Samples)
				}
			}
		}
		if loads < 20 || loads > 21 || samples != 6 && samples != 9 {
			t.Errorf("%d loads and %d samples, want 20 and 6 or 9", loads, samples)
		}
	})
}

// TestPlace: two of five nodes gather what all say; when one of them dies the third does, and it is told at once.
func TestPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := []cdn.NodeName{"a", "b", "c", "d", "e"}
		p, s := newPlace("fra", names...), new(servers)
		for _, n := range names {
			if err := p.run(t, config(p, n), s).Apply(fleet(names)); err != nil {
				t.Fatal(err)
			}
		}
		two := report.Aggregators("fra", names)
		pass(15 * time.Second)
		s.take()
		pass(12 * time.Second)
		loads, samples := make(map[cdn.NodeName]int), make(map[cdn.NodeName]int)
		for _, r := range s.take() {
			if !slices.Contains(two, r.From) {
				t.Errorf("%s reports, want %v", r.From, two)
			}
			if len(r.Members) != 5 {
				t.Errorf("members are %v", r.Members)
			}
			for _, n := range r.Nodes {
				if n.Load != nil {
					loads[n.Node]++
				} else {
					samples[n.Node] += len(n.Visitors.Samples)
				}
			}
		}
		for _, n := range names {
			if loads[n] < 12 || loads[n] > 26 || samples[n] < 6 || samples[n] > 12 {
				t.Errorf("%s: %d loads and %d samples in 12 s from two, want at most 24 (the newest counts) and 6 or 12", n, loads[n], samples[n])
			}
		}

		dead := two[0]
		p.agents[dead].end()
		pass(500 * time.Millisecond)
		s.take()
		died := time.Now()
		p.set(dead, cdn.StateDown)
		three := report.Aggregators("fra", slices.DeleteFunc(slices.Clone(names), func(n cdn.NodeName) bool { return n == dead }))
		pass(100 * time.Millisecond)
		told := make(map[cdn.NodeName]bool)
		for _, r := range s.take() {
			if slices.ContainsFunc(r.Members, func(m report.Member) bool { return m.Node == dead && m.State == cdn.StateDown }) {
				told[r.From] = true
				if after := r.at.Sub(died); after > 20*time.Millisecond {
					t.Errorf("%s told after %v", r.From, after)
				}
			}
		}
		if len(told) != 2 || !told[three[0]] || !told[three[1]] {
			t.Errorf("%v told it, want %v", told, three)
		}
	})
}

// TestCoalesced: news that comes in a burst is one report.
func TestCoalesced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newPlace("fra", "a", "b", "c", "d"), new(servers)
		p.run(t, config(p, report.Aggregators("fra", []cdn.NodeName{"a", "b", "c", "d"})[0]), s)
		pass(500 * time.Millisecond)
		s.take()
		for _, n := range []cdn.NodeName{"a", "b", "c", "d"} {
			p.set(n, cdn.StateDraining)
			pass(time.Millisecond)
		}
		pass(100 * time.Millisecond)
		got := s.take()
		if len(got) != 1 || got[0].Members[3].State != cdn.StateDraining {
			t.Errorf("%d reports", len(got))
		}
	})
}

// TestServers: one that hangs and one that fails delay nobody. What they missed of visitors they are told when they are back, all else
// is as new as it can be.
func TestServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newPlace("fra", "a"), new(servers)
		cfg := config(p, "a")
		cfg.Servers = []string{"http://well", "http://hangs", "http://fails/"}
		n := p.run(t, cfg, s)
		s.set("hangs", -1)
		s.set("fails", http.StatusServiceUnavailable)
		pass(30*time.Second + 900*time.Millisecond)
		well := s.take()
		if len(well) < 30 {
			t.Errorf("%d reports in 30 s", len(well))
		}
		for i, r := range well[1:] {
			if gap := r.at.Sub(well[i].at); r.host != "well" || gap > time.Second+20*time.Millisecond {
				t.Errorf("%s was told after %v", r.host, gap)
			}
		}
		if waiting := metric(t, n.reg, "waiting_rows"); waiting < 9 || waiting > 24 {
			t.Errorf("%v rows wait, want 9 or 12 for each of two, but for what is just being told", waiting)
		}
		if failed := metric(t, n.reg, "posts_total", "failed", "hangs"); failed < 14 || failed > 16 {
			t.Errorf("the one that hangs was tried %v times in 30 s, want 15", failed)
		}
		s.set("hangs", 0)
		s.set("fails", 0)
		pass(4 * time.Second)
		samples := make(map[string]int)
		for _, r := range s.take() {
			for _, n := range r.Nodes {
				if n.Visitors != nil {
					samples[r.host] += len(n.Visitors.Samples)
				} else if age := r.at.Sub(n.At); age > 1100*time.Millisecond {
					t.Errorf("a load of %s is %v old", r.host, age)
				}
			}
		}
		if samples["hangs"] < 6 || samples["fails"] < 6 {
			t.Errorf("they were told of so many samples: %v", samples)
		}
		if waiting := metric(t, n.reg, "waiting_rows"); waiting != 0 && waiting != 9 {
			t.Errorf("%v rows wait, want none, or those of a batch that came just now for each of three", waiting)
		}
	})
}

// TestAnswers: what a server would refuse again is not kept for it.
func TestAnswers(t *testing.T) {
	for status, c := range map[int]struct {
		outcome string
		kept    bool
	}{
		http.StatusConflict:              {"old", false},
		http.StatusUnprocessableEntity:   {"refused", false},
		http.StatusRequestEntityTooLarge: {"refused", false},
		http.StatusUnauthorized:          {"failed", true},
		http.StatusNotFound:              {"failed", true},
		http.StatusTooManyRequests:       {"failed", true},
		http.StatusFound:                 {"failed", true},
		http.StatusInternalServerError:   {"failed", true},
	} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, s := newPlace("fra", "a"), new(servers)
				s.set("one", status)
				n := p.run(t, config(p, "a"), s)
				pass(20*time.Second + 500*time.Millisecond)
				if got := metric(t, n.reg, "posts_total", c.outcome); got < 20 {
					t.Errorf("%v are %s", got, c.outcome)
				}
				waiting, dropped := metric(t, n.reg, "waiting_rows"), metric(t, n.reg, "dropped_total", "visitors")
				if waiting+dropped != 6 && waiting+dropped != 9 || c.kept && dropped != 0 || !c.kept && waiting > 3 { // one batch may be new
					t.Errorf("%v wait and %v were dropped", waiting, dropped)
				}
			})
		})
	}
}

// TestWAN: an aggregator is in the pool of all POPs, from 2 s after it became one until 10 s after it has ceased to be.
func TestWAN(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := []cdn.NodeName{"a", "b", "c"}
		rank := report.Aggregators("fra", names)
		third := slices.DeleteFunc(slices.Clone(names), func(n cdn.NodeName) bool { return slices.Contains(rank, n) })[0]
		p, s := newPlace("fra", names...), new(servers)
		cfg := config(p, third)
		var opened, inside atomic.Int64
		var fail atomic.Bool
		cfg.OpenWAN = func() (func(context.Context) error, error) {
			if opened.Add(1); fail.Load() {
				return nil, errors.New("the port is taken")
			}
			return func(ctx context.Context) error {
				inside.Add(1)
				defer inside.Add(-1)
				<-ctx.Done()
				return nil
			}, nil
		}
		n := p.run(t, cfg, s)
		check := func(when string, aggregator, in, times int) {
			t.Helper()
			if got := metric(t, n.reg, "aggregator"); int(got) != aggregator {
				t.Errorf("%s: aggregator is %v, want %d", when, got, aggregator)
			}
			if got := metric(t, n.reg, "wan"); int(inside.Load()) != in || int(got) != in || int(opened.Load()) != times {
				t.Errorf("%s: %d inside, opened %d times; want %d and %d", when, inside.Load(), opened.Load(), in, times)
			}
		}
		pass(5 * time.Second)
		check("as the third", 0, 0, 0)
		p.set(rank[0], cdn.StateDown)
		pass(1500 * time.Millisecond)
		check("as a new one", 1, 0, 0)
		pass(2 * time.Second)
		check("as a steady one", 1, 1, 1)
		p.set(rank[0], cdn.StateReady)
		pass(9 * time.Second)
		check("9 s after it was the last time", 1, 1, 1)
		pass(3 * time.Second)
		check("12 s after", 0, 0, 1)
		s.take()
		pass(5 * time.Second)
		if got := s.take(); len(got) != 0 {
			t.Errorf("it goes on reporting: %d", len(got))
		}
		fail.Store(true)
		p.set(rank[1], cdn.StateDown)
		pass(9 * time.Second)
		check("when it cannot", 1, 0, 3)
		if got := metric(t, n.reg, "wan_failures_total"); got != 2 {
			t.Errorf("%v failures, want 2", got)
		}
		fail.Store(false)
		pass(5 * time.Second)
		check("when it can again", 1, 1, 4)
	})
}

// TestVotes: a POP that is not heard of any more is voted down at once after the third miss, and up at once.
func TestVotes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newPlace("fra", "a"), new(servers)
		cfg := config(p, "a")
		var up atomic.Bool
		up.Store(true)
		cfg.Probe.Dial = func(ctx context.Context, _, addr string) (net.Conn, error) {
			if !up.Load() || addr != "198.51.100.0:8080" && addr != "192.0.2.200:443" {
				return nobody(ctx, "", addr)
			}
			wait, cancel := context.WithTimeout(ctx, 25*time.Millisecond)
			defer cancel()
			<-wait.Done()
			return probetest.Conn(), nil
		}
		cfg.Probe.Resolve = func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("192.0.2.200")}, nil
		}
		n := p.run(t, cfg, s)
		f := fleet([]cdn.NodeName{"a"}, "lon", "nyc")
		f.Fleet.HTTPPort = 8080
		f.Sites = []cdn.Site{{Origin: cdn.Origin{URLs: []string{"https://origin.example", "https://origin.example/"}}}}
		n.Apply(f)
		pass(31 * time.Second)
		got := s.take()
		last := got[len(got)-1]
		want := []report.Vote{{POP: "lon", Up: true}, {POP: "nyc", Up: false}}
		if diff := cmp.Diff(want, last.Votes); diff != "" {
			t.Error(diff)
		}
		probes := make(map[string]int)
		for _, r := range got {
			for _, probe := range r.Probes {
				probes[fmt.Sprint(probe.To, " ", probe.RTT)]++
			}
		}
		delete(probes, "lon 25")
		delete(probes, "nyc -1")
		delete(probes, "https://origin.example 25")
		if len(probes) != 0 {
			t.Errorf("there are also %v", probes)
		}
		if a, b := metric(t, n.reg, "probes_total", "pop"), metric(t, n.reg, "probes_total", "origin"); a < 4 || a > 8 || b < 1 || b > 2 {
			t.Errorf("%v probes of POPs and %v of origins in 31 s, want 6 and 1", a, b)
		}
		if a := metric(t, n.reg, "probes_total", "vote"); a < 118 || a > 124 {
			t.Errorf("%v probes for votes in 31 s, want 122", a)
		}

		up.Store(false)
		began := time.Now()
		pass(3 * time.Second)
		told := slices.IndexFunc(s.got, func(r received) bool { return !r.Votes[0].Up })
		if told < 0 {
			t.Fatal("it is not voted down")
		}
		if after := s.got[told].at.Sub(began); after < 2*time.Second || after > 2530*time.Millisecond {
			t.Errorf("it is voted down after %v, want 2 to 2.52 s", after)
		}
		s.take()
		up.Store(true)
		began = time.Now()
		pass(time.Second)
		told = slices.IndexFunc(s.got, func(r received) bool { return r.Votes[0].Up })
		if told < 0 || s.got[told].at.Sub(began) > 550*time.Millisecond {
			t.Error("it is not voted up at once")
		}

		n.Apply(fleet([]cdn.NodeName{"a"}, "nyc")) // lon is gone
		pass(2 * time.Second)
		got = s.take()
		if v := got[len(got)-1].Votes; len(v) != 1 || v[0].POP != "nyc" {
			t.Errorf("votes are %v", v)
		}
	})
}

// TestForeignMessages: what is not of a member, malformed or heard before changes nothing.
func TestForeignMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newPlace("fra", "a", "b"), new(servers)
		n := p.run(t, config(p, "a"), s)
		pass(500 * time.Millisecond)
		message := func(node cdn.NodeName, seq uint64, load *cdn.NodeLoad) []byte {
			r := report.Node{Node: node, Incarnation: 5, Seq: seq, At: time.Now(), Load: load}
			msg, err := r.Encode()
			if err != nil {
				t.Fatal(err)
			}
			return msg
		}
		well := &cdn.NodeLoad{CPU: 0.5}
		for _, c := range []struct {
			name    string
			from    cdn.NodeName
			msg     []byte
			outcome string
		}{
			{"well", "b", message("b", 10, well), "ok"},
			{"again", "b", message("b", 10, well), "old"},
			{"overtaken", "b", message("b", 9, well), "old"},
			{"a broken sensor", "b", message("b", 11, &cdn.NodeLoad{CPU: math.NaN()}), "ok"},
			{"of a stranger", "x", message("x", 1, well), "stranger"},
			{"in another's name", "a", message("b", 12, well), "stranger"},
			{"noise", "b", []byte("noise"), "malformed"},
			{"nothing", "b", nil, "malformed"},
		} {
			before := metric(t, n.reg, "received_total", c.outcome)
			n.Message(c.from, c.msg)
			if got := metric(t, n.reg, "received_total", c.outcome); got != before+1 {
				t.Errorf("%s: it is not %s", c.name, c.outcome)
			}
		}
		if got := metric(t, n.reg, "refused_parts_total"); got != 1 {
			t.Errorf("%v absurd parts, want 1", got)
		}
		s.take()
		pass(time.Second)
		for _, r := range s.take() {
			for _, n := range r.Nodes {
				if n.Node == "b" && (n.Seq != 11 || n.Load != nil) {
					t.Errorf("%+v, want the heartbeat without the load", n)
				}
			}
		}
	})
}

// TestDelivery: an aggregator that cannot be reached costs nothing but its copy, and is counted.
func TestDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := []cdn.NodeName{"a", "b", "c"}
		two := report.Aggregators("fra", names)
		third := slices.DeleteFunc(slices.Clone(names), func(n cdn.NodeName) bool { return slices.Contains(two, n) })[0]
		p, s := newPlace("fra", names...), new(servers)
		p.lost[two[0]] = true
		p.run(t, config(p, two[1]), s)
		n := p.run(t, config(p, third), s)
		pass(20*time.Second + 500*time.Millisecond)
		for _, c := range []struct {
			kind     string
			from, to float64
		}{{"load", 21, 21}, {"visitors", 2, 3}} {
			ok, failed := metric(t, n.reg, "sent_total", c.kind, "ok"), metric(t, n.reg, "sent_total", c.kind, "failed")
			if ok != failed || ok < c.from || ok > c.to {
				t.Errorf("%s: %v went out and %v failed, want %v of each", c.kind, ok, failed, c.from)
			}
		}
	})
}

// visitors returns a report of b with so many networks.
func visitors(seq uint64, networks, sites int) *report.Node {
	b := batch(networks)
	for i := range sites {
		b.Sites = append(b.Sites, cdn.SiteRate{Site: cdn.SiteName(fmt.Sprint("s", i))})
	}
	return &report.Node{Node: "b", Incarnation: 1, Seq: seq, At: time.Now(), Visitors: &b}
}

// TestBounds: whatever comes, what waits for a server is bounded, the oldest goes first, and is counted.
func TestBounds(t *testing.T) {
	newAgent := func() (*agent.Agent, *prometheus.Registry) {
		p := newPlace("fra", "a")
		cfg := config(p, "a")
		a, err := agent.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return a, cfg.Registry
	}
	t.Run("networks", func(t *testing.T) {
		a, reg := newAgent()
		for i := range uint64(40) {
			if rows, _ := a.Add(visitors(i+1, report.MaxSamples, 0)); rows > agent.MaxKept {
				t.Fatalf("%d rows wait, at most %d may", rows, agent.MaxKept)
			}
		}
		if dropped := metric(t, reg, "dropped_total", "visitors"); int(dropped) != 40*report.MaxSamples-agent.MaxKept {
			t.Errorf("%v were dropped", dropped)
		}
		first := a.Take().Nodes[0]
		if oldest := uint64(40 - agent.MaxKept/report.MaxSamples + 1); first.Seq != oldest {
			t.Errorf("the oldest is %d, want %d", first.Seq, oldest)
		}
	})
	t.Run("batches", func(t *testing.T) {
		a, reg := newAgent()
		for i := range uint64(2000) {
			if _, reports := a.Add(visitors(i+1, 1, 0)); reports > agent.MaxBatches {
				t.Fatalf("%d reports wait, at most %d may", reports, agent.MaxBatches)
			}
		}
		if dropped := metric(t, reg, "dropped_total", "visitors"); int(dropped) != 2000-agent.MaxBatches {
			t.Errorf("%v were dropped", dropped)
		}
		if p := a.Take(); len(p.Nodes) > report.MaxNodes {
			t.Errorf("%d nodes in one report", len(p.Nodes))
		}
	})
	t.Run("nodes", func(t *testing.T) {
		a, reg := newAgent()
		for i := range 100 {
			n := &report.Node{Node: cdn.NodeName(fmt.Sprint("n", i)), Load: new(cdn.NodeLoad)}
			a.Add(n)
			a.Add(n) // the newest counts
		}
		if p := a.Take(); len(p.Nodes) != report.MaxMembers {
			t.Errorf("%d loads, want %d", len(p.Nodes), report.MaxMembers)
		}
		if dropped := metric(t, reg, "dropped_total", "load"); dropped != 2*36 {
			t.Errorf("%v were dropped, want 72", dropped)
		}
	})
	t.Run("probes", func(t *testing.T) {
		a, reg := newAgent()
		for range 5000 {
			if n := a.AddProbe(report.Probe{}); n > report.MaxProbes {
				t.Fatalf("%d wait", n)
			}
		}
		if dropped := metric(t, reg, "dropped_total", "probe"); int(dropped) != 5000-report.MaxProbes {
			t.Errorf("%v were dropped", dropped)
		}
		if p := a.Take(); p.Dropped != uint64(5000-report.MaxProbes) {
			t.Errorf("%d are said to be dropped", p.Dropped)
		}
	})
	t.Run("octets", func(t *testing.T) {
		a, _ := newAgent()
		long := netip.MustParsePrefix("2001:db8:ffff::/48")
		for i := range uint64(64) {
			n := visitors(i+1, report.MaxSamples/2, 0)
			for j := range n.Visitors.Samples {
				n.Visitors.Samples[j] = cdn.VisitorSample{
					Network: long, RTTs: slices.Repeat([]float32{1.2345678e-7}, 8), Packets: math.MaxUint32, Lost: math.MaxUint32,
					Requests: math.MaxUint32, Failed: math.MaxUint32, Octets: math.MaxUint64,
				}
			}
			for j := range report.MaxSites {
				n.Visitors.Sites = append(n.Visitors.Sites, cdn.SiteRate{Site: cdn.SiteName(fmt.Sprint(strings.Repeat("s", 60), j)), Requests: math.MaxUint64, Octets: math.MaxUint64})
			}
			a.Add(n)
		}
		for i := range report.MaxProbes {
			a.AddProbe(report.Probe{To: "https://" + strings.Repeat("o", 250) + fmt.Sprint(i), RTT: 29999.999, At: time.Now()})
		}
		p := a.Take()
		if _, err := p.Encode(); err != nil || len(p.Nodes) < 4 {
			t.Errorf("%d nodes: %v", len(p.Nodes), err)
		}
	})
}

func TestSplit(t *testing.T) {
	for _, n := range []int{0, 1, 2048, 2049, 10_000} {
		b := batch(n)
		b.Sites = make([]cdn.SiteRate, 300)
		total := 0
		for i, part := range agent.Split(&b) {
			r := report.Node{Node: "a", Incarnation: 1, Seq: 1, At: time.Now(), Visitors: part}
			if _, err := r.Encode(); err != nil || len(part.Samples) > report.MaxSamples {
				t.Error(err)
			}
			if want := 256; i == 0 && len(part.Sites) != want || i > 0 && len(part.Sites) > 0 {
				t.Errorf("part %d has %d sites", i, len(part.Sites))
			}
			total += len(part.Samples)
		}
		if total != n {
			t.Errorf("%d of %d networks", total, n)
		}
	}
	if parts := agent.Split(new(cdn.VisitorBatch)); len(parts) != 0 {
		t.Errorf("nothing is %d parts", len(parts))
	}
}

// TestOddSamples: a round trip that is no number costs its sample, not the batch.
func TestOddSamples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newPlace("fra", "a"), new(servers)
		cfg := config(p, "a")
		cfg.Visitors = func() cdn.VisitorBatch {
			b := batch(3)
			b.Samples[1].RTTs[0] = float32(math.NaN())
			return b
		}
		n := p.run(t, cfg, s)
		pass(11 * time.Second)
		samples := 0
		for _, r := range s.take() {
			for _, n := range r.Nodes {
				if n.Visitors != nil {
					samples += len(n.Visitors.Samples)
				}
			}
		}
		if dropped := metric(t, n.reg, "dropped_total", "visitors"); samples < 2 || int(dropped)*2 != samples {
			t.Errorf("%d samples came, %v were dropped", samples, dropped)
		}
	})
}

// TestManyMembers: of too many those are told who are not healthy.
func TestManyMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newPlace("fra"), new(servers)
		for i := range 100 {
			p.members = append(p.members, gossip.Member{Name: cdn.NodeName(fmt.Sprintf("n%02d", i)), State: cdn.StateReady})
		}
		p.set("n99", cdn.StateDown)
		me := report.Aggregators("fra", []cdn.NodeName{"n00", "n01"})[0]
		for i := range 99 { // all but this one must not be aggregators
			if name := p.members[i].Name; name != me && i < 98 {
				p.set(name, cdn.StateDown)
			}
		}
		p.run(t, config(p, me), s)
		pass(1500 * time.Millisecond)
		got := s.take()
		down := 0
		for _, m := range got[0].Members {
			if m.State == cdn.StateDown {
				down++
			}
		}
		if len(got[0].Members) != report.MaxMembers || down != report.MaxMembers {
			t.Errorf("%d members, %d of them down", len(got[0].Members), down)
		}
	})
}

func TestOrigins(t *testing.T) {
	p := newPlace("fra", "a")
	a, err := agent.New(config(p, "a"))
	if err != nil {
		t.Fatal(err)
	}
	var sites []cdn.Site
	for i := range 200 {
		sites = append(sites, cdn.Site{Origin: cdn.Origin{URLs: []string{fmt.Sprintf("https://o%d.example", i/2), "no URL"}}})
	}
	if got := a.Shortlist(sites[:20]); len(got) != 10 {
		t.Errorf("%d origins, want 10", len(got))
	}
	if got := a.Shortlist(sites); len(got) != 64 {
		t.Errorf("%d origins, want 64", len(got))
	}
	for origin, want := range map[string]string{
		"http://a.example":        "a.example:80",
		"https://a.example":       "a.example:443",
		"https://a.example:8443":  "a.example:8443",
		"http://[2001:db8::1]:81": "[2001:db8::1]:81",
		"http://[2001:db8::1]":    "[2001:db8::1]:80",
		"://":                     "",
	} {
		if got := agent.HostOf(origin); got != want {
			t.Errorf("%s is %q, want %q", origin, got, want)
		}
	}
}

func TestBadConfig(t *testing.T) {
	for name, breaks := range map[string]func(*agent.Config){
		"node":   func(c *agent.Config) { c.Node = "A" },
		"POP":    func(c *agent.Config) { c.POP = "" },
		"server": func(c *agent.Config) { c.Servers = []string{"one:7071"} },
		"many":   func(c *agent.Config) { c.Servers = slices.Repeat([]string{"http://one"}, 65) },
	} {
		cfg := config(newPlace("fra", "a"), "a")
		breaks(&cfg)
		if _, err := agent.New(cfg); err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
	a, err := agent.New(config(newPlace("fra", "a"), "a"))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Apply(nil); cdn.KindOf(err) != cdn.Invalid {
		t.Errorf("no configuration: %v", err)
	}
}

// TestSockets: with real sockets, one connection is enough for all reports, and another POP that answers is voted up.
func TestSockets(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	defer other.Close()
	reports := make(chan *report.POP, 100)
	var connections atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, refused, err := report.Decode(r.Body, time.Now())
		if err != nil || refused.Count > 0 || r.URL.Path != "/v1/report" {
			t.Error(r.URL, err, refused)
			return
		}
		reports <- p
		w.WriteHeader(http.StatusNoContent)
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	p := newPlace("fra", "a")
	cfg := config(p, "a")
	cfg.Servers, cfg.Probe.Dial = []string{server.URL}, nil
	n := p.run(t, cfg, nil)
	f := fleet([]cdn.NodeName{"a"}, "lon")
	f.Fleet.Nodes[1].Addresses = []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	f.Fleet.HTTPPort = uint16(other.Listener.Addr().(*net.TCPAddr).Port)
	n.Apply(f)
	for p := range reports {
		if len(p.Votes) == 1 && p.Votes[0].Up && p.Seq > 3 {
			break
		}
	}
	n.end()
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// TestOperatorsAreTold: docs/OPERATIONS.md has every metric.
func TestOperatorsAreTold(t *testing.T) {
	document, err := os.ReadFile(filepath.Join("..", "..", "docs", "OPERATIONS.md"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := config(newPlace("fra", "a"), "a")
	if _, err := agent.New(cfg); err != nil {
		t.Fatal(err)
	}
	metrics := make(chan *prometheus.Desc)
	go func() {
		defer close(metrics)
		cfg.Registry.Describe(metrics)
	}()
	name, described := regexp.MustCompile(`fqName: "nearcast_agent_([a-z_]+)"`), 0
	for m := range metrics {
		found := name.FindStringSubmatch(m.String())
		if found == nil {
			t.Fatalf("what is %s?", m)
		}
		described++
		if !regexp.MustCompile("`" + found[1] + "[`{]").Match(document) {
			t.Errorf("the metric %s is not there", found[1])
		}
	}
	if described < 15 {
		t.Errorf("%d metrics found, want at least 15", described)
	}
}
