package view

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

	"nearcast/cdn"
	"nearcast/internal/locate"
	"nearcast/scheduler/policy"
	"nearcast/scheduler/zone"
)

// A POP of the visitor's own carrier counts as nearer than it is: paths between
// carriers make detours that distance does not show. The bonus is the larger of
// the two, so that it decides between neighbours and never between continents.
const (
	ispBonusKilometres = 50
	ispBonusShare      = 0.10
)

// maxNearest is how many POPs are remembered for a place. There can be a million places.
const maxNearest = 16

// Plan is a configuration compiled for answering. It is immutable and safe for concurrent use.
type Plan struct {
	// Generation is the configuration's number.
	Generation cdn.Generation
	// Zone is the domain that the scheduler is authoritative for.
	Zone cdn.Domain
	// Port is where the edge nodes serve visitors.
	Port uint16
	// TLSPort is where they do so with TLS; zero if they do not.
	TLSPort uint16
	// Proxies are the networks of reverse proxies whose word for a client's address is taken.
	Proxies []netip.Prefix
	// POPs are those of the edge tier that have cache nodes, in fleet order.
	POPs []POP
	// Servers are the zone's name servers: the fleet's schedulers, in fleet order.
	Servers []zone.Server
	// Clients finds the place of a visitor.
	Clients *locate.Index
	// Zones are all zones with all names.
	Zones *zone.Set

	// Policies are the operator's.
	Policies *policy.Set

	sites    []*cdn.POP            // the fleet's entries of POPs
	services [][]byte              // of HTTPS records, by POP; nil without HTTPS
	alpn     [][]string            // likewise
	index    map[cdn.POPName]int   // of POPs
	drained  map[cdn.NodeName]bool // cache nodes that an operator empties

	once    sync.Once
	groups  *placeGroups               // once asked for
	centres map[string]cdn.Location    // the middle of the POPs in a country
	nearest []atomic.Pointer[[]int]    // by place, once it has been asked for: at most maxNearest indices of POPs
	nodes   map[cdn.NodeName]*cdn.Node // the cache nodes of POPs
}

// POP is a point of presence with its cache nodes.
type POP struct {
	// Name is the POP's name.
	Name cdn.POPName
	// Nodes are the POP's cache nodes, in fleet order. Not empty in a plan.
	Nodes []*cdn.Node
	// Names are the names of Nodes, in the same order.
	Names []cdn.NodeName
	// Draining says that an operator empties the POP.
	Draining bool
	// Hash is of the POP's name, and Claims are of the nodes': what they claim keys with.
	Hash   uint64
	Claims []uint64
	// Capacity is what all nodes together can send, in octets a second, by the fleet; Capacities are the nodes'.
	Capacity   float64
	Capacities []float64
	// Even says that all nodes can send as much.
	Even bool
}

// UnknownCapacity is what a node is taken to be able to send of which the fleet does not say it: 1 Gbit/s, in octets a second.
const UnknownCapacity = 1e9 / 8

func capacityOf(n *cdn.Node) float64 {
	if n.Capacity.EgressMbps <= 0 {
		return UnknownCapacity
	}
	return float64(n.Capacity.EgressMbps) * 1e6 / 8
}

// Compile makes the plan of a configuration. It refuses what could not be
// answered from; the control plane has checked everything else.
func Compile(s *cdn.Snapshot) (*Plan, error) {
	if s == nil {
		return nil, cdn.Errorf(cdn.Invalid, "", "no configuration")
	}
	clients, err := locate.New(s.Fleet.Clients, nil)
	if err != nil {
		return nil, err
	}
	return CompileWith(s, clients, nil)
}

