package decide_test

import (
	"fmt"
	"strings"
	"testing"

	"nearcast/cdn"
	"nearcast/scheduler/decide"
	"nearcast/scheduler/view"
)

// What stands for a domain is of two POPs, owns it there, and is the same whoever computes it.
func TestStanding(t *testing.T) {
	s := snapshot()
	first, second := join(t, s, nil), join(t, snapshot(), all(cdn.StateDown))
	pops := make(map[cdn.POPName]int)
	for i := range 300 {
		domain := cdn.Domain(fmt.Sprintf("d%d.example", i))
		nodes := decide.Standing(first.Plan, domain)
		if len(nodes) != 2 || nodes[0].POP == nodes[1].POP {
			t.Fatalf("%s: %v", domain, names(nodes))
		}
		if again := decide.Standing(second.Plan, domain); again[0].Name != nodes[0].Name || again[1].Name != nodes[1].Name {
			t.Errorf("%s: %v and %v", domain, names(nodes), names(again))
		}
		for _, n := range nodes {
			pops[n.POP]++
		}
	}
	if len(pops) != 3 || pops["berlin"] < 150 || pops["paris"] < 150 || pops["tokyo"] < 150 {
		t.Errorf("not divided evenly: %v", pops)
	}
}

// A POP's only visitor and its copy meet at the same node: the domain's contents are there.
func TestStandingOwns(t *testing.T) {
	s := snapshot()
	s.Fleet.POPs = s.Fleet.POPs[:1]
	for i := range s.Fleet.Nodes { // a third node, so that not all are owners
		if s.Fleet.Nodes[i].Name == "paris-1" {
			s.Fleet.Nodes[i].POP = "berlin"
		}
	}
	p, err := view.Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	v := view.Join(p, nil)
	v.Sites = map[cdn.SiteName]float64{"": 1e-9} // so little that two own it
	v.Health[0] = &cdn.POPHealth{Octets: 1}
	for i := range 100 {
		domain := cdn.Domain(fmt.Sprintf("d%d.example", i))
		owners := decide.Answer(v, decide.Query{Domain: domain}).Nodes[:2]
		if n := decide.Standing(p, domain)[0]; n != owners[0] && n != owners[1] {
			t.Errorf("%s: %s stands for it, %v own it", domain, n.Name, names(owners))
		}
	}
}

func TestStandingDrained(t *testing.T) {
	for _, test := range []struct {
		name   string
		drains []cdn.Drain
		want   string
	}{
		{"POP", []cdn.Drain{{POP: "berlin"}}, "paris tokyo"},
		{"two POPs", []cdn.Drain{{POP: "berlin"}, {POP: "paris"}}, "tokyo"},
		{"all POPs", []cdn.Drain{{POP: "berlin"}, {POP: "paris"}, {POP: "tokyo"}}, "berlin paris tokyo"},
		{"node", []cdn.Drain{{Node: "berlin-1"}, {Node: "paris-2"}, {Node: "tokyo-1"}}, "berlin-2 paris-1 tokyo-2"},
		{"all nodes of a POP", []cdn.Drain{{Node: "berlin-1"}, {Node: "berlin-2"}}, "berlin paris tokyo"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := snapshot()
			s.Drains = test.drains
			p, err := view.Compile(s)
			if err != nil {
				t.Fatal(err)
			}
			got := make(map[string]bool)
			for i := range 100 {
				for _, n := range decide.Standing(p, cdn.Domain(fmt.Sprintf("d%d.example", i))) {
					got[string(n.Name)], got[string(n.POP)] = true, true
				}
			}
			for _, name := range []string{"berlin", "paris", "tokyo"} {
				if want := strings.Contains(test.want, name); got[name] != want {
					t.Errorf("POP %s stands for some: %t, want %t", name, got[name], want)
				}
				for _, node := range []string{name + "-1", name + "-2"} {
					if strings.Contains(test.want, "-") && got[node] != strings.Contains(test.want, node) {
						t.Errorf("node %s stands for some: %t", node, got[node])
					}
				}
			}
		})
	}
	if nodes := decide.Standing(new(view.Plan), "d1.example"); len(nodes) != 0 {
		t.Errorf("%v without a POP", names(nodes))
	}
}
