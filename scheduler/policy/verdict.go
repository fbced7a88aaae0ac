package policy

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"nearcast/cdn"
)

// Active is the policies that are in force at a time. It is safe for concurrent use.
type Active struct {
	set *Set
	on  mask

	known sync.Map // of mask: *Verdict
	count atomic.Int32
}

// mostKnown is how many verdicts are kept.
const mostKnown = 1 << 14

// Visitor is whom policies look at.
type Visitor struct {
	// Place is the number of the visitor's place, or [nearcast/internal/locate.None].
	Place int
	// Addr is the visitor's address; the zero value is in no prefix.
	Addr netip.Addr
	// Class is that of the site that is wanted, see [Set.Class].
	Class int
}

// Verdict is what the policies that match a visitor come to. POPs are by index in the list that the policies were compiled for. It must
// not be changed.
type Verdict struct {
	// Policies are the names of those that match, in their order.
	Policies []string
	// Strict says that there are POPs that must not be chosen.
	Strict bool
	// Pin is the POP to be chosen while it is up; -1 for none.
	Pin int
	// Weights divide visitors, whatever POPs cost; empty if they do not. None of them is one that must not be chosen.
	Weights []Weight

	forbidden []bool    // by POP; nil if none is
	prefer    []float64 // by POP; nil if none is
	least     float64   // the lowest of prefer, at most 0
}

// Weight is a POP's part of a division.
type Weight struct {
	POP    int
	Weight int
}

// Allows reports whether the POP may be chosen. A nil verdict allows all.
func (v *Verdict) Allows(pop int) bool { return v == nil || v.forbidden == nil || !v.forbidden[pop] }

// Prefer is what is added to the POP's cost in milliseconds. It is never below zero: the POP that is most preferred has 0, and the others
// so much more. Only differences matter.
func (v *Verdict) Prefer(pop int) float64 {
	if v == nil || v.prefer == nil {
		return 0
	}
	return v.prefer[pop] - v.least
}

// Prefers reports whether any POP is cheaper or dearer by policy.
func (v *Verdict) Prefers() bool { return v != nil && v.prefer != nil }

// Verdict is what the policies in force come to for a visitor: nil if none matches. The scope is the length of the shortest prefix around the
// visitor's address in which prefixes make no difference.
func (a *Active) Verdict(v Visitor) (verdict *Verdict, scope int) {
	if a == nil || a.on == (mask{}) {
		return nil, 0
	}
	s := a.set
	number, scope := s.prefixes.Lookup(v.Addr)
	in := &s.outside
	if number >= 0 {
		in = &s.within[number]
	}
	m := a.on.and(in).and(s.place(v.Place)).and(&s.classes[v.Class])
	if m == (mask{}) {
		return nil, scope
	}
	return a.verdict(m), scope
}

// Narrow reports whether some policy in force that looks at addresses says that the POP must not be chosen.
func (a *Active) Narrow(pop int) bool {
	if a == nil {
		return false
	}
	for i := range a.set.rules {
		r := &a.set.rules[i]
		if a.on.has(i) && len(r.Match.Prefixes) > 0 && !r.allows(a.set.pops[pop]) {
			return true
		}
	}
	return false
}

// Forbids reports whether any policy in force says that the POP must not be chosen, by whomever.
func (a *Active) Forbids(pop int) bool {
	if a == nil {
		return false
	}
	for i := range a.set.rules {
		if a.on.has(i) && !a.set.rules[i].allows(a.set.pops[pop]) {
			return true
		}
	}
	return false
}

func (r *rule) allows(pop cdn.POPName) bool {
	return (len(r.Allow) == 0 || slices.Contains(r.Allow, pop)) && !slices.Contains(r.Deny, pop)
}

func (a *Active) verdict(m mask) *Verdict {
	if known, ok := a.known.Load(m); ok {
		return known.(*Verdict) //nolint:errcheck,forcetypeassert // nothing else is put in
	}
	v := a.set.verdict(m)
	if a.count.Add(1) <= mostKnown {
		a.known.Store(m, v)
	}
	return v
}

func (s *Set) verdict(m mask) *Verdict {
	v := &Verdict{Policies: s.names(m), Pin: -1}
	for i := range s.rules {
		if m.has(i) {
			s.restrict(v, &s.rules[i])
			s.prefer(v, &s.rules[i])
		}
	}
	for i := range s.rules {
		r := &s.rules[i]
		if !m.has(i) || r.Pin == "" && len(r.Weights) == 0 {
			continue
		}
		if v.Pin = slices.Index(s.pops, r.Pin); v.Pin >= 0 && !v.Allows(v.Pin) {
			v.Pin = -1
		}
		for _, w := range r.Weights {
			if pop := slices.Index(s.pops, w.POP); pop >= 0 && v.Allows(pop) {
				v.Weights = append(v.Weights, Weight{pop, w.Weight})
			}
		}
		break // the first decides alone
	}
	return v
}

func (s *Set) restrict(v *Verdict, r *rule) {
	if len(r.Allow) == 0 && len(r.Deny) == 0 {
		return
	}
	if v.forbidden == nil {
		v.Strict, v.forbidden = true, make([]bool, len(s.pops))
	}
	for i, pop := range s.pops {
		v.forbidden[i] = v.forbidden[i] || !r.allows(pop)
	}
}

func (s *Set) prefer(v *Verdict, r *rule) {
	for _, p := range r.Prefer {
		pop := slices.Index(s.pops, p.POP)
		if pop < 0 {
			continue
		}
		if v.prefer == nil {
			v.prefer = make([]float64, len(s.pops))
		}
		v.prefer[pop] += p.MS
	}
	for _, ms := range v.prefer {
		v.least = min(v.least, ms)
	}
}
