package cdn

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Bounds of the search for policies that together leave a visitor nothing.
const (
	maxDeadEnd      = 4          // policies
	maxDeadEndSteps = 10_000_000 // comparisons
)

// PolicyDeadEnd returns the policies whose Allow and Deny leave no edge POP that has a cache for visitors whom all of them match; nil if there are none.
// The fault is that of the last of them.
//
// Only what is certain is found: policies for DE and for a carrier may have no visitor in common, and then nothing is wrong; nor are windows
// compared that are in different time zones. Of many policies the search looks at combinations of up to four, and not for ever. Whoever
// sends visitors must know what to do when nothing is left for one.
func (f *Fleet) PolicyDeadEnd() *PolicyFault {
	s := deadEndSearch{budget: maxDeadEndSteps}
	every := s.edges(f)
	if every.empty() {
		return nil
	}
	for i := range f.Policies {
		if p := &f.Policies[i]; len(p.Allow)+len(p.Deny) > 0 {
			s.policies = append(s.policies, s.restriction(i, p, every))
		}
	}
	for size := 1; size <= maxDeadEnd; size++ {
		if found := s.find(0, size, every, audience{}, nil); found != nil {
			return deadEnd(f, found)
		}
	}
	return nil
}

// deadEnd says what is wrong with policies that leave nothing.
func deadEnd(f *Fleet, found []int) *PolicyFault {
	last := found[len(found)-1]
	if len(found) == 1 {
		return &PolicyFault{Policy: last, Text: "allow and deny leave no edge POP that has a cache node", Hint: "allow one more, or deny one less"}
	}
	var others []string
	for _, i := range found[:len(found)-1] {
		others = append(others, fmt.Sprintf("%s (policies[%d])", f.Policies[i].Name, i))
	}
	return &PolicyFault{
		Policy: last, Text: "together with " + strings.Join(others, " and ") + " it leaves no edge POP for visitors whom they all match",
		Hint: "allow a POP in all of them, or narrow a match",
	}
}

// deadEndSearch looks for policies that leave nothing.
type deadEndSearch struct {
	policies []restriction
	index    map[POPName]int // :: POP -> its bit
	budget   int
}

// restriction is a policy that takes POPs away from somebody.
type restriction struct {
	index int // of the policy
	left  bitset
	whom  audience
}

// edges numbers the POPs to which visitors can be sent, and returns the set of them.
func (s *deadEndSearch) edges(f *Fleet) bitset {
	cached := make(map[POPName]bool, len(f.POPs))
	for i := range f.Nodes {
		if f.Nodes[i].Has(RoleEdge) {
			cached[f.Nodes[i].POP] = true
		}
	}
	s.index = make(map[POPName]int, len(f.POPs))
	for i := range f.POPs {
		if p := &f.POPs[i]; p.Tier == TierEdge && cached[p.Name] {
			s.index[p.Name] = len(s.index)
		}
	}
	every := newBitset(len(s.index))
	for _, i := range s.index {
		every.set(i)
	}
	return every
}

func (s *deadEndSearch) restriction(index int, p *Policy, every bitset) restriction {
	left := every
	if len(p.Allow) > 0 {
		left = s.set(p.Allow)
	}
	if len(p.Deny) > 0 {
		left = left.without(s.set(p.Deny))
	}
	return restriction{index, left, audienceOf(&p.Match)}
}

func (s *deadEndSearch) set(pops []POPName) bitset {
	set := newBitset(len(s.index))
	for _, pop := range pops {
		if i, ok := s.index[pop]; ok {
			set.set(i)
		}
	}
	return set
}

// find returns size policies from the given one on that leave nothing of left to visitors of whom, with those that were chosen before; or nil.
func (s *deadEndSearch) find(from, size int, left bitset, whom audience, chosen []int) []int {
	for i := from; i < len(s.policies) && s.budget > 0; i++ {
		p := &s.policies[i]
		rest, both, certain := left.and(p.left), p.whom, true // one alone is for somebody
		s.budget -= 1 + len(left)
		if len(chosen) > 0 {
			if slices.Equal(rest, left) {
				continue // takes nothing away
			}
			s.budget -= whom.cost(&p.whom)
			both, certain = whom.and(&p.whom)
		}
		if !certain {
			continue
		}
		now := append(slices.Clip(chosen), p.index)
		if rest.empty() {
			return now
		}
		if size > 1 {
			if found := s.find(i+1, size-1, rest, both, now); found != nil {
				return found
			}
		}
	}
	return nil
}

// audience is whom several policies match together. Nil is everybody.
type audience struct {
	countries, isps []string
	prefixes        []netip.Prefix
	sites           []SiteName
	from, until     time.Time
	week            bitset // the minutes of the week in zone
	zone            string
}

