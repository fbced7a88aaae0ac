package capacity_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nearcast/cdn"
	"nearcast/routequality/capacity"
	"nearcast/routequality/liveness"
)

// at is a moment of the test, in seconds from its beginning.
func at(s int) time.Time { return time.Date(2026, 1, 1, 0, 0, s, 0, time.UTC) }

func version(seq uint64) liveness.Version { return liveness.Version{Seq: seq} }

func TestFill(t *testing.T) {
	edge := []cdn.Role{cdn.RoleEdge}
	fleet := &cdn.Fleet{
		POPs: []cdn.POP{{Name: "a"}, {Name: "b"}},
		Nodes: []cdn.Node{
			{Name: "a1", POP: "a", Roles: edge, Capacity: cdn.Capacity{EgressMbps: 800}},
			{Name: "a2", POP: "a", Roles: edge, Capacity: cdn.Capacity{EgressMbps: 800}},
			{Name: "a3", POP: "a", Roles: edge, Capacity: cdn.Capacity{EgressMbps: 800}},
			{Name: "s1", POP: "a", Roles: []cdn.Role{cdn.RoleScheduler}, Capacity: cdn.Capacity{EgressMbps: 800}},
			{Name: "b1", POP: "b", Roles: edge},
		},
	}
	var l capacity.Loads
	for node, load := range map[cdn.NodeName]cdn.NodeLoad{
		"a1": {CPU: 0.9, Egress: 0.3, Requests: 100, Octets: 1000, HitRatio: 0.9},
		"a2": {CPU: 0.1, Egress: 0.9, Requests: 300, Octets: 3000, HitRatio: 0.5},
		"a3": {CPU: 1, Egress: 1, Requests: 100, Octets: 500, HitRatio: 1},
	} {
		if err := l.Put(at(0), node, version(1), &load); err != nil {
			t.Fatal(err)
		}
	}
	nodes := []cdn.NodeHealth{{Node: "a1", State: cdn.StateReady}, {Node: "a2"}, {Node: "a3", State: cdn.StateDraining}, {Node: "b1"}, {Node: "s1"}}
	pops := []cdn.POPHealth{{POP: "a"}, {POP: "b"}}
	l.Fill(at(1), fleet, nodes, pops, map[cdn.POPName]float64{"a": 12.344})
	want := []cdn.POPHealth{
		{POP: "a", Capacity: 2e8, Load: 0.6, Octets: 4500, Requests: 500, HitRatio: 0.68, Behind: 12.34},
		{POP: "b", Load: -1},
	}
	if diff := cmp.Diff(want, pops); diff != "" {
		t.Errorf("POPs (-want +got):\n%s", diff)
	}
	if nodes[0].Load == nil || nodes[0].Load.CPU != 0.9 || nodes[3].Load != nil {
		t.Errorf("nodes %+v", nodes)
	}
	l.Fill(at(7), fleet, nodes, pops, nil)
	if pops[0].Load != -1 || nodes[0].Load != nil {
		t.Errorf("after 7 s the POP is loaded %v, the node %v; want nothing known", pops[0].Load, nodes[0].Load)
	}
}

func TestPut(t *testing.T) {
	var l capacity.Loads
	for _, step := range []struct {
		name string
		at   int
		seq  uint64
		load cdn.NodeLoad
		kind cdn.Kind
		want float64 // CPU afterwards
	}{
		{"first", 0, 5, cdn.NodeLoad{CPU: 0.5}, cdn.Other, 0.5},
		{"overtaken", 1, 4, cdn.NodeLoad{CPU: 0.4}, cdn.Other, 0.5},
		{"newer", 1, 6, cdn.NodeLoad{CPU: 0.6}, cdn.Other, 0.6},
		{"negative", 2, 7, cdn.NodeLoad{CPU: -0.1}, cdn.Invalid, 0.6},
		{"no number", 2, 8, cdn.NodeLoad{Requests: math.NaN()}, cdn.Invalid, 0.6},
		{"a lot", 2, 9, cdn.NodeLoad{Egress: 1000}, cdn.Invalid, 0.6},
		{"more hits than requests", 2, 10, cdn.NodeLoad{HitRatio: 1.1}, cdn.Invalid, 0.6},
		{"infinite", 2, 11, cdn.NodeLoad{Octets: math.Inf(1)}, cdn.Invalid, 0.6},
		{"counted anew after a silence", 20, 1, cdn.NodeLoad{CPU: 0.1}, cdn.Other, 0.1},
	} {
		err := l.Put(at(step.at), "n", version(step.seq), &step.load)
		if (err != nil) != (step.kind != cdn.Other) || err != nil && cdn.KindOf(err) != step.kind {
			t.Errorf("%s: %v, want kind %v", step.name, err, step.kind)
		}
		if got := l.Of(at(step.at), "n"); got == nil || got.CPU != step.want {
			t.Errorf("%s: %+v, want %v", step.name, got, step.want)
		}
	}
	l.Keep(&cdn.Fleet{})
	if l.Of(at(20), "n") != nil {
		t.Error("a node that has left still has a load")
	}
}

// TestUnequal: of machines that are not alike a small one that is full does not make the POP half full.
func TestUnequal(t *testing.T) {
	node := func(name cdn.NodeName, mbps int) cdn.Node {
		return cdn.Node{Name: name, POP: "a", Roles: []cdn.Role{cdn.RoleEdge}, Capacity: cdn.Capacity{EgressMbps: mbps}}
	}
	for _, test := range []struct {
		name       string
		small, big int
		want       float64
	}{
		{"known", 1000, 9000, 0.19},
		{"alike", 1000, 1000, 0.55},
		{"one is not known", 0, 9000, 0.55},
	} {
		t.Run(test.name, func(t *testing.T) {
			fleet := &cdn.Fleet{POPs: []cdn.POP{{Name: "a"}}, Nodes: []cdn.Node{node("small", test.small), node("big", test.big)}}
			var l capacity.Loads
			for name, egress := range map[cdn.NodeName]float64{"small": 1, "big": 0.1} {
				if err := l.Put(at(0), name, version(1), &cdn.NodeLoad{Egress: egress}); err != nil {
					t.Fatal(err)
				}
			}
			nodes, pops := []cdn.NodeHealth{{Node: "small"}, {Node: "big"}}, []cdn.POPHealth{{POP: "a"}}
			l.Fill(at(1), fleet, nodes, pops, nil)
			if got := pops[0].Load; got != test.want {
				t.Errorf("the load is %v, want %v", got, test.want)
			}
		})
	}
}
