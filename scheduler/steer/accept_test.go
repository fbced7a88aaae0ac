package steer_test

import (
	"slices"
	"strings"
	"testing"

	"nearcast/cdn"
)

// What is frozen or doubted counts from the next step on when somebody has said that it is true, once; what cannot be right does not. Who has heard of that
// has seen more steps than who has not.
func TestAccept(t *testing.T) {
	down := func(pops int) func(*cdn.RouteTable) {
		return func(t *cdn.RouteTable) {
			for p := range pops {
				t.POPs[p].State = cdn.POPDown
			}
		}
	}
	for _, test := range []struct {
		name   string
		change func(*cdn.RouteTable)
		words  string // of what is accepted; empty: it cannot be
		taken  func(*cdn.MapStatus) bool
	}{
		{"third down", down(4), "4 of 10 POPs", func(s *cdn.MapStatus) bool { return s.POPs[3].Share == 0 && s.POPs[4].Share > 0 }},
		{"few POPs", func(t *cdn.RouteTable) { t.POPs = t.POPs[:4] }, "4 of the fleet's POPs", func(s *cdn.MapStatus) bool { return s.POPs[5].State == "" }},
		{"few groups", func(t *cdn.RouteTable) { t.Groups = t.Groups[:4] }, "less than half of the groups", func(s *cdn.MapStatus) bool { return s.Groups == 4 }},
		{"future", func(t *cdn.RouteTable) { t.At = begin.Add(cdn.SlotTime * 1000) }, "", nil},
		{"unsorted", func(t *cdn.RouteTable) { slices.Reverse(t.Groups) }, "", nil},
		{"nothing", func(*cdn.RouteTable) {}, "", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, 10, 20)
			m, other := w.mapper(), w.mapper()
			now := begin.Add(cdn.SlotTime)
			bad := w.next(test.change)
			m.Table(now, bad)
			other.Table(now, bad)
			held, err := m.Accept()
			if test.words == "" {
				if cdn.KindOf(err) != cdn.Conflict {
					t.Errorf("accepted %q, %v; want a conflict", held, err)
				}
				return
			}
			if err != nil || !strings.Contains(held, test.words) {
				t.Fatalf("accepted %q, %v; want what has %q", held, err, test.words)
			}
			now = now.Add(cdn.SlotTime)
			next := w.next(nil)
			m.Table(now, next)
			other.Table(now, next)
			if s := status(m, now); s.Frozen != "" || !test.taken(&s) {
				t.Errorf("accepted, but %+v", s)
			}
			if a, b := mapOf(m, now).Steps, mapOf(other, now).Steps; a <= b {
				t.Errorf("%d steps with it, %d without", a, b)
			}
			if _, err := m.Accept(); cdn.KindOf(err) != cdn.Conflict {
				t.Errorf("accepted again: %v", err)
			}
		})
	}
}

// What operators take away is not taken for an error of who measures.
func TestLossesByConfiguration(t *testing.T) {
	const some = 4 // of ten
	for name, test := range map[string]struct {
		configure func(*cdn.Snapshot)
		then      func(*cdn.RouteTable)
	}{
		"removed": {func(s *cdn.Snapshot) {
			s.Fleet.POPs = s.Fleet.POPs[some:]
			s.Fleet.Nodes = s.Fleet.Nodes[2*some:]
		}, func(t *cdn.RouteTable) { t.POPs, t.Nodes = t.POPs[some:], t.Nodes[2*some:] }},
		"drained, then switched off": {func(s *cdn.Snapshot) {
			for _, p := range s.Fleet.POPs[:some] {
				s.Drains = append(s.Drains, cdn.Drain{POP: p.Name})
			}
		}, func(t *cdn.RouteTable) {
			for p := range some {
				t.POPs[p].State = cdn.POPDown
			}
		}},
		"nodes drained, then switched off": {func(s *cdn.Snapshot) {
			for _, n := range s.Fleet.Nodes[:2*some] {
				s.Drains = append(s.Drains, cdn.Drain{Node: n.Name})
			}
		}, func(t *cdn.RouteTable) {
			for p := range some {
				t.POPs[p].State, t.Nodes[2*p].State, t.Nodes[2*p+1].State = cdn.POPDown, cdn.StateDown, cdn.StateDown
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 10, 20)
			m := w.mapper()
			now := begin
			s := *w.snapshot
			test.configure(&s)
			w.snapshot = &s
			m.Configure(w.plan(), now)
			step := func(change func(*cdn.RouteTable)) cdn.MapStatus {
				now = now.Add(cdn.SlotTime)
				m.Table(now, w.next(change))
				got := status(m, now)
				if got.Frozen != "" {
					t.Fatalf("frozen: %s", got.Frozen)
				}
				return got
			}
			for range 20 {
				step(nil)
			}
			got := step(test.then)
			for range 5 {
				got = step(nil)
			}
			for _, p := range got.POPs {
				if gone := p.POP < "p04"; gone && p.Share != 0 || !gone && p.Share == 0 {
					t.Errorf("%s has %v of the visitors", p.POP, p.Share)
				}
			}
		})
	}
}

// A POP that is drained, goes down and comes back, as to be mended, gets nobody as long as it is drained, even if one fails to which it is next.
func TestDrainedComesBack(t *testing.T) {
	w := newWorld(t, 6, 20)
	m := w.mapper()
	w.snapshot.Drains = []cdn.Drain{{POP: "p02"}}
	m.Configure(w.plan(), begin)
	now := begin
	for i := range 60 {
		now = now.Add(cdn.SlotTime)
		m.Table(now, w.next(func(t *cdn.RouteTable) {
			t.POPs[2].State = cdn.POPUp
			if i >= 20 && i < 30 {
				t.POPs[2].State = cdn.POPDown
			}
			if i >= 32 {
				t.POPs[3].State = cdn.POPDown // to which it is next
			}
		}))
		if share := status(m, now).POPs[2].Share; i > 14 && share != 0 {
			t.Fatalf("in step %d it has %v of the visitors", i, share)
		}
	}
}

// More than half of the fleet taken away may be a mistake: it needs somebody's word.
func TestMostOfTheFleetRemoved(t *testing.T) {
	w := newWorld(t, 10, 20)
	m := w.mapper()
	w.snapshot.Fleet.POPs, w.snapshot.Fleet.Nodes = w.snapshot.Fleet.POPs[6:], w.snapshot.Fleet.Nodes[12:]
	m.Configure(w.plan(), begin)
	now := begin.Add(cdn.SlotTime)
	m.Table(now, w.next(nil))
	s := status(m, now)
	if s.Frozen == "" || s.POPs[0].Usable != 2 {
		t.Fatalf("six of ten removed: %+v", s)
	}
	if _, err := m.Accept(); err != nil {
		t.Fatal(err)
	}
	now = now.Add(cdn.SlotTime)
	m.Table(now, w.next(nil))
	if s = status(m, now); s.Frozen != "" || s.POPs[0].Share == 0 {
		t.Errorf("accepted: %+v", s)
	}
}
