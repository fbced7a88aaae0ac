package zone

import (
	"strings"

	"nearcast/cdn"
	"nearcast/scheduler/rr"
)

// child is a zone of the set that is within another, with none between.
type child struct {
	name cdn.Domain
	at   int // in Config.Zones, the fleet's own first
}

// nesting returns the zones that are right below each.
func nesting(zones []cdn.Zone) ([][]child, error) {
	at := make(map[cdn.Domain]int, len(zones))
	for i := range zones {
		if _, twice := at[zones[i].Name]; twice {
			return nil, conflict("zone %s is there twice", zones[i].Name)
		}
		at[zones[i].Name] = i
	}
	below := make([][]child, len(zones))
	for i := range zones {
		for above := parent(zones[i].Name); above != ""; above = parent(above) {
			j, is := at[above]
			if !is {
				continue
			}
			if j == 0 { // all of it is names of sites
				return nil, conflict("zone %s is within the fleet's zone %s", zones[i].Name, above)
			}
			below[j] = append(below[j], child{zones[i].Name, i})
			break
		}
	}
	return below, nil
}

// parent is the name above, or empty.
func parent(d cdn.Domain) cdn.Domain {
	_, above, _ := strings.Cut(string(d), ".")
	return cdn.Domain(above)
}

// nest tells zones where they were delegated from.
func (s *Set) nest(below [][]child) {
	for i, children := range below {
		for _, c := range children {
			z := s.zones[c.at]
			var p path
			p.read(z.Name)
			n := p.labels - s.zones[i].labels
			p.walk(&s.seeds, n, s.zones[i].base)
			if at := s.zones[i].static(&p, n, n); at != nil && at.cut != nil && at.cut.Ours {
				z.above, z.cut = s.zones[i], at.cut
			}
		}
	}
}

// delegate makes a delegation to the servers themselves, of a zone of the set. What the text has at the name does not matter, unless somebody above has it.
func (b *builder) delegate(name cdn.Domain) {
	for above := parent(name); above != b.zone.Text; above = parent(above) {
		if len(b.targets[b.at(mustName(above))]) > 0 {
			return
		}
	}
	at := b.at(mustName(name))
	at.sets, at.alias = nil, nil
	delete(b.targets, at)
	for i := range b.set.servers {
		target := mustName(b.set.servers[i].Name)
		b.targets[at] = append(b.targets[at], target)
		addTo(at, rr.TypeNS, zoneTTL, target)
	}
	if b.ours == nil {
		b.ours = make(map[*static]bool)
	}
	b.ours[at] = true
}

// Above turns the match of a zone's apex into that of the delegation in the zone above, if that is of the set, too, and reports whether it is: there the
// DS records of the zone are (RFC 4035 section 3.1.4.1).
func (m *Match) Above() bool {
	if !m.Apex || m.Zone.above == nil {
		return false
	}
	*m = Match{Zone: m.Zone.above, Exists: true, Cut: m.Zone.cut, AtCut: true}
	return true
}
