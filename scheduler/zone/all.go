package zone

import (
	"cmp"
	"slices"

	"nearcast/internal/dnsrecord"
)

// All tells every name of a zone that has something, for copies of it, until yield returns false: the apex first, then what the text has, in canonical order of
// their texts; then what is steered. Names of nodes under steered ones are left out, since they are as many as both multiplied; so is what
// is below a delegation, whose Cut has what is known of it. What owner and m point to is valid until yield returns. The zone must be of this set.
func (s *Set) All(z *Zone, yield func(owner []byte, m *Match) bool) {
	m := Match{Zone: z}
	s.Find(z.Name, &m)
	if !yield(z.Name, &m) {
		return
	}
	all := make([]*static, 0, len(z.content.statics))
	for _, at := range z.content.statics {
		all = append(all, at)
	}
	slices.SortFunc(all, func(a, b *static) int { return cmp.Compare(a.text, b.text) })
	for _, at := range all {
		s.Find(at.owner, &m)
		if m.Zone != z { // that of a zone below, or what nobody can ask for
			if at.cut == nil || !at.cut.Ours {
				continue
			}
			m = Match{Zone: z, Exists: true, Cut: at.cut, AtCut: true}
		}
		if m.Cut != nil && !m.AtCut || m.Cut == nil && len(m.Sets) == 0 && m.Alias == nil && m.Node == nil && m.Domain == "" {
			continue
		}
		if !yield(at.owner, &m) {
			return
		}
	}
	for _, ref := range s.order {
		if !s.allOf(z, &s.sites[ref], yield) {
			return
		}
	}
	if z.fleet {
		s.allOf(z, &s.fleet, yield)
	}
}

// allOf tells the names of a site in a zone, and reports whether more is wanted.
func (s *Set) allOf(z *Zone, of *site, yield func(owner []byte, m *Match) bool) bool {
	var m Match
	for _, d := range of.domains {
		name := d
		if z.fleet {
			name = d.Under(z.Text)
		} else if part, ok := d.Within(z.Text); !ok || part == "" {
			continue
		}
		owner, err := dnsrecord.Name(string(name))
		if err != nil {
			continue
		}
		s.Find(owner, &m)
		if m.Zone != z || m.Domain != d || m.Node != nil || s.isStatic(z, owner) {
			continue
		}
		if of == &s.fleet && s.owner(d) != of { // a site has it, too
			continue
		}
		if !yield(owner, &m) {
			return false
		}
	}
	return true
}

// isStatic reports whether a name was told with the text of a zone.
func (s *Set) isStatic(z *Zone, owner []byte) bool {
	var p path
	p.read(owner)
	n := p.labels - z.labels
	p.walk(&s.seeds, n, z.base)
	return z.static(&p, n, n) != nil
}
