package zone

import (
	"bytes"
	"math"

	"nearcast/cdn"
)

// ofFleet is the number, instead of a site's, of names that the fleet steers without one. It is the largest, so that sites go first.
const ofFleet = math.MaxUint32

// Find tells what is at a name, which is in wire form, in any letter case. What is no name is in no zone. It is safe for concurrent use.
func (s *Set) Find(name []byte, m *Match) {
	*m = Match{}
	var p path
	if !p.read(name) {
		return
	}
	z, n := s.locate(&p)
	if z == nil {
		return
	}
	m.Zone = z
	if z.content.cuts > 0 && z.findCut(&p, n, m) {
		return
	}
	if n == 0 {
		m.Exists, m.Apex = true, true
		s.fill(m, &z.apex)
		if !z.fleet && !z.apex.owns {
			s.steer(&p, z, 0, m)
		}
		return
	}
	at := z.static(&p, n, n)
	if at != nil {
		m.Exists = true
		s.fill(m, at)
	}
	if (at == nil || !at.owns) && s.steer(&p, z, n, m) || m.Exists {
		m.Exists = true
		return
	}
	if s.below.count(p.hashes[n]) > 0 {
		m.Exists = true
		return
	}
	if z.content.wildcard {
		s.findWildcard(&p, z, n, m)
	}
}

// locate returns the zone that a name is in, and how many labels are in front of it, whose hashes it fills in.
func (s *Set) locate(p *path) (*Zone, int) {
	if z := s.zones[0]; p.within(z) {
		n := p.labels - z.labels
		p.walk(&s.seeds, n, z.base)
		return z, n
	}
	if len(s.zones) == 1 {
		return nil, 0
	}
	var found *Zone // none is within the fleet's, but others are within each other
	hash := root
	for k := 1; k <= min(p.labels, s.deepest); k++ {
		hash = s.seeds.under(hash, p, p.labels-k)
		if z := s.byHash[hash]; z != nil && p.within(z) {
			found = z
		}
	}
	if found == nil {
		return nil, 0
	}
	n := p.labels - found.labels
	p.walk(&s.seeds, n, found.base)
	return found, n
}

// within reports whether the name is in the zone.
func (p *path) within(z *Zone) bool {
	if p.labels < z.labels {
		return false
	}
	from := p.labels - z.labels
	if p.dotted > 0 && bytes.IndexByte(p.part(from, p.labels), '.') >= 0 && !p.aligned(from, z) {
		return false
	}
	return string(p.part(from, p.labels)) == string(z.Text)
}

// aligned reports whether the labels from one on are as long as those of the zone.
func (p *path) aligned(from int, z *Zone) bool {
	at := 0
	for i := from; i < p.labels; i++ {
		if n := int(p.starts[i+1]-p.starts[i]) - 1; int(z.Name[at]) != n {
			return false
		}
		at += 1 + int(z.Name[at])
	}
	return true
}

// static returns the name that exists for good and is k of n labels under the apex, or nil.
func (z *Zone) static(p *path, n, k int) *static {
	at := z.content.statics[p.hashes[k]]
	if at == nil || p.dotted > n-k || at.text != string(p.part(n-k, n)) {
		return nil
	}
	return at
}

// findCut reports whether a name is at or below a delegation.
func (z *Zone) findCut(p *path, n int, m *Match) bool {
	for k := 1; k <= n; k++ {
		if at := z.static(p, n, k); at != nil && at.cut != nil {
			m.Exists, m.Cut, m.AtCut = true, at.cut, k == n
			return true
		}
	}
	return false
}

func (s *Set) fill(m *Match, at *static) {
	m.Sets, m.Alias, m.Node = at.sets, at.alias, at.node
}

