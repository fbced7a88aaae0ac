package decide_test

import (
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/scheduler/decide"
	"nearcast/scheduler/steer"
	"nearcast/scheduler/view"
)

// What has not changed for ten minutes, and has room, may be kept for longer; what is drained, for less.
func TestOutlook(t *testing.T) {
	x := situationOf()
	m := steer.New()
	configure := func() {
		p, err := view.Compile(x.s)
		if err != nil {
			t.Fatal(err)
		}
		m.Configure(p, noon)
	}
	configure()
	table := func(at time.Duration) {
		next := *x.t
		next.Slot, next.Version, next.At = uint64(1+at/cdn.SlotTime), uint64(1+at), noon.Add(at)
		x.t = &next
		m.Table(next.At, x.t)
	}
	check := func(at time.Duration, want decide.Outlook) {
		t.Helper()
		now := noon.Add(at)
		d := decide.Answer(m.View(now, nil), decide.Query{Domain: "www.shop.example", Client: prefixes("10.1.2.0/24")[0].Addr(), Now: now})
		if d.POP != "berlin" || d.Outlook != want {
			t.Errorf("after %v: %+v, want outlook %d in berlin", at, d, want)
		}
	}
	table(0)
	check(0, decide.Ordinary)
	table(9 * time.Minute) // the same shares
	check(9*time.Minute, decide.Ordinary)
	table(10 * time.Minute)
	check(10*time.Minute, decide.Stable)
	check(12*time.Minute, decide.Ordinary) // the load is not known any more
	x.t.POPs[0].Load = 0.7
	table(13 * time.Minute)
	check(13*time.Minute, decide.Ordinary)
	x.t.POPs[0].Load = 0.1
	table(14 * time.Minute)
	check(14*time.Minute, decide.Stable)
	x.s.Drains = []cdn.Drain{{POP: "berlin"}}
	configure()
	check(14*time.Minute, decide.Leaving)
	x.s.Drains = nil
	configure()
	check(14*time.Minute, decide.Stable)
	table(14*time.Minute + 5*time.Second)
	check(14*time.Minute+5*time.Second, decide.Stable)
}