func audienceOf(m *PolicyMatch) audience {
	a := audience{countries: m.Countries, prefixes: m.Prefixes, sites: m.Sites, from: m.Window.From, until: m.Window.Until}
	for _, isp := range m.ISPs {
		a.isps = append(a.isps, strings.ToLower(isp))
	}
	if w := &m.Window; len(w.Days) > 0 || w.Begin != "" {
		a.week, a.zone = week(w), w.Zone
		if a.zone == "" {
			a.zone = "UTC"
		}
	}
	return a
}

const dayMinutes = 24 * 60

// week returns the minutes of the week, from Sunday, that are in a window.
func week(w *Window) bitset {
	minutes := newBitset(7 * dayMinutes)
	begin, hasBegin := ParseClock(w.Begin)
	end, hasEnd := ParseClock(w.End)
	if !hasBegin || !hasEnd {
		begin, end = 0, dayMinutes
	}
	if end <= begin {
		end += dayMinutes
	}
	for day := time.Sunday; day <= time.Saturday; day++ {
		if len(w.Days) > 0 && !slices.Contains(w.Days, strings.ToLower(day.String()[:3])) {
			continue
		}
		for m := begin; m < end; m++ {
			minutes.set((int(day)*dayMinutes + m) % (7 * dayMinutes))
		}
	}
	return minutes
}

// cost is how many comparisons and takes at most.
func (a *audience) cost(b *audience) int {
	return len(a.countries)*len(b.countries) + len(a.isps)*len(b.isps) + len(a.sites)*len(b.sites) + len(a.prefixes)*len(b.prefixes) +
		min(len(a.week), len(b.week))
}

// and returns whom both match, and whether there certainly is somebody.
func (a audience) and(b *audience) (both audience, certain bool) {
	if !a.placesInCommon(b) {
		return both, false
	}
	ok := [4]bool{}
	both.countries, ok[0] = common(a.countries, b.countries)
	both.isps, ok[1] = common(a.isps, b.isps)
	both.sites, ok[2] = common(a.sites, b.sites)
	both.prefixes, ok[3] = overlap(a.prefixes, b.prefixes)
	if slices.Contains(ok[:], false) {
		return both, false
	}
	return both, both.meet(&a, b)
}

// placesInCommon reports whether the two say who somebody is by the same kinds of condition, or one by more than the other: then what one of them
// says implies that there is somebody for both.
func (a *audience) placesInCommon(b *audience) bool {
	x := [3]bool{a.countries != nil, a.isps != nil, a.prefixes != nil}
	y := [3]bool{b.countries != nil, b.isps != nil, b.prefixes != nil}
	more, less := false, false
	for i := range x {
		more, less = more || x[i] && !y[i], less || y[i] && !x[i]
	}
	return !more || !less
}

// meet puts the time in which both hold into a, and reports whether there is some.
func (a *audience) meet(x, y *audience) bool {
	a.from, a.until = x.from, x.until
	if y.from.After(a.from) {
		a.from = y.from
	}
	if !y.until.IsZero() && (a.until.IsZero() || y.until.Before(a.until)) {
		a.until = y.until
	}
	a.week, a.zone = x.week, x.zone
	switch {
	case y.week == nil:
	case a.week == nil:
		a.week, a.zone = y.week, y.zone
	case x.zone != y.zone:
		return false // it cannot be told
	default:
		a.week = x.week.and(y.week)
	}
	bounded := !a.from.IsZero() && !a.until.IsZero()
	if a.week == nil {
		return !bounded || a.from.Before(a.until)
	}
	// A span of less than a week may have none of the minutes.
	return !a.week.empty() && (!bounded || a.until.Sub(a.from) >= 8*24*time.Hour)
}

// common returns what two lists have in common; nil is everything. It is false for nothing.
func common[T comparable](a, b []T) ([]T, bool) {
	switch {
	case a == nil:
		return b, true
	case b == nil:
		return a, true
	}
	var both []T
	for _, x := range a {
		if slices.Contains(b, x) {
			both = append(both, x)
		}
	}
	return both, both != nil
}

// overlap is common for prefixes: of two that nest the longer one.
func overlap(a, b []netip.Prefix) ([]netip.Prefix, bool) {
	switch {
	case a == nil:
		return b, true
	case b == nil:
		return a, true
	}
	var both []netip.Prefix
	for _, x := range a {
		for _, y := range b {
			switch {
			case !x.Overlaps(y):
			case x.Bits() >= y.Bits():
				both = append(both, x)
			default:
				both = append(both, y)
			}
		}
	}
	return both, both != nil
}

// bitset is a set of small numbers.
type bitset []uint64

func newBitset(n int) bitset { return make(bitset, (n+63)/64) }

func (b bitset) set(i int) { b[i/64] |= 1 << (i % 64) }

func (b bitset) empty() bool { return !slices.ContainsFunc(b, func(w uint64) bool { return w != 0 }) }

func (b bitset) and(c bitset) bitset {
	out := make(bitset, len(b))
	for i := range b {
		out[i] = b[i] & c[i]
	}
	return out
}

func (b bitset) without(c bitset) bitset {
	out := make(bitset, len(b))
	for i := range b {
		out[i] = b[i] &^ c[i]
	}
	return out
}
