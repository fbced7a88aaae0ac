package edge

import (
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strconv"

	"nearcast/cdn"
	"nearcast/edge/coding"
	"nearcast/edge/route"
	"nearcast/edge/rules"
	"nearcast/edge/shed"
	"nearcast/edge/store/purge"
	"nearcast/internal/geo"
	"nearcast/internal/ring"
)

// tables is a configuration compiled for this node. It is immutable; a request
// loads it once and keeps it.
type tables struct {
	number     uint64 // no two of a node's have the same
	routes     *route.Table
	rules      map[*cdn.Site]*rules.Table
	own        *rules.Countries             // of the fleet's client prefixes; nil alone
	countries  *rules.Countries             // own, over those of the database of addresses
	codings    map[*cdn.Route]coding.Policy // of the routes that have one
	standalone bool
	tier       cdn.Tier
	parents    [][]cdn.NodeName // candidates of each parent POP, in order of preference
	addrs      map[cdn.NodeName]string

	zone       cdn.Domain // empty if nodes have no names of their own
	port       uint16     // of all nodes, in cleartext
	tlsPort    uint16     // of all nodes, with TLS; zero if it is not known
	neighbours shed.Neighbours
	steered    map[cdn.SiteName]bool // sites that policies name: which POPs they allow, only the map knows
	egress     float64               // what the node can send, in octets a second; zero if unknown
	clients    []cdn.ClientPrefix
	database   *geo.Database // may be nil
}

// Apply makes a snapshot the node's configuration. If it returns an error, the
// node goes on with the old one.
func (s *Server) Apply(snapshot *cdn.Snapshot) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	routes, err := route.Compile(snapshot)
	if err != nil {
		return err
	}
	fleet := &snapshot.Fleet
	t := &tables{
		number: s.lastTables.Add(1), routes: routes, rules: make(map[*cdn.Site]*rules.Table), own: rules.CompileCountries(fleet),
		codings: make(map[*cdn.Route]coding.Policy), addrs: make(map[cdn.NodeName]string),
	}
	t.countries = t.own.Over(s.world)
	for i := range snapshot.Sites {
		site := &snapshot.Sites[i]
		if err := t.addSite(site); err != nil {
			return err
		}
	}
	self := fleet.Node(s.cfg.Node)
	if self == nil {
		return cdn.Errorf(cdn.NotFound, "edge.Apply", "node %q is not in the fleet", s.cfg.Node)
	}
	pop := fleet.POP(self.POP)
	if pop == nil {
		return cdn.Errorf(cdn.NotFound, "edge.Apply", "node %q is in POP %q, which is not in the fleet", s.cfg.Node, self.POP)
	}
	t.tier = pop.Tier
	t.zone, t.port, t.tlsPort, t.neighbours = fleet.Zone, fleet.Port(), fleet.TLSPort(), shed.NeighboursOf(snapshot, self)
	t.steered = steeredBy(fleet.Policies)
	t.egress = float64(self.Capacity.EgressMbps) * 1e6 / 8
	t.clients, t.database = fleet.Clients, s.database
	for _, parent := range fleet.Parents(pop) {
		t.addParent(fleet, parent, s.cfg.Node)
	}
	s.putInForce(t)
	s.metrics.generation.Set(float64(snapshot.Generation))
	return nil
}

// steeredBy returns the sites that policies send to POPs of their own.
func steeredBy(policies []cdn.Policy) map[cdn.SiteName]bool {
	sites := make(map[cdn.SiteName]bool)
	for i := range policies {
		p := &policies[i]
		if len(p.Allow)+len(p.Deny)+len(p.Weights) == 0 && p.Pin == "" {
			continue
		}
		for _, site := range p.Match.Sites {
			sites[site] = true
		}
	}
	return sites
}

// ApplyPlaces makes a database the one that says in which country visitors are whom no client prefix of the fleet covers. Nil is none.
func (s *Server) ApplyPlaces(database *geo.Database) {
	world := rules.CountriesOf(database)
	s.applying.Lock()
	defer s.applying.Unlock()
	s.world = world
	if s.cfg.Relief != nil {
		s.database = database
	}
	if old := s.tables.Load(); old != nil {
		t := *old
		t.number, t.countries, t.database = s.lastTables.Add(1), old.own.Over(world), s.database
		s.tables.Store(&t)
	}
}

func (t *tables) addParent(fleet *cdn.Fleet, pop cdn.POPName, self cdn.NodeName) {
	var names []cdn.NodeName
	for _, n := range fleet.CacheNodes(pop) {
		if n.Name == self || len(n.Addresses) == 0 {
			continue
		}
		names = append(names, n.Name)
		t.addrs[n.Name] = net.JoinHostPort(n.Addresses[0].String(), strconv.Itoa(int(fleet.Port())))
	}
	if len(names) > 0 {
		t.parents = append(t.parents, names)
	}
}