// CompileWith is [Compile] with an index of visitors that was made before, from the clients of the configuration's fleet
// and whatever else is known of addresses. With the plan before, nil if there is none, it shares the names that have not changed.
func CompileWith(s *cdn.Snapshot, clients *locate.Index, before *Plan) (*Plan, error) {
	if _, err := cdn.ParseDomain(string(s.Fleet.Zone)); err != nil {
		return nil, fmt.Errorf("zone: %w", err)
	}
	p := &Plan{
		Generation: s.Generation,
		Zone:       s.Fleet.Zone,
		Port:       s.Fleet.Port(),
		TLSPort:    s.Fleet.TLSPort(),
		Proxies:    s.Fleet.DNS.TrustedProxies,
		Clients:    clients,
		nearest:    make([]atomic.Pointer[[]int], len(clients.Places())),
		nodes:      make(map[cdn.NodeName]*cdn.Node),
		drained:    make(map[cdn.NodeName]bool),
	}
	p.addPOPs(&s.Fleet)
	p.keepNearest(before)
	if err := p.addPolicies(s); err != nil {
		return nil, err
	}
	p.addDrains(s.Drains)
	p.addCentres()
	p.addServers(&s.Fleet)
	p.addServices(&s.Fleet)
	return p, p.addZones(s, before)
}

// addPOPs fills POPs, sites and nodes.
func (p *Plan) addPOPs(fleet *cdn.Fleet) {
	p.index = make(map[cdn.POPName]int)
	for i := range fleet.POPs {
		site := &fleet.POPs[i]
		nodes := fleet.CacheNodes(site.Name)
		if site.Tier != cdn.TierEdge || len(nodes) == 0 {
			continue
		}
		pop := POP{Name: site.Name, Hash: xxhash.Sum64String(string(site.Name))}
		for _, n := range nodes {
			pop.add(n, xxhash.Sum64String(string(n.Name)), capacityOf(n))
			p.nodes[n.Name] = n
		}
		p.index[site.Name] = len(p.POPs)
		p.POPs = append(p.POPs, pop)
		p.sites = append(p.sites, site)
	}
}

// add adds a node.
func (p *POP) add(n *cdn.Node, claim uint64, capacity float64) {
	p.Nodes, p.Names = append(p.Nodes, n), append(p.Names, n.Name)
	p.Claims, p.Capacities = append(p.Claims, claim), append(p.Capacities, capacity)
	p.Capacity += capacity
	p.Even = p.Capacities[0] == capacity && (len(p.Capacities) == 1 || p.Even)
}

// addPolicies compiles the policies.
func (p *Plan) addPolicies(s *cdn.Snapshot) (err error) {
	names := make([]cdn.POPName, len(p.POPs))
	for i := range p.POPs {
		names[i] = p.POPs[i].Name
	}
	if p.Policies, err = policy.Compile(&s.Fleet, names, p.Clients.Places()); err != nil {
		return err
	}
	return nil
}

func (p *Plan) addDrains(drains []cdn.Drain) {
	for _, d := range drains {
		if i, ok := p.index[d.POP]; ok {
			p.POPs[i].Draining = true
		}
		if d.Node != "" {
			p.drained[d.Node] = true
		}
	}
}

// addCentres finds where to take a visitor for of whom nothing but the country is known.
func (p *Plan) addCentres() {
	within := make(map[string][]cdn.Location)
	for _, site := range p.sites {
		if country := site.Location.Country; country != "" {
			within[country] = append(within[country], site.Location)
		}
	}
	p.centres = make(map[string]cdn.Location)
	for country, all := range within {
		if middle, ok := locate.Middle(all); ok {
			p.centres[country] = middle
		}
	}
}

func (p *Plan) addServers(fleet *cdn.Fleet) {
	for i := range fleet.Nodes {
		if n := &fleet.Nodes[i]; n.Has(cdn.RoleScheduler) {
			label := "ns" + strconv.Itoa(len(p.Servers)+1)
			p.Servers = append(p.Servers, zone.Server{Name: cdn.Domain(label).Under(p.Zone), Node: n})
		}
	}
}

// addZones compiles the zones.
func (p *Plan) addZones(s *cdn.Snapshot, before *Plan) (err error) {
	var known *zone.Set
	if before != nil {
		known = before.Zones
	}
	p.Zones, err = zone.Compile(zone.Config{
		Zone: p.Zone, Zones: s.Fleet.Zones, DNS: s.Fleet.DNS, Generation: s.Generation,
		Servers: p.Servers, Sites: s.Sites, Class: p.Policies.Class, Nodes: p.nodes,
	}, known)
	return err
}

