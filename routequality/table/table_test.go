package table_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nearcast/cdn"
	"nearcast/routequality/table"
)

// at is a moment of the test, in seconds from its beginning.
func at(s int) time.Time { return time.Date(2026, 1, 1, 0, 0, s, 0, time.UTC) }

func fleet(names ...cdn.NodeName) *cdn.Fleet {
	f := new(cdn.Fleet)
	for _, n := range names {
		f.Nodes = append(f.Nodes, cdn.Node{Name: n})
	}
	return f
}

func states(m map[cdn.NodeName]cdn.NodeState) func(cdn.NodeName) cdn.NodeState {
	return func(n cdn.NodeName) cdn.NodeState { return m[n] }
}

// One builder's life: each step's table is newer only if something changed.
func TestUpdate(t *testing.T) {
	b := table.New("e1")
	for _, step := range []struct {
		name   string
		now    time.Time
		fleet  *cdn.Fleet
		states map[cdn.NodeName]cdn.NodeState
		want   cdn.RouteTable
	}{
		{"first", at(0), fleet("a", "b"), nil, cdn.RouteTable{Epoch: "e1", Version: 1, At: at(0), Nodes: []cdn.NodeHealth{
			{Node: "a", Since: at(0)}, {Node: "b", Since: at(0)},
		}}},
		{"same", at(1), fleet("a", "b"), nil, cdn.RouteTable{Epoch: "e1", Version: 1, At: at(0), Nodes: []cdn.NodeHealth{
			{Node: "a", Since: at(0)}, {Node: "b", Since: at(0)},
		}}},
		{"stranger", at(2), fleet("a", "b"), map[cdn.NodeName]cdn.NodeState{"x": cdn.StateDown}, cdn.RouteTable{Epoch: "e1", Version: 1, At: at(0), Nodes: []cdn.NodeHealth{
			{Node: "a", Since: at(0)}, {Node: "b", Since: at(0)},
		}}},
		{"state", at(3), fleet("a", "b"), map[cdn.NodeName]cdn.NodeState{"b": cdn.StateDown}, cdn.RouteTable{Epoch: "e1", Version: 2, At: at(3), Nodes: []cdn.NodeHealth{
			{Node: "a", Since: at(0)}, {Node: "b", State: cdn.StateDown, Since: at(3)},
		}}},
		{"joined", at(4), fleet("a", "b", "c"), map[cdn.NodeName]cdn.NodeState{"b": cdn.StateDown}, cdn.RouteTable{Epoch: "e1", Version: 3, At: at(4), Nodes: []cdn.NodeHealth{
			{Node: "a", Since: at(0)}, {Node: "b", State: cdn.StateDown, Since: at(3)}, {Node: "c", Since: at(4)},
		}}},
		{"swapped", at(5), fleet("a", "d", "c"), nil, cdn.RouteTable{Epoch: "e1", Version: 4, At: at(5), Nodes: []cdn.NodeHealth{
			{Node: "a", Since: at(0)}, {Node: "d", Since: at(5)}, {Node: "c", Since: at(4)},
		}}},
		{"gone", at(6), fleet("a"), nil, cdn.RouteTable{Epoch: "e1", Version: 5, At: at(6), Nodes: []cdn.NodeHealth{
			{Node: "a", Since: at(0)},
		}}},
		{"nobody", at(7), fleet(), nil, cdn.RouteTable{Epoch: "e1", Version: 6, At: at(7), Nodes: []cdn.NodeHealth{}}},
	} {
		got := b.Update(step.now, step.fleet, states(step.states))
		if diff := cmp.Diff(step.want, *got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
}

// A published table is shared with readers: making the next must not change it.
func TestImmutable(t *testing.T) {
	b := table.New("e1")
	first := b.Update(at(0), fleet("a"), states(nil))
	b.Update(at(1), fleet("a"), states(map[cdn.NodeName]cdn.NodeState{"a": cdn.StateDown}))
	want := &cdn.RouteTable{Epoch: "e1", Version: 1, At: at(0), Nodes: []cdn.NodeHealth{{Node: "a", Since: at(0)}}}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("the first table was changed (-want +got):\n%s", diff)
	}
}
