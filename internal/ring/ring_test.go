package ring_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"nearcast/internal/ring"
)

func members(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("node-%d", i)
	}
	return out
}

func TestEmpty(t *testing.T) {
	if got := ring.Rank("key", []string{}); len(got) != 0 {
		t.Errorf("Rank of no members = %q", got)
	}
}

// TestOrder: the result is a permutation that depends on the set of members only,
// and members is left as it was.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfNDistinct(rapid.String(), 1, 20, rapid.ID[string]).Draw(t, "members")
		key := rapid.String().Draw(t, "key")
		before := slices.Clone(in)
		want := ring.Rank(key, in)
		if diff := cmp.Diff(before, in); diff != "" {
			t.Fatalf("the members changed (-before +after):\n%s", diff)
		}
		if diff := cmp.Diff(slices.Sorted(slices.Values(in)), slices.Sorted(slices.Values(want))); diff != "" {
			t.Fatalf("not a permutation (-in +out):\n%s", diff)
		}
		shuffled := rapid.Permutation(in).Draw(t, "shuffled")
		if diff := cmp.Diff(want, ring.Rank(key, shuffled)); diff != "" {
			t.Fatalf("the order of members matters (-want +got):\n%s", diff)
		}
	})
}

// TestRemoval: without one member the others keep their order, so only its own
// keys move.
func TestRemoval(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := members(rapid.IntRange(2, 12).Draw(t, "members"))
		key := rapid.String().Draw(t, "key")
		gone := rapid.SampledFrom(in).Draw(t, "gone")
		isGone := func(m string) bool { return m == gone }
		want := slices.DeleteFunc(ring.Rank(key, in), isGone)
		if diff := cmp.Diff(want, ring.Rank(key, slices.DeleteFunc(slices.Clone(in), isGone))); diff != "" {
			t.Fatalf("order without %s (-want +got):\n%s", gone, diff)
		}
	})
}

// TestShares: keys spread evenly over the first place, and those of one owner
// spread evenly over the stand-ins.
func TestShares(t *testing.T) {
	const nodes, keys = 5, 20000
	in := members(nodes)
	first, second := make(map[string]int), make(map[string]int)
	for i := range keys {
		ranked := ring.Rank(fmt.Sprintf("shop http://www.shop.example/%d.css", i), in)
		first[ranked[0]]++
		if ranked[0] == in[0] {
			second[ranked[1]]++
		}
	}
	even(t, first, nodes, keys)
	even(t, second, nodes-1, first[in[0]])
}

func even(t *testing.T, shares map[string]int, nodes, keys int) {
	t.Helper()
	want := float64(keys) / float64(nodes)
	if len(shares) != nodes {
		t.Errorf("%d of %d members own something", len(shares), nodes)
	}
	for m, n := range shares {
		if float64(n) < want*0.9 || float64(n) > want*1.1 {
			t.Errorf("%s has %d keys, want %.0f within 10 %%", m, n, want)
		}
	}
}

// TestStable: the placement is part of the protocol between nodes of different
// versions, so it never changes.
func TestStable(t *testing.T) {
	want := []string{"node-3", "node-0", "node-2", "node-1"}
	if diff := cmp.Diff(want, ring.Rank("shop http://www.shop.example/", members(4))); diff != "" {
		t.Errorf("placement (-want +got):\n%s", diff)
	}
}

func BenchmarkRank(b *testing.B) {
	in := members(8)
	for b.Loop() {
		ring.Rank("shop http://www.shop.example/static/app.css", in)
	}
}
