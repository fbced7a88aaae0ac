package steer_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/scheduler/decide"
	"nearcast/scheduler/steer"
)

// mapOf is the map's content and how it came about, without when it was made here.
func mapOf(m *steer.Mapper, now time.Time) cdn.MapVersion {
	v := status(m, now).Map
	v.At = time.Time{}
	return v
}

// events change a table as the world does.
func events(r *rand.Rand, i int, all []*cdn.VisitorGroup, t *cdn.RouteTable) {
	for p := range t.POPs {
		t.POPs[p].Load = max(0, t.POPs[p].Load+0.2*(r.Float64()-0.5))
		t.POPs[p].State, t.POPs[p].Share = cdn.POPUp, 1
	}
	for n := range t.Nodes {
		t.Nodes[n].State = cdn.StateReady
	}
	switch p := i / 3 % len(t.POPs); i % 9 {
	case 1:
		t.POPs[p].State = cdn.POPDown
	case 2:
		t.Nodes[2*p].State, t.Nodes[2*p+1].State = cdn.StateDown, cdn.StateDraining
	case 4:
		t.POPs[p].State, t.POPs[p].Share = cdn.POPSuppressed, 0.1
	case 5:
		t.Groups = all[:3] // frozen
	case 6:
		t.POPs = t.POPs[:1] // refused
	case 7:
		t.POPs[0].State, t.POPs[1].State, t.POPs[2].State = cdn.POPDown, cdn.POPDown, cdn.POPDown // frozen
	}
	if len(t.Groups) == len(all) {
		for g := range t.Groups {
			c := *all[g]
			c.Octets *= 1 + 40*r.Float64()
			c.Paths = slices.Clone(c.Paths)
			for q := range c.Paths {
				c.Paths[q].R50 *= 0.7 + 0.6*r.Float32()
			}
			t.Groups[g] = &c
		}
	}
}

// Schedulers that are fed the same have the same map after each event, and so has one that adopts another's state on the way; through failures, absurd tables, news
// between slots, drains, policies that begin and end, a publisher that starts anew, and hours without any tables.
func TestSame(t *testing.T) {
	for seed := range uint64(4) {
		w := newWorld(t, 6, 30)
		w.snapshot.Fleet.Policies = []cdn.Policy{
			{Name: "shop", Match: cdn.PolicyMatch{Sites: []cdn.SiteName{"shop"}}, Deny: []cdn.POPName{"p01"}},
			{Name: "soon", Match: cdn.PolicyMatch{Window: cdn.Window{From: begin.Add(5 * time.Minute)}, Countries: []string{"BB"}}, Pin: "p04"},
			{Name: "later", Match: cdn.PolicyMatch{Window: cdn.Window{From: begin.Add(9 * time.Minute)}}, Weights: []cdn.POPWeight{{POP: "p02", Weight: 1}, {POP: "p03", Weight: 2}}},
		}
		w.table.Sites = []cdn.SiteShare{{Site: "news", Share: 0.3}, {Site: "shop", Share: 0.2}}
		good := *w.table
		r := rand.New(rand.NewPCG(seed, 1))
		one, two, late := w.mapper(), w.mapper(), steer.New()
		late.Configure(w.plan(), begin)
		adopted, maps := false, make(map[string]bool)
		now := begin
		for i := range 150 {
			now = now.Add(cdn.SlotTime)
			if i == 70 {
				w.snapshot.Drains = []cdn.Drain{{POP: "p05"}}
				for _, m := range []*steer.Mapper{one, two, late} {
					m.Configure(w.plan(), now)
				}
			}
			last := *w.table
			last.POPs, last.Groups = good.POPs, good.Groups
			w.table = &last
			table := w.next(func(t *cdn.RouteTable) { events(r, i, good.Groups, t) })
			switch i % 25 {
			case 10: // between slots
				table.Slot--
			case 20:
				table.Epoch += "x"
			}
			if i%50 == 49 {
				for end := now.Add(50 * time.Minute); now.Before(end); now = now.Add(7 * time.Second) {
					for _, m := range []*steer.Mapper{one, two, late} {
						m.Tick(now)
					}
				}
				table.At = now
			}
			one.Table(now, table)
			two.Table(now.Add(3*time.Millisecond), table)
			if adopted {
				late.Table(now, table)
			}
			if adopted = adopted || i >= 30 && i%9 == int(seed)+4; adopted && i < 45 {
				state, version, err := one.State()
				if err != nil || version.Steps == 0 {
					t.Fatalf("state: %v, %+v", err, version)
				}
				if err := late.Adopt(now, state); err != nil {
					t.Fatal(err)
				}
			}
			want := mapOf(one, now)
			maps[want.Digest] = true
			if got := mapOf(two, now); got != want {
				t.Fatalf("seed %d, event %d: the second has %+v, the first %+v", seed, i, got, want)
			}
			if got := mapOf(late, now); adopted && got != want {
				t.Fatalf("seed %d, event %d: the third has %+v, the first %+v", seed, i, got, want)
			}
		}
		if len(maps) < 30 {
			t.Errorf("only %d different maps in 150 events", len(maps))
		}
	}
}

