package zone

import (
	"fmt"
	"slices"

	"nearcast/cdn"
)

// site is who has domains: a site, or the fleet itself.
type site struct {
	used        bool // not a number that is free
	name        cdn.SiteName
	class       int
	domains     []cdn.Domain
	redirection *cdn.Redirection // nil for the zero value
}

func (of *site) match(domain cdn.Domain, node *cdn.Node) HostMatch {
	return HostMatch{Domain: domain, Site: of.name, Class: of.class, Node: node, Redirection: of.redirection}
}

// Set is all zones with all names. It is immutable and safe for concurrent use.
type Set struct {
	seeds   seeds
	zones   []*Zone          // the fleet's own first
	byHash  map[uint64]*Zone // by the hash of the name
	deepest int              // how many labels a zone has at most
	servers []Server
	nodes   map[cdn.NodeName]*cdn.Node

	sites []site   // by the number that entries of names have; one without domains is free
	order []uint32 // numbers of sites, in the order in which they came
	fleet site     // what is steered without a site
	names table    // refs are numbers of sites
	below table    // how many names are below a name that may have nothing itself
}

// Compile makes a set. What before has that is the same is shared; nil is no set before. It takes time for what has changed, and little for each site.
//
// It refuses what cannot be answered from: zones below the fleet's, or twice, and records that are none. A zone below
// another one is delegated from there. All else that is wrong with zones is for who reads them from files to say; here
// a name server, a delegation, an address or a CNAME goes before a domain of the same name.
func Compile(cfg Config, before *Set) (*Set, error) {
	s := &Set{servers: cfg.Servers, nodes: cfg.Nodes}
	if before == nil {
		s.seeds = newSeeds()
		before = &Set{seeds: s.seeds}
	} else {
		s.seeds = before.seeds
	}
	if err := s.addZones(&cfg, before); err != nil {
		return nil, err
	}
	s.addSites(&cfg, before)
	return s, nil
}

// changes are those of names and of what is above them.
type changes struct {
	seeds *seeds
	names []change
	below []change
	last  [maxLabels + 1]int // by number of labels, the last of below, plus one: domains of a site are much alike
}

// add lets domains come or go.
func (c *changes) add(domains []cdn.Domain, ref uint32, by int32) {
	clear(c.last[:])
	var p path
	for i, d := range domains {
		if !p.readText(d) {
			continue // cannot be asked for either
		}
		p.walk(c.seeds, p.labels, root)
		c.names = append(c.names, change{entry{p.hashes[p.labels], ref, uint32(i)}, by}) //nolint:gosec // as many as there are
		for k := 1; k < p.labels; k++ {
			if at := c.last[k]; at > 0 && c.below[at-1].hash == p.hashes[k] {
				c.below[at-1].by += by
				continue
			}
			c.below = append(c.below, change{entry{hash: p.hashes[k]}, by})
			c.last[k] = len(c.below)
		}
	}
}

// addSites finds out which sites and names have come, gone or changed.
func (s *Set) addSites(cfg *Config, before *Set) {
	c := changes{seeds: &s.seeds}
	if len(before.order) == 0 {
		total := len(cfg.DNS.Steered)
		for i := range cfg.Sites {
			total += len(cfg.Sites[i].Domains)
		}
		c.names, c.below = make([]change, 0, total), make([]change, 0, total)
	}
	class := cfg.Class
	if class == nil {
		class = func(cdn.SiteName) int { return 0 }
	}
	s.sites = slices.Clone(before.sites)
	s.order = make([]uint32, len(cfg.Sites))
	m := newMatcher(before)
	var fresh []int
	for i := range cfg.Sites {
		given := &cfg.Sites[i]
		ref, known := m.find(given.Name)
		if !known {
			fresh = append(fresh, i)
			continue
		}
		s.order[i] = ref
		old := &before.sites[ref]
		s.sites[ref] = record(given, class(given.Name))
		if same(old.domains, given.Domains) {
			s.sites[ref].domains = old.domains
			continue
		}
		c.add(old.domains, ref, -1)
		c.add(given.Domains, ref, 1)
	}
	free := m.rest()
	for _, ref := range free {
		c.add(before.sites[ref].domains, ref, -1)
		s.sites[ref] = site{}
	}
	s.addFresh(cfg, &c, fresh, class)
	s.fleet = site{class: class(""), domains: before.fleet.domains}
	if !same(before.fleet.domains, cfg.DNS.Steered) {
		s.fleet.domains = cfg.DNS.Steered
		c.add(before.fleet.domains, ofFleet, -1)
		c.add(cfg.DNS.Steered, ofFleet, 1)
	}
	s.names, s.below = before.names.with(c.names, mergeNames), before.below.with(c.below, mergeCounts)
}

