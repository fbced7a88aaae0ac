package liveness

import (
	"time"

	"nearcast/cdn"
)

// node is one machine of the fleet.
type node struct {
	name  cdn.NodeName
	pop   *pop // nil if it is in none
	cache bool // it has visitors, so reporters speak of it
	heard heard[Row]
	state cdn.NodeState
	since time.Time
}

// set changes the state and reports whether it was another.
func (n *node) set(now time.Time, state cdn.NodeState) bool {
	if n.state == state && !n.since.IsZero() {
		return false
	}
	n.state, n.since = state, now
	return true
}

// judge returns the node's state by what is said of it. It is down when all others that speak of it say so, whatever it says itself: it
// may reach us when nobody can reach it. Words of an older process than the newest that anybody has heard of are void.
func (n *node) judge(now time.Time) cdn.NodeState {
	newest, fresh := int64(0), false
	for _, w := range n.heard {
		if w.fresh(now) && (!fresh || w.value.Incarnation > newest) {
			newest, fresh = w.value.Incarnation, true
		}
	}
	if !fresh {
		return n.silent(now)
	}
	others, down := 0, 0
	var alive *word[Row] // the latest who says that it is not down; its own word goes before all
	for by, w := range n.heard {
		if !w.fresh(now) || w.value.Incarnation != 0 && w.value.Incarnation < newest {
			continue
		}
		own, dead := by == n.name, w.value.State == cdn.StateDown
		if !own {
			others++
		}
		switch {
		case dead && !own:
			down++
		case !dead && (alive == nil || own || alive != n.heard[n.name] && later(w, alive)):
			alive = w
		}
	}
	if others > 0 && down == others || alive == nil {
		return cdn.StateDown
	}
	return alive.value.State
}

// later reports whether w came after v; of equal times the state that is more careful counts, so that the order of a map does not.
func later(w, v *word[Row]) bool {
	if !w.at.Equal(v.at) {
		return w.at.After(v.at)
	}
	return w.value.State > v.value.State
}

// silent is the state of a node that nobody speaks of now: the one it had, for a while, and then unknown, unless its whole POP is down.
func (n *node) silent(now time.Time) cdn.NodeState {
	switch last := n.heard.last(); {
	case n.pop != nil && n.pop.state == cdn.POPDown:
		return cdn.StateDown
	case !last.IsZero() && now.Sub(last) <= Ageing:
		return n.state
	}
	return cdn.StateUnknown
}
