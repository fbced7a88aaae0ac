package decide

import (
	"nearcast/cdn"
	"nearcast/scheduler/policy"
	"nearcast/scheduler/view"
)

// Relief is where a POP's visitors would go if it were not there.
type Relief struct {
	// Default is for visitors in none of Groups; empty if they must stay.
	Default cdn.POPName
	// Groups are those that the map sends to the POP, or whose cheapest choice it is, each with the POP that is next; empty if they must stay.
	Groups map[cdn.GroupName]cdn.POPName
}

// ReliefOf is where the map would send the visitors of a POP that has too much. What is there for a group holds for all sites: a POP that some policy forbids
// to a part of the group is not for any of it. An unknown POP has none.
func ReliefOf(v *view.View, name cdn.POPName) Relief {
	r := Relief{Groups: make(map[cdn.GroupName]cdn.POPName)}
	pop := v.POP(name)
	if pop < 0 {
		return r
	}
	r.Default = neighbour(v, pop)
	if v.Chart == nil {
		return r
	}
	for group := range v.Chart.Names {
		switch g := v.Chart.Group(group, 0); {
		case g < 0: // policy decides where they go, and nothing else
			r.Groups[v.Chart.Names[group]] = ""
		case sendsTo(v, g, pop):
			r.Groups[v.Chart.Names[group]] = second(v, group, pop)
		}
	}
	return r
}

// sendsTo reports whether the map sends a group of its own to a POP, be it as a stand-by.
func sendsTo(v *view.View, g, pop int) bool {
	for _, s := range v.Chart.Map.Shares(g) {
		if v.Chart.POP(int(s.POP)) == pop {
			return true
		}
	}
	return false
}

// second is the next choice of a group of the index: of its shares and its stand-by, else of all its candidates by cost.
func second(v *view.View, group, without int) cdn.POPName {
	c := v.Chart
	g := c.Group(group, 0)
	if g < 0 {
		return ""
	}
	fits := func(pop int) bool {
		return pop >= 0 && pop != without && len(v.Usable[pop].Nodes) > 0 && hasRoom(v, pop) && everySite(v, group, pop)
	}
	for _, s := range c.Map.Shares(g) {
		if pop := c.POP(int(s.POP)); fits(pop) {
			return v.POPs[pop].Name
		}
	}
	choices, _ := c.Explainer.Explain(c.Map.ID(g))
	for i := range choices {
		if pop := v.POP(choices[i].POP); fits(pop) {
			return choices[i].POP
		}
	}
	return ""
}

// everySite reports whether policy allows a group's visitors a POP, whatever they want and whichever of the group's addresses they have.
func everySite(v *view.View, group, pop int) bool {
	if v.Active.Narrow(pop) {
		return false
	}
	for class := range v.Chart.Classes {
		verdict, _ := v.Active.Verdict(policy.Visitor{Place: v.Chart.Places[group], Class: class})
		if !verdict.Allows(pop) || verdict != nil && (verdict.Pin >= 0 && verdict.Pin != pop || len(verdict.Weights) > 0) {
			return false
		}
	}
	return true
}

// neighbour is the nearest POP with a usable node and room that no policy forbids anybody; empty if there is none.
func neighbour(v *view.View, pop int) cdn.POPName {
	best := -1
	for other := range v.POPs {
		if other == pop || len(v.Usable[other].Nodes) == 0 || !hasRoom(v, other) || v.Active.Forbids(other) {
			continue
		}
		if best < 0 || v.Between(pop, other) < v.Between(pop, best) {
			best = other
		}
	}
	if best < 0 {
		return ""
	}
	return v.POPs[best].Name
}
