package scheduler_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/scheduler"
	"nearcast/scheduler/peers"
)

// neighbour is another scheduler as a peer.
type neighbour struct{ *scheduler.Server }

func (n neighbour) Versions(context.Context) ([]cdn.MapVersion, error) {
	return n.Server.Versions(), nil
}
func (n neighbour) State(context.Context) ([]byte, error) { return n.Server.State() }
func (n neighbour) URL() string                           { return "" }

// A scheduler with a newer configuration does not fall back to the map for the older one of another that comes before it, and has no new POP in it.
func TestNewerConfiguration(t *testing.T) {
	first, second := start(t, config(slog.New(slog.DiscardHandler))), start(t, config(slog.New(slog.DiscardHandler)))
	k := peers.New(peers.Config{
		Self: second, Before: func(int) bool { return false }, Peers: []peers.Peer{neighbour{first}},
		Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
	})
	newer := snapshot(2)
	newer.Fleet.POPs = append(newer.Fleet.POPs, cdn.POP{Name: "p9", Tier: cdn.TierEdge})
	newer.Fleet.Nodes = append(newer.Fleet.Nodes, cdn.Node{Name: "p9-1", POP: "p9", Roles: []cdn.Role{cdn.RoleEdge}})
	table := uint64(0)
	step := func() {
		table++
		first.ApplyTable(measured(table))
		second.ApplyTable(measured(table))
		k.Compare(t.Context())
	}
	apply := func(s *scheduler.Server, c *cdn.Snapshot) {
		t.Helper()
		if err := s.Apply(c); err != nil {
			t.Fatal(err)
		}
	}
	apply(first, snapshot(1))
	apply(second, snapshot(1))
	step()
	apply(second, newer)
	for range 3 {
		step()
		if v := second.Version(); v.Generation != 2 || v.Digest == first.Version().Digest {
			t.Errorf("the map is %+v again, for the older configuration", v)
		}
	}
	apply(first, newer)
	step()
	if a, b := first.Version(), second.Version(); a.Digest != b.Digest || a.Generation != 2 {
		t.Errorf("maps %+v and %+v, want the same", a, b)
	}
}