// What becomes of the map when route quality is gone: for a minute nothing; then loads are unknown; after 15 minutes so are states; costs go towards
// geography with a half-life of four hours and are that after a day; and there always is a map.
func TestAgeing(t *testing.T) {
	w := newWorld(t, 6, 60)
	near := w.group(4) // at longitude 4: p00 is nearest by geography, and measured to be slow
	for _, g := range w.table.Groups {
		if g.Name == near {
			g.Paths[0].R50, g.Paths[0].R90 = 95, 95
			g.Paths[1].R50, g.Paths[1].R90 = 25, 25
		}
	}
	w.table.POPs[3].State = cdn.POPDown
	w.table.POPs[2].Load = 0.97
	m := w.mapper()
	costs := func(now time.Time) (p00, p01 float64) {
		x := decide.Explain(m.View(now, nil), decide.Query{Domain: "www.shop.example", Client: w.snapshot.Fleet.Clients[4].Prefix.Addr(), Now: now})
		for _, c := range x.Candidates {
			sum := 0.0
			for _, term := range c.Terms {
				sum += term.MS
			}
			switch c.POP {
			case "p00":
				p00 = sum
			case "p01":
				p01 = sum
			}
		}
		return p00, p01
	}
	at := map[time.Duration]func(now time.Time, s *cdn.MapStatus){
		59 * time.Second: func(_ time.Time, s *cdn.MapStatus) {
			if s.Ageing != "fresh" || s.POPs[2].Load != 0.97 || s.POPs[3].Usable != 0 {
				t.Errorf("after a minute: %+v", s)
			}
		},
		2 * time.Minute: func(_ time.Time, s *cdn.MapStatus) {
			if s.Ageing != "ageing" || s.POPs[2].Load != -1 || s.POPs[3].Usable != 0 {
				t.Errorf("after two minutes: %+v", s)
			}
		},
		14 * time.Minute: func(_ time.Time, s *cdn.MapStatus) {
			if s.POPs[3].Usable != 0 || s.POPs[3].Share != 0 {
				t.Errorf("after 14 minutes p03 is down no more: %+v", s.POPs[3])
			}
		},
		16 * time.Minute: func(_ time.Time, s *cdn.MapStatus) {
			if s.POPs[3].Usable != 2 || s.POPs[3].Share == 0 {
				t.Errorf("after 16 minutes p03 is down still: %+v", s.POPs[3])
			}
		},
		4 * time.Hour: func(now time.Time, s *cdn.MapStatus) {
			slow, fast := costs(now) // geography has about 22 and 26 ms
			if math.Abs(slow-61) > 5 || math.Abs(fast-28) > 5 || s.Ageing != "ageing" {
				t.Errorf("after four hours: %.0f and %.0f ms, %s", slow, fast, s.Ageing)
			}
			if got := shares(t, m, now, string(near)); got["p01"] != 1 {
				t.Errorf("after four hours: %v, want all at p01", got)
			}
		},
		25 * time.Hour: func(now time.Time, s *cdn.MapStatus) {
			if slow, fast := costs(now); slow >= fast || s.Ageing != "static" {
				t.Errorf("after a day: %.0f and %.0f ms, %s", slow, fast, s.Ageing)
			}
			if got := shares(t, m, now, string(near)); got["p00"] != 1 {
				t.Errorf("after a day: %v, want all at p00", got)
			}
		},
	}
	steps := uint64(1)
	for age := time.Second; age <= 30*time.Hour; age += time.Second {
		now := begin.Add(age)
		changed := m.Tick(now)
		check := at[age]
		if !changed && check == nil {
			continue
		}
		s := status(m, now)
		if s.Groups != 60 || s.Map.Digest == "" {
			t.Fatalf("after %v: %+v", age, s)
		}
		for _, p := range s.POPs {
			if p.POP != "p03" && p.Usable != 2 {
				t.Fatalf("after %v: %+v", age, p)
			}
		}
		if s.Map.Steps != steps && now.Sub(begin)%(5*time.Minute) != 0 {
			t.Errorf("a step after %v, which is not at five minutes", age)
		}
		steps = s.Map.Steps
		if check != nil {
			check(now, &s)
		}
	}
	now := begin.Add(30 * time.Hour)
	m.Table(now, w.next(func(t *cdn.RouteTable) { t.At = now }))
	if s := status(m, now); s.Ageing != "fresh" || shares(t, m, now, string(near))["p01"] == 0 {
		t.Errorf("with a table again: %+v", s)
	}
}

