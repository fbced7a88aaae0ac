package scheduler_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/scheduler"
)

// measured is a table of the snapshot in which 203.0.113.0/24 is measured.
func measured(version uint64) *cdn.RouteTable {
	t := &cdn.RouteTable{Epoch: "e", Version: version, Slot: version, At: time.Now().Add(time.Duration(version) * time.Millisecond)}
	t.POPs = []cdn.POPHealth{{POP: "p1", State: cdn.POPUp, Share: 1, Load: 0.2, Capacity: 1e8}}
	t.Groups = []*cdn.VisitorGroup{{
		Name: "net 203.0.113.0/24", Octets: 1000, Paths: []cdn.Path{{POP: "p1", Quality: cdn.Quality{R50: 10, R90: 12, N: 9}}},
	}}
	return t
}

// What is answered from can be asked for, explained, and handed on.
func TestMap(t *testing.T) {
	one, other := start(t, config(slog.New(slog.DiscardHandler))), start(t, config(slog.New(slog.DiscardHandler)))
	client := netip.MustParseAddr("203.0.113.9")
	if _, err := one.Explain("www.shop.example", client); cdn.KindOf(err) != cdn.Unavailable {
		t.Errorf("explained without a configuration: %v", err)
	}
	if _, err := one.Status(); cdn.KindOf(err) != cdn.Unavailable {
		t.Errorf("status without a configuration: %v", err)
	}
	if _, err := one.Relief("p1"); cdn.KindOf(err) != cdn.Unavailable {
		t.Errorf("relief without a configuration: %v", err)
	}
	for _, s := range []*scheduler.Server{one, other} {
		if err := s.Apply(snapshot(1)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := one.State(); cdn.KindOf(err) != cdn.NotFound {
		t.Errorf("a state without a table: %v", err)
	}
	one.ApplyTable(measured(1))
	one.ApplyTable(measured(2))
	for _, name := range []cdn.Domain{"www.shop.example", "www.shop.example.cdn.test"} {
		x, err := one.Explain(name, client)
		if err != nil || x.Scheduler != "s1" || x.Group != "net 203.0.113.0/24" || x.POP != "p1" || x.Name != "www.shop.example" || len(x.Candidates) != 1 || x.Map.Slot != 2 {
			t.Errorf("%s: %+v, %v", name, x, err)
		}
	}
	if _, err := one.Explain("other.example", client); cdn.KindOf(err) != cdn.NotFound {
		t.Errorf("explained a name that nobody has: %v", err)
	}
	status, err := one.Status()
	if err != nil || status.Scheduler != "s1" || status.Groups != 1 || status.Map != one.Version() || status.Map.Steps != 2 {
		t.Errorf("status %+v, %v", status, err)
	}
	if r, err := one.Relief("p1"); err != nil || r.Default != "" || len(r.Groups) != 0 || len(r.Stay) != 1 {
		t.Errorf("relief %+v, %v", r, err)
	}
	if _, err := one.Relief("p2"); cdn.KindOf(err) != cdn.NotFound {
		t.Errorf("relief of a POP that is none: %v", err)
	}
	state, err := one.State()
	version := one.Version()
	if err != nil {
		t.Fatalf("state of %+v: %v", version, err)
	}
	if err := other.Adopt(state[1:]); cdn.KindOf(err) != cdn.Invalid {
		t.Errorf("adopted what is none: %v", err)
	}
	if err := other.Adopt(state); err != nil || other.Version().Digest != version.Digest || other.Version().Steps != version.Steps {
		t.Errorf("adopted %+v of %+v: %v", other.Version(), version, err)
	}
	if a, err := one.Accept(); cdn.KindOf(err) != cdn.Conflict {
		t.Errorf("accepted %+v, %v, but nothing was frozen", a, err)
	}
}

// A configuration that takes away all that visitors can be sent to is not obeyed; a first one may have nothing.
func TestNothingLeft(t *testing.T) {
	s := start(t, config(slog.New(slog.DiscardHandler)))
	nothing := snapshot(1)
	nothing.Fleet.POPs, nothing.Fleet.Nodes = nil, nil
	if err := s.Apply(nothing); err != nil {
		t.Errorf("the first: %v", err)
	}
	if err := s.Apply(snapshot(2)); err != nil {
		t.Fatal(err)
	}
	nothing.Generation = 3
	if err := s.Apply(nothing); cdn.KindOf(err) != cdn.Invalid {
		t.Errorf("the third: %v, want invalid", err)
	}
	x, err := s.Explain("www.shop.example", netip.MustParseAddr("203.0.113.9"))
	if err != nil || x.POP != "p1" {
		t.Errorf("then %+v, %v", x, err)
	}
}

// A table from the future is not obeyed, and the status says so.
func TestRefused(t *testing.T) {
	var log output
	s := start(t, config(slog.New(slog.NewTextHandler(&log, nil))))
	if err := s.Apply(snapshot(1)); err != nil {
		t.Fatal(err)
	}
	s.ApplyTable(measured(1))
	future := measured(2)
	future.At = time.Now().Add(time.Hour)
	s.ApplyTable(future)
	status, err := s.Status()
	if err != nil || status.Map.Version != 1 || len(status.Alarms) != 1 || !log.has("from the future") {
		t.Errorf("status %+v, %v", status, err)
	}
}

// Answers do not wait for maps, nor do they race with them.
func TestWhileMapping(t *testing.T) {
	s := start(t, config(slog.New(slog.DiscardHandler)))
	if err := s.Apply(snapshot(1)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				x, err := s.Explain("www.shop.example", netip.MustParseAddr(fmt.Sprintf("203.0.%d.9", 113+i)))
				if _, bad := s.Status(); err != nil || bad != nil || x.POP != "p1" {
					t.Errorf("%+v, %v, %v", x, err, bad)
				}
			}
		})
	}
	for i := range uint64(100) {
		s.ApplyTable(measured(i + 1))
		if err := s.Apply(snapshot(cdn.Generation(i + 2))); err != nil {
			t.Error(err)
		}
		if _, err := s.State(); err != nil {
			t.Error(err)
		}
	}
	cancel()
	wg.Wait()
}
