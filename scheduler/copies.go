package scheduler

import (
	"iter"
	"slices"

	"nearcast/scheduler/decide"
	"nearcast/scheduler/respond"
	"nearcast/scheduler/rr"
	"nearcast/scheduler/transfer"
	"nearcast/scheduler/view"
	"nearcast/scheduler/zone"
)

// copies is what secondaries get of a plan: the zones as they look to nobody in particular. It is made of the configuration alone, so that its serial, the
// configuration's number, says what is in it: a POP that is down is in it. Names that are steered have nodes of two POPs, and browsers try the second.
type copies struct {
	plan     *view.Plan
	settings respond.Settings
}

// Zones implements [transfer.Source].
func (c copies) Zones() (all []transfer.Zone) {
	for _, z := range c.plan.Zones.Zones() {
		all = append(all, transfer.Zone{Name: z.Name, SOA: z.SOA, Secondaries: z.Secondaries})
	}
	return all
}

// Records implements [transfer.Source].
func (c copies) Records(of *transfer.Zone) iter.Seq2[[]byte, rr.Set] {
	return func(yield func([]byte, rr.Set) bool) {
		i := slices.IndexFunc(c.plan.Zones.Zones(), func(z *zone.Zone) bool { return string(z.Name) == string(of.Name) })
		if i < 0 {
			return
		}
		glue := make(map[string]bool)
		c.plan.Zones.All(c.plan.Zones.Zones()[i], func(owner []byte, m *zone.Match) bool { return c.name(owner, m, glue, yield) })
	}
}

// name yields what is at a name, and reports whether more is wanted. Of glue it remembers what was yielded.
func (c copies) name(owner []byte, m *zone.Match, glue map[string]bool, yield func([]byte, rr.Set) bool) bool {
	sets := m.Sets
	switch {
	case m.Cut != nil:
		return c.cut(m, glue, yield)
	case m.Node != nil:
		sets = append(slices.Clone(sets), zone.Addresses(zone.DefaultTTL, m.Node)...)
	case m.Domain != "":
		sets = append(slices.Clone(sets), zone.Addresses(c.settings.Steered, decide.Standing(c.plan, m.Domain)...)...)
	}
	for _, set := range sets {
		if set.Type != rr.TypeSOA && len(set.Data) > 0 && !yield(owner, set) {
			return false
		}
	}
	return true
}

// cut yields a delegation. Addresses of a server that several are delegated to are yielded once, and those of one that is not below a delegation with its name.
func (c copies) cut(at *zone.Match, glue map[string]bool, yield func([]byte, rr.Set) bool) bool {
	cut := at.Cut
	if !yield(cut.Owner, cut.NS) || cut.DS != nil && !yield(cut.Owner, *cut.DS) {
		return false
	}
	var m zone.Match
	for _, g := range cut.Glue {
		if c.plan.Zones.Find(g.Owner, &m); m.Zone == at.Zone && m.Cut == nil || glue[string(g.Owner)] {
			continue
		}
		glue[string(g.Owner)] = true
		for _, set := range g.Sets {
			if !yield(g.Owner, set) {
				return false
			}
		}
	}
	return true
}