// steer reports whether the name of k labels in front of a zone is steered, or is that of a node under one that is.
func (s *Set) steer(p *path, z *Zone, k int, m *Match) bool {
	if p.dotted > 0 || m.Node != nil {
		return false
	}
	end := k
	if !z.fleet {
		end = p.labels // sites have the whole of it
	}
	if domain, of := s.steered(p, 0, end, p.hashes[k], z.fleet); of != nil {
		m.Domain, m.Class = domain, of.class
		return true
	}
	if !z.fleet || k < 2 {
		return false
	}
	node := s.nodes[cdn.NodeName(p.label(0))]
	if node == nil {
		return false
	}
	domain, of := s.steered(p, 1, end, p.hashes[k-1], true)
	if of == nil {
		return false
	}
	if at := z.static(p, k, k-1); at != nil && at.owns {
		return false
	}
	m.Domain, m.Class, m.Node = domain, of.class, node
	return true
}

// steered returns the domain that labels of a name are, and who has it; nil if nobody does.
func (s *Set) steered(p *path, from, to int, hash uint64, fleet bool) (cdn.Domain, *site) {
	found := s.names.find(hash)
	for i := range found {
		e := &found[i]
		if e.hash != hash {
			break
		}
		of := &s.fleet
		if e.ref != ofFleet {
			of = &s.sites[e.ref]
		} else if !fleet {
			continue
		}
		if domain := of.domains[e.index]; string(domain) == string(p.part(from, to)) {
			return domain, of
		}
	}
	return "", nil
}

// exists reports whether the name of k of n labels in front of a zone exists.
func (s *Set) exists(p *path, z *Zone, n, k int) bool {
	if z.static(p, n, k) != nil || s.below.count(p.hashes[k]) > 0 {
		return true
	}
	if p.dotted > n-k {
		return false
	}
	end := n
	if !z.fleet {
		end = p.labels
	}
	if _, of := s.steered(p, n-k, end, p.hashes[k], z.fleet); of != nil {
		return true
	}
	if !z.fleet || k < 2 || s.nodes[cdn.NodeName(p.label(n-k))] == nil {
		return false
	}
	_, of := s.steered(p, n-k+1, end, p.hashes[k-1], true)
	return of != nil
}

// findWildcard looks for a wildcard under the closest ancestor that exists (RFC 4592 section 3.3.1).
func (s *Set) findWildcard(p *path, z *Zone, n int, m *Match) {
	at := &z.apex
	for k := 0; k < n && at != nil; k++ {
		if at.wild != nil && !s.exists(p, z, n, k+1) {
			m.Exists, m.Wildcard = true, true
			s.fill(m, at.wild)
			return
		}
		at = z.static(p, n, k+1) // no wildcard is under what is not here, and that is soon the case
	}
}

// Host tells what the host of an HTTP request is: a site's domain, that or a steered name in the fleet's zone, or a node's under such a
// name. It is safe for concurrent use.
func (s *Set) Host(host cdn.Domain) (h HostMatch) {
	var p path
	if !p.readText(host) {
		return h
	}
	p.walk(&s.seeds, p.labels, root)
	if domain, of := s.steered(&p, 0, p.labels, p.hashes[p.labels], false); of != nil {
		return of.match(domain, nil)
	}
	z, n := s.locate(&p)
	if z == nil || !z.fleet || n == 0 {
		return h
	}
	var m Match
	if z.content.cuts > 0 && z.findCut(&p, n, &m) {
		return h
	}
	if at := z.static(&p, n, n); at != nil && at.owns || !s.steer(&p, z, n, &m) {
		return h
	}
	skip := 0
	if m.Node != nil {
		skip = 1
	}
	_, of := s.steered(&p, skip, n, p.hashes[n-skip], true)
	return of.match(m.Domain, m.Node)
}

// Site is the site that has a domain, and its class of policies; the zero values if none has. A name that the fleet steers has no site.
func (s *Set) Site(d cdn.Domain) (name cdn.SiteName, class int) {
	if of := s.owner(d); of != nil {
		return of.name, of.class
	}
	return "", s.fleet.class
}

// Steers reports whether a domain is a site's, or a name that the fleet steers.
func (s *Set) Steers(d cdn.Domain) bool { return s.owner(d) != nil }

func (s *Set) owner(d cdn.Domain) *site {
	var p path
	if !p.readText(d) {
		return nil
	}
	p.walk(&s.seeds, p.labels, root)
	_, of := s.steered(&p, 0, p.labels, p.hashes[p.labels], true)
	return of
}
