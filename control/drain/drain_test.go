package drain_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearcast/cdn"
	"nearcast/control/drain"
)

// fleet has three edge POPs, fra with four nodes, lon with two and par with one, and a regional POP. A node can send mbps, zero for unknown.
func fleet(mbps int) *cdn.Fleet {
	f := &cdn.Fleet{POPs: []cdn.POP{
		{Name: "fra", Tier: cdn.TierEdge}, {Name: "lon", Tier: cdn.TierEdge}, {Name: "par", Tier: cdn.TierEdge}, {Name: "ams", Tier: cdn.TierRegional},
	}}
	for _, n := range []cdn.NodeName{"fra-1", "fra-2", "fra-3", "fra-4", "lon-1", "lon-2", "par-1", "ams-1"} {
		f.Nodes = append(f.Nodes, cdn.Node{Name: n, POP: cdn.POPName(n[:3]), Roles: []cdn.Role{cdn.RoleEdge}, Capacity: cdn.Capacity{EgressMbps: mbps}})
	}
	f.Nodes = append(f.Nodes, cdn.Node{Name: "core-1", Roles: []cdn.Role{cdn.RoleControl}})
	return f
}

func parse(t *testing.T, texts ...string) (drains []cdn.Drain) {
	t.Helper()
	for _, text := range texts {
		kind, name, _ := strings.Cut(text, " ")
		d, err := drain.Parse(kind, name)
		if err != nil {
			t.Fatal(err)
		}
		drains = drain.With(drains, d)
	}
	return drains
}

func TestFind(t *testing.T) {
	tests := []struct {
		kind, name string
		want       cdn.Kind
		text       string
	}{
		{"pop", "fra", cdn.Other, ""},
		{"node", "fra-1", cdn.Other, ""},
		{"pop", "nyc", cdn.NotFound, "there is no POP nyc; nearcast nodes lists them"},
		{"node", "nyc-1", cdn.NotFound, "there is no node nyc-1; nearcast nodes lists them"},
		{"pop", "ams", cdn.Invalid, "POP ams is of tier regional: no visitors are sent there, so there is nothing to drain"},
		{"node", "ams-1", cdn.Invalid, "POP ams is of tier regional: no visitors are sent there, so there is nothing to drain"},
		{"node", "core-1", cdn.Invalid, "node core-1 has no cache: no visitors are sent there, so there is nothing to drain"},
		{"pop", "FRA", cdn.Invalid, `POP name "FRA": has 'F'; only a-z, 0-9 and inner hyphens are allowed`},
		{"region", "eu", cdn.Invalid, `"region" cannot be drained: want pop or node`},
	}
	for _, tt := range tests {
		d, err := drain.Find(fleet(0), tt.kind, tt.name)
		switch {
		case tt.text == "" && (err != nil || d.Name() != tt.kind+" "+tt.name):
			t.Errorf("%s %s: %q, %v", tt.kind, tt.name, d.Name(), err)
		case tt.text != "" && (err == nil || err.Error() != tt.text || cdn.KindOf(err) != tt.want):
			t.Errorf("%s %s: %v, want %s of kind %s", tt.kind, tt.name, err, tt.text, tt.want)
		}
	}
}

func TestCheck(t *testing.T) {
	down := func(pops ...cdn.POPName) *cdn.RouteTable {
		table := &cdn.RouteTable{}
		for _, p := range pops {
			table.POPs = append(table.POPs, cdn.POPHealth{POP: p, State: cdn.POPDown})
		}
		return table
	}
	bigParis := fleet(1000)
	bigParis.Node("par-1").Capacity.EgressMbps = 100_000
	tests := []struct {
		name    string
		fleet   *cdn.Fleet
		drained []string
		drain   string
		health  *cdn.RouteTable
		want    string
	}{
		{"a small POP", fleet(0), nil, "pop lon", nil, ""},
		{"a big POP", fleet(0), nil, "pop fra", nil, "with pop fra, 4 of 7 nodes of all edge POPs would be drained, more than half; undo another drain first, or force it"},
		{"a big POP of a small part of the capacity", bigParis, nil, "pop fra", nil, ""},
		{"one node with all the capacity", bigParis, nil, "node par-1", nil, "with node par-1, 100000 of 106000 Mbit/s of all edge POPs would be drained, more than half; undo another drain first, or force it"},
		{"the only node of a POP", fleet(1000), nil, "node par-1", nil, ""},
		{"two small POPs", fleet(1000), []string{"pop lon"}, "pop par", nil, ""},
		{"a node more", fleet(1000), []string{"pop lon", "pop par"}, "node fra-1", nil, "with node fra-1, 4000 of 7000 Mbit/s of all edge POPs would be drained, more than half; undo another drain first, or force it"},
		{"a node of a POP that is drained", fleet(1000), []string{"pop lon", "pop par"}, "node lon-1", nil, ""},
		{"half of a POP's nodes", fleet(0), []string{"node fra-1"}, "node fra-2", nil, ""},
		{"more than half of them", fleet(0), []string{"node fra-1", "node fra-2"}, "node fra-3", nil, "with node fra-3, 3 of the 4 nodes of POP fra would be drained, more than half; drain the POP, so that visitors go to others, or force it"},
		{"the last", fleet(0), []string{"pop fra", "pop par"}, "pop lon", nil, "pop lon is the last of the edge POPs that works and is not drained: visitors would have nowhere to go; undo another drain first, or force it"},
		{"the last that works", fleet(0), nil, "pop lon", down("fra", "par"), "pop lon is the last of the edge POPs that works and is not drained: visitors would have nowhere to go; undo another drain first, or force it"},
		{"the others' nodes are down", bigParis, nil, "pop lon", &cdn.RouteTable{Nodes: []cdn.NodeHealth{
			{Node: "fra-1", State: cdn.StateDown},
			{Node: "fra-2", State: cdn.StateDown},
			{Node: "fra-3", State: cdn.StateDown},
			{Node: "fra-4", State: cdn.StateStarting},
			{Node: "par-1", State: cdn.StateDown},
		}}, "pop lon is the last of the edge POPs that works and is not drained: visitors would have nowhere to go; undo another drain first, or force it"},
		{"one other works", fleet(0), nil, "pop lon", down("fra"), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if err := drain.Check(tt.fleet, parse(t, tt.drained...), parse(t, tt.drain)[0], tt.health); err != nil {
				got = err.Error()
				if cdn.KindOf(err) != cdn.Conflict {
					t.Errorf("the error is of kind %s, want conflict", cdn.KindOf(err))
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("the answer differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestKeep(t *testing.T) {
	f := fleet(0)
	f.POPs[1].Tier = cdn.TierRegional // lon
	drains := parse(t, "pop fra", "pop lon", "node lon-1", "pop nyc", "node fra-1", "node gone")
	kept, gone := drain.Keep(f, drains)
	if diff := cmp.Diff(parse(t, "node fra-1", "pop fra"), kept); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(parse(t, "node gone", "node lon-1", "pop lon", "pop nyc"), gone); diff != "" {
		t.Errorf("gone (-want +got):\n%s", diff)
	}
}