// A confirmation keeps a table fresh, however long; and brings back one that has grown old.
func TestConfirmed(t *testing.T) {
	w := newWorld(t, 6, 20)
	m := w.mapper()
	now := begin
	for range 100 {
		now = now.Add(30 * time.Second)
		m.Tick(now)
		m.Table(now, w.table)
	}
	if s := status(m, now); s.Ageing != "fresh" || s.Map.Steps != 1 {
		t.Errorf("confirmed all the time: %+v", s)
	}
	for range 3600 {
		now = now.Add(time.Second)
		m.Tick(now)
	}
	if s := status(m, now); s.Ageing != "ageing" || s.Map.Steps == 1 {
		t.Errorf("an hour without: %+v", s)
	}
	m.Table(now, w.table)
	if s := status(m, now); s.Ageing != "fresh" {
		t.Errorf("confirmed again: %+v", s)
	}
}

// A state that cannot be one is refused, and changes nothing.
func TestAdoptRefuses(t *testing.T) {
	w := newWorld(t, 6, 20)
	state, _, err := w.mapper().State()
	if err != nil {
		t.Fatal(err)
	}
	if err := steer.New().Adopt(begin, state); err == nil {
		t.Error("adopted without a configuration")
	}
	if _, _, err := steer.New().State(); cdn.KindOf(err) != cdn.NotFound {
		t.Errorf("the state of nothing: %v", err)
	}
	m := w.mapper()
	before := mapOf(m, begin)
	for _, test := range []struct {
		name  string
		state []byte
		now   time.Time
	}{
		{"nothing", nil, begin},
		{"cut", state[:len(state)-1], begin},
		{"more", append(slices.Clone(state), 0), begin},
		{"other", []byte("nearcast map 1\n"), begin},
		{"future", state, begin.Add(-time.Hour)},
	} {
		if err := m.Adopt(test.now, test.state); cdn.KindOf(err) != cdn.Invalid {
			t.Errorf("%s: error %v, want one of kind invalid", test.name, err)
		}
	}
	if got := mapOf(m, begin); got != before {
		t.Errorf("the map is %+v, was %+v", got, before)
	}
}

func FuzzAdopt(f *testing.F) {
	w := newWorld(f, 3, 4)
	state, _, err := w.mapper().State()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(state, 0, byte(0))
	for i := 20; i < len(state); i += 97 {
		f.Add(state[:i], 0, byte(0))
		f.Add(state, i, byte(0xff))
	}
	plan := w.plan()
	f.Fuzz(func(t *testing.T, b []byte, at int, flip byte) {
		b = slices.Clone(b)
		if at >= 0 && at < len(b) {
			b[at] ^= flip
		}
		m := steer.New()
		m.Configure(plan, begin)
		if err := m.Adopt(begin, b); err != nil {
			return
		}
		if _, _, err := m.State(); err != nil {
			t.Errorf("adopted, but it has no state: %v", err)
		}
		now := begin.Add(time.Hour)
		m.Tick(now)
		w := *w
		m.Table(now, w.next(func(t *cdn.RouteTable) { t.Epoch, t.At = "z", now }))
		if s := status(m, now); s.Map.Digest == "" {
			t.Error("no map")
		}
	})
}
