package ram

import (
	"slices"
	"testing"
)

// run feeds a policy of 10 units with keys, each an entry of one unit that is used
// again if its key is still there, and returns how often that was so.
func run(p *policy, keys ...uint64) (hits int) {
	entries := make(map[uint64]*entry)
	for _, k := range keys {
		if e := entries[k]; e != nil {
			e.use()
			hits++
			continue
		}
		e := &entry{hash: k, cost: 1}
		entries[k] = e
		for _, v := range p.add(e).victims {
			delete(entries, v.hash)
		}
	}
	return hits
}

func TestPolicyKeepsBudget(t *testing.T) {
	p := newPolicy(10)
	for k := range uint64(1000) {
		run(p, k%37)
		if p.bytes() > 10 {
			t.Fatalf("%d units after key %d, the budget is 10", p.bytes(), k)
		}
	}
	if n := p.ghostList.Len(); n != len(p.ghosts) || n > 64 {
		t.Errorf("%d ghosts in the list, %d in the map; at most 64 are allowed", n, len(p.ghosts))
	}
}

// TestPolicyResistsScan: a set in use survives a pass over many keys used once, which
// would empty an LRU cache.
func TestPolicyResistsScan(t *testing.T) {
	keys := []uint64{1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4}
	for k := range uint64(100) {
		keys = append(keys, 1000+k)
	}
	keys = append(keys, 1, 2, 3, 4)
	if got, want := run(newPolicy(10), keys...), 12; got != want {
		t.Errorf("%d hits, want %d", got, want)
	}
}

// TestPolicyGhost: a key that comes back soon after it was dropped goes to the main
// queue at once.
func TestPolicyGhost(t *testing.T) {
	p := newPolicy(10)
	for k := range uint64(20) {
		p.add(&entry{hash: k, cost: 1})
	}
	back := &entry{hash: 5, cost: 1}
	p.add(back)
	if back.queue != &p.main {
		t.Error("a returning ghost is not in the main queue")
	}
}

// TestPolicySparesNewcomer: an object that alone exceeds the small queue's share is
// not its own victim while there are others.
func TestPolicySparesNewcomer(t *testing.T) {
	p := newPolicy(10)
	for k := range uint64(10) {
		e := &entry{hash: k, cost: 1}
		p.add(e)
		e.use()
	}
	p.add(&entry{hash: 50, cost: 1})
	large := &entry{hash: 99, cost: 4}
	if victims := p.add(large).victims; slices.Contains(victims, large) || len(victims) == 0 {
		t.Errorf("the newcomer was evicted with %d victims", len(victims))
	}
}

func TestPolicyRemove(t *testing.T) {
	p := newPolicy(10)
	e := &entry{hash: 1, cost: 3}
	p.add(e)
	if !p.remove(e) || p.remove(e) || p.bytes() != 0 {
		t.Errorf("after two removals %d units are left", p.bytes())
	}
}