// ApplyStandalone makes the node a proxy of one origin, whatever the Host, that adds
// no rule but those of the routes.
func (s *Server) ApplyStandalone(o *cdn.Origin, routes ...cdn.Route) error {
	if len(o.URLs) == 0 {
		return cdn.Errorf(cdn.Invalid, "edge.ApplyStandalone", "the origin has no URL")
	}
	s.applying.Lock()
	defer s.applying.Unlock()
	site := &cdn.Site{Name: "standalone", Origin: *o, Routes: routes}
	t := &tables{
		number: s.lastTables.Add(1), routes: route.Single(site), rules: make(map[*cdn.Site]*rules.Table), codings: make(map[*cdn.Route]coding.Policy),
		standalone: true, countries: s.world,
	}
	if err := t.addSite(site); err != nil {
		return err
	}
	s.putInForce(t)
	return nil
}

// putInForce replaces the tables. What has been purged under the rules of old ones is purged under those of the new ones before.
func (s *Server) putInForce(t *tables) {
	if old := s.tables.Load(); old == nil || !old.sameKeys(t) {
		if err := s.purges.Follow(understanding{old, t}); err != nil {
			s.log.Error("purges are not safe on disk", "error", err)
		}
	}
	s.tables.Store(t)
	s.purges.Settle(understanding{t})
	s.sweeper.poke()
}

// understanding is what some tables together make of a purge; it implements [purge.Rules].
type understanding []*tables

// Keys implements [purge.Rules].
func (u understanding) Keys(target cdn.Target) (keys []cdn.CacheKey) {
	for _, t := range u {
		if t != nil {
			more, _ := t.keys(target)
			keys = append(keys, more...)
		}
	}
	return keys
}

// Site implements [purge.Rules].
func (u understanding) Site(domain cdn.Domain) (cdn.SiteName, bool) {
	for _, t := range slices.Backward(u) {
		if t != nil {
			if site, _, ok := t.routes.Match(domain); ok {
				return site.Name, true
			}
		}
	}
	return "", false
}

// Loose implements [purge.Rules].
func (u understanding) Loose(name cdn.SiteName) (l purge.Loose) {
	for _, t := range u {
		if t == nil {
			continue
		}
		for site := range t.rules {
			for i := range site.Routes {
				if rule := &site.Routes[i].CacheKey; site.Name == name {
					l.Domain, l.Case = l.Domain || rule.ShareDomains, l.Case || rule.IgnoreCase
				}
			}
		}
	}
	return l
}

func (t *tables) addSite(site *cdn.Site) (err error) {
	if t.rules[site], err = rules.Compile(site); err != nil {
		return err
	}
	for i := range site.Routes {
		if c := site.Routes[i].Compress; c != nil {
			t.codings[&site.Routes[i]] = codingPolicy(c)
		}
	}
	return nil
}

// candidates returns the nodes to ask for a key, best first: consistent hashing
// within a POP gives every key one home there, however many nodes ask for it. If none
// is usable all are: health checks must not take down the last capacity.
func (t *tables) candidates(key cdn.CacheKey, usable func(cdn.NodeName) bool) []cdn.NodeName {
	var all, good []cdn.NodeName
	for _, nodes := range t.parents {
		for _, n := range ring.Rank(string(key), nodes) {
			all = append(all, n)
			if usable == nil || usable(n) {
				good = append(good, n)
			}
		}
	}
	if len(good) == 0 {
		return all
	}
	return good
}

// keys returns what may be stored of a target of any site, and whether a site serves it.
func (t *tables) keys(target cdn.Target) ([]cdn.CacheKey, bool) {
	site, domain, ok := t.routes.Match(target.Domain)
	if !ok {
		return nil, false
	}
	target.Domain = domain
	return t.rules[site].Keys(target), true
}

// sameKeys reports whether both configurations store everything under the same keys.
func (t *tables) sameKeys(other *tables) bool {
	if len(t.rules) != len(other.rules) {
		return false
	}
	routes := make(map[cdn.SiteName]*cdn.Site)
	for site := range t.rules {
		routes[site.Name] = site
	}
	for site := range other.rules {
		old := routes[site.Name]
		if old == nil || !slices.Equal(old.Domains, site.Domains) || !reflect.DeepEqual(old.Routes, site.Routes) {
			return false
		}
	}
	return true
}

// country returns the visitor's country, or "".
func (t *tables) country(client string) string {
	addr, err := netip.ParseAddr(client)
	if err != nil {
		return ""
	}
	return t.countries.Of(addr)
}
