package report_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/routequality/report"
)

func TestGuard(t *testing.T) {
	g := report.NewGuard(10, 10*time.Minute)
	for _, step := range []struct {
		after       time.Duration
		from        string
		incarnation int64
		seq         uint64
		want        bool
		why         string
	}{
		{0, "a", 100, 1, true, "the first"},
		{0, "a", 100, 1, false, "the same again"},
		{0, "a", 100, 3, true, "one was lost"},
		{0, "a", 100, 2, false, "it was overtaken"},
		{0, "b", 100, 2, true, "another sender"},
		{0, "a", 99, 50, false, "an old process"},
		{0, "a", 101, 1, true, "a new process"},
		{0, "a", 100, 4, false, "the process before"},
		{9 * time.Minute, "a", 50, 1, false, "the clock was set back: it could be a replay"},
		{10 * time.Minute, "a", 50, 1, true, "nothing newer was heard for so long"},
		{10 * time.Minute, "a", 50, 1, false, "the same again"},
	} {
		if got := g.Accept(now.Add(step.after), step.from, step.incarnation, step.seq); got != step.want {
			t.Errorf("%s: %v %+v", step.why, got, step)
		}
	}
}

// TestGuardIsBounded: whoever was silent longest is forgotten.
func TestGuardIsBounded(t *testing.T) {
	g := report.NewGuard(3, time.Hour)
	for i := range 1000 {
		g.Accept(now, fmt.Sprint("n", i), 1, 1)
		g.Accept(now, "steady", 1, uint64(i+1))
	}
	if g.Len() != 3 {
		t.Errorf("%d senders are remembered, want 3", g.Len())
	}
	if g.Accept(now, "steady", 1, 1000) {
		t.Error("a sender that is heard all the time was forgotten")
	}
	if !g.Accept(now, "n0", 1, 1) {
		t.Error("a sender that was forgotten is remembered")
	}
}

// TestSequences: load and visitors of a node may overtake each other.
func TestSequences(t *testing.T) {
	load, visitors := node("fra-1"), node("fra-1")
	visitors.Load, visitors.Visitors = nil, batch(1)
	if load.Sender() == visitors.Sender() {
		t.Error("they are one sequence")
	}
}

func TestWhoDoesWhat(t *testing.T) {
	nodes := []cdn.NodeName{"a", "b", "c", "d", "e"}
	reversed := slices.Clone(nodes)
	slices.Reverse(reversed)
	two := report.Aggregators("fra", nodes)
	if len(two) != 2 || !slices.Equal(two, report.Aggregators("fra", reversed)) {
		t.Errorf("aggregators are %v", two)
	}
	if one := report.Aggregators("fra", []cdn.NodeName{"a"}); !slices.Equal(one, []cdn.NodeName{"a"}) {
		t.Errorf("the aggregator of a POP with one node is %v", one)
	}
	left := slices.DeleteFunc(slices.Clone(nodes), func(n cdn.NodeName) bool { return n == two[0] })
	if next := report.Aggregators("fra", left); next[0] != two[1] {
		t.Errorf("%v took over from %v", next, two)
	}

	pops := []cdn.POPName{"ams", "fra", "lon", "nyc", "sin", "syd"}
	votes := make(map[cdn.POPName]int)
	for _, p := range pops {
		three := report.Voters(p, pops)
		if len(three) != 3 || slices.Contains(three, p) {
			t.Errorf("voters of %s are %v", p, three)
		}
		for _, v := range three {
			votes[v]++
		}
	}
	if len(votes) < 4 {
		t.Errorf("so many POPs vote for others: %v", votes)
	}
	if v := report.Voters("fra", []cdn.POPName{"fra"}); len(v) != 0 {
		t.Errorf("a POP alone is voted on by %v", v)
	}
}