// Node returns the cache node of an edge POP, or nil.
func (p *Plan) Node(name cdn.NodeName) *cdn.Node { return p.nodes[name] }

// POP returns the index of a POP in POPs, or -1.
func (p *Plan) POP(name cdn.POPName) int {
	if i, ok := p.index[name]; ok {
		return i
	}
	return -1
}

// Site is the site that has a domain, and its class of policies; the zero values if there is none.
func (p *Plan) Site(d cdn.Domain) (name cdn.SiteName, class int) { return p.Zones.Site(d) }

// Price is what sending a visitor to a POP costs beside time, in milliseconds.
func (p *Plan) Price(pop int) float64 { return p.sites[pop].Price }

// Kilometres is how far a place is from a POP, and false if it is not known where it is. A POP of the visitors' own carrier counts as
// nearer than it is.
func (p *Plan) Kilometres(place, pop int) (float64, bool) {
	at, ok := p.locate(place)
	if !ok {
		return 0, false
	}
	return distance(p.sites[pop], &at), true
}

// Between is how many kilometres two POPs are apart.
func (p *Plan) Between(pop, other int) float64 {
	return p.sites[pop].Location.Kilometres(p.sites[other].Location)
}

// locate is where a place is, as far as it is known.
func (p *Plan) locate(place int) (locate.Place, bool) {
	if place == locate.None {
		return locate.Place{}, false
	}
	at := p.Clients.Places()[place]
	if at.Coordinates == locate.Unknown {
		centre, ok := p.centres[at.Location.Country]
		if !ok {
			return at, false
		}
		at.Location = centre
	}
	return at, true
}

// Nearest returns the indices of the POPs that are nearest to a place, at most 16, nearest first; nil if it is not known where
// the place is. The place must be a number from Clients. The result must not be changed.
func (p *Plan) Nearest(place int) []int {
	if known := p.nearest[place].Load(); known != nil {
		return *known
	}
	order := p.All(place)
	order = slices.Clip(slices.Clone(order[:min(len(order), maxNearest)])) // nil stays nil
	p.nearest[place].Store(&order)                                         // whoever else does finds the same
	return order
}

// keepNearest takes over what was found out about places if neither they nor the POPs have changed: it takes seconds to find out again what is asked for.
func (p *Plan) keepNearest(before *Plan) {
	if before == nil || before.Clients != p.Clients || !slices.EqualFunc(before.sites, p.sites, func(a, b *cdn.POP) bool {
		return a.Name == b.Name && a.Location == b.Location && a.ISP == b.ISP
	}) {
		return
	}
	p.nearest = before.nearest // what others find meanwhile is the same for both
}

// All returns the indices of all POPs, nearest first, or nil as Nearest does. It is computed each time.
func (p *Plan) All(place int) []int {
	at, ok := p.locate(place)
	if !ok {
		return nil
	}
	return byDistance(p.sites, &at)
}

// byDistance orders POPs by great-circle distance from a place, less the bonus for
// its own carrier; equals by name, so that all schedulers agree.
func byDistance(sites []*cdn.POP, place *locate.Place) []int {
	type candidate struct {
		index int
		km    float64
	}
	all := make([]candidate, len(sites))
	for i, site := range sites {
		all[i] = candidate{i, distance(site, place)}
	}
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.km, b.km), cmp.Compare(sites[a.index].Name, sites[b.index].Name))
	})
	order := make([]int, len(all))
	for i, c := range all {
		order[i] = c.index
	}
	return order
}

// distance is how far a POP is from a place in kilometres, less the bonus for its own carrier.
func distance(site *cdn.POP, place *locate.Place) float64 {
	km := place.Location.Kilometres(site.Location)
	if place.Carries(site.ISP) {
		km -= max(ispBonusKilometres, ispBonusShare*km)
	}
	if math.IsNaN(km) { // a location that is none is the farthest
		return math.Inf(1)
	}
	return km
}