// addFresh gives numbers to sites that were not there before.
func (s *Set) addFresh(cfg *Config, c *changes, fresh []int, class func(cdn.SiteName) int) {
	if cap(s.sites)-len(s.sites) < len(fresh) {
		s.sites = slices.Grow(s.sites, len(fresh))
	}
	next := 0
	for _, i := range fresh {
		given := &cfg.Sites[i]
		for next < len(s.sites) && s.sites[next].used {
			next++
		}
		if next == len(s.sites) {
			s.sites = append(s.sites, site{})
		}
		ref := uint32(next) //nolint:gosec // as many as there are sites
		s.order[i], s.sites[next] = ref, record(given, class(given.Name))
		c.add(given.Domains, ref, 1)
		next++
	}
}

// record is what is remembered of a site.
func record(given *cdn.Site, class int) site {
	of := site{used: true, name: given.Name, class: class, domains: given.Domains}
	if r := &given.Redirection; r.Off || len(r.Paths) > 0 || r.MinSize != 0 || r.Signed || r.Lifetime != 0 {
		kept := *r // the site itself, which has a lot more, is not kept
		of.redirection = &kept
	}
	return of
}

// same reports whether two lists are the same, without looking at them if they are one.
func same(a, b []cdn.Domain) bool {
	if len(a) != len(b) {
		return false
	}
	return len(a) == 0 || &a[0] == &b[0] || slices.Equal(a, b)
}

// matcher finds the numbers of sites by their names, for which it needs no index while both are in the same order.
type matcher struct {
	before *Set
	next   int
	used   []bool // by number
	index  map[cdn.SiteName]uint32
}

func newMatcher(before *Set) *matcher {
	return &matcher{before: before, used: make([]bool, len(before.sites))}
}

func (m *matcher) find(name cdn.SiteName) (uint32, bool) {
	if m.next < len(m.before.order) {
		if ref := m.before.order[m.next]; m.before.sites[ref].name == name {
			m.next++
			return m.take(ref)
		}
	}
	if m.index == nil {
		m.index = make(map[cdn.SiteName]uint32, len(m.before.order))
		for i, ref := range m.before.order {
			m.index[m.before.sites[ref].name] = uint32(i) //nolint:gosec // as many as there are sites
		}
	}
	i, ok := m.index[name]
	if !ok {
		return 0, false
	}
	m.next = int(i) + 1
	return m.take(m.before.order[i])
}

// take gives away a number; a name that is there twice has it once only.
func (m *matcher) take(ref uint32) (uint32, bool) {
	if m.used[ref] {
		return 0, false
	}
	m.used[ref] = true
	return ref, true
}

// rest are the numbers of sites that nobody has asked for.
func (m *matcher) rest() (refs []uint32) {
	for _, ref := range m.before.order {
		if !m.used[ref] {
			refs = append(refs, ref)
		}
	}
	return refs
}

// Zones are all zones, the fleet's own first. The result must not be changed.
func (s *Set) Zones() []*Zone { return s.zones }

// Fleet is the fleet's own zone.
func (s *Set) Fleet() *Zone { return s.zones[0] }

// Servers are the name servers of all zones.
func (s *Set) Servers() []Server { return s.servers }

// Names is how many names are steered, nodes' names under them not counted.
func (s *Set) Names() int { return s.names.n }

// AliasTargets are the names whose addresses are needed for aliases, sorted, without duplicates.
func (s *Set) AliasTargets() []cdn.Domain {
	var all []cdn.Domain
	for _, z := range s.zones {
		all = append(all, z.content.aliases...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func conflict(format string, args ...any) error {
	return cdn.Errorf(cdn.Invalid, "zone.Compile", "%w", fmt.Errorf(format, args...))
}
