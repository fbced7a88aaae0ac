package cdn

import (
	"fmt"
	"time"
)

// Bounds of a fleet's policies.
const (
	MaxPrice        = 1000 // ms, of a POP
	MaxPreference   = 1000 // ms, either way
	MaxPolicyWeight = 1000
)

// PolicyFault is one thing that is wrong with a policy.
type PolicyFault struct {
	// Policy is its index in the fleet.
	Policy int
	// Field is where, within the policy, such as "allow[1]", "weights.fra" or "match.window.until"; empty means the policy as a whole.
	Field string
	// Text says what is wrong, and Hint what would be right; Hint may be empty.
	Text, Hint string
	// Missing is set if the fault is that something is not there, which is none if it is only that it could not be read.
	Missing bool
}

// String says what is wrong, and where.
func (x PolicyFault) String() string {
	s := fmt.Sprintf("policies[%d]", x.Policy)
	if x.Field != "" {
		s += "." + x.Field
	}
	s += ": " + x.Text
	if x.Hint != "" {
		s += " (" + x.Hint + ")"
	}
	return s
}

// PolicyFaults returns everything that is wrong with each of the fleet's policies beside the values themselves: POPs to which no visitor can be
// sent, and words that contradict each other or mean nothing. It is for those who write policies; it passes over names that are empty, which could not be
// read, and is stricter than [Fleet.CheckPolicies]. What policies do to each other is for [Fleet.PolicyDeadEnd].
func (f *Fleet) PolicyFaults() []PolicyFault {
	k := policyChecker{tiers: make(map[POPName]Tier, len(f.POPs)), first: make(map[string]int, len(f.Policies))}
	for i := range f.POPs {
		k.tiers[f.POPs[i].Name] = f.POPs[i].Tier
	}
	for i := range f.Policies {
		k.index = i
		k.check(&f.Policies[i])
	}
	return k.faults
}

// policyChecker collects the faults of policies.
type policyChecker struct {
	tiers  map[POPName]Tier
	first  map[string]int // :: name of a policy -> the first that has it
	index  int
	faults []PolicyFault
}

func (k *policyChecker) add(field, hint, format string, args ...any) {
	k.faults = append(k.faults, PolicyFault{Policy: k.index, Field: field, Text: fmt.Sprintf(format, args...), Hint: hint})
}

func (k *policyChecker) missing(field, hint, text string) {
	k.faults = append(k.faults, PolicyFault{Policy: k.index, Field: field, Text: text, Hint: hint, Missing: true})
}

func (k *policyChecker) check(p *Policy) {
	if j, dup := k.first[p.Name]; dup && p.Name != "" {
		k.add("name", "choose another name", "policy %s is already policies[%d]", p.Name, j)
	} else {
		k.first[p.Name] = k.index
	}
	if len(p.Allow)+len(p.Deny)+len(p.Weights)+len(p.Prefer) == 0 && p.Pin == "" {
		k.missing("", "", "the policy does nothing: give it allow, deny, pin, weights or prefer")
	}
	if p.Pin != "" && len(p.Weights) > 0 {
		k.add("weights", "keep one of the two", "pin sends all of these visitors to %s already", p.Pin)
	}
	k.pops(p)
	k.window(&p.Match.Window)
}

// pops checks the POPs that a policy names.
func (k *policyChecker) pops(p *Policy) {
	denied, allowed := k.list("deny", p.Deny), k.list("allow", p.Allow)
	chosen := func(field string, pop POPName) {
		if !k.known(field, pop) {
			return
		}
		switch {
		case denied[pop]:
			k.add(field, "take it out of one of them", "POP %s is under deny as well", pop)
		case len(allowed) > 0 && !allowed[pop]:
			k.add(field, "add it there", "POP %s is not under allow", pop)
		}
	}
	if p.Pin != "" {
		chosen("pin", p.Pin)
	}
	for _, w := range p.Weights {
		chosen("weights."+string(w.POP), w.POP)
	}
	for _, w := range p.Prefer {
		k.known("prefer."+string(w.POP), w.POP)
	}
}

// list checks a list of POPs and returns it as a set.
func (k *policyChecker) list(field string, pops []POPName) map[POPName]bool {
	set := make(map[POPName]bool, len(pops))
	for i, pop := range pops {
		k.known(fmt.Sprintf("%s[%d]", field, i), pop)
		set[pop] = true
	}
	return set
}

// known reports whether visitors may be sent to a POP of that name at all; if not, that is a fault.
func (k *policyChecker) known(field string, pop POPName) bool {
	tier, known := k.tiers[pop]
	switch {
	case pop == "":
		return false
	case !known:
		k.add(field, "", "there is no POP %s", pop)
	case tier == TierRegional:
		k.add(field, "", "POP %s is of tier regional; visitors are sent to POPs of tier edge", pop)
	default:
		return true
	}
	return false
}

func (k *policyChecker) window(w *Window) {
	if !w.From.IsZero() && !w.Until.IsZero() && !w.Until.After(w.From) {
		k.add("match.window.until", "", "%s is not after from, %s: the window never opens", w.Until.Format(time.RFC3339), w.From.Format(time.RFC3339))
	}
	switch {
	case w.Begin != "" && w.End == "":
		k.missing("match.window.begin", "00:00 is midnight", "begin needs an end")
	case w.Begin == "" && w.End != "":
		k.missing("match.window.end", "00:00 is midnight", "end needs a begin")
	}
	if w.Zone != "" && len(w.Days) == 0 && w.Begin == "" && w.End == "" {
		k.missing("match.window.zone", "from and until have their own", "zone is about days, begin and end, and none of them is there")
	}
}
