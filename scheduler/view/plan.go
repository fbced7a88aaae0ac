package view

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"nearcast/cdn"
	"nearcast/internal/locate"
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
	// POPs are those of the edge tier that have cache nodes, in fleet order.
	POPs []POP
	// Servers are the zone's name servers: the fleet's schedulers, in fleet order.
	Servers []NameServer
	// Clients finds the place of a visitor.
	Clients *locate.Index

	sites   []*cdn.POP              // the fleet's entries of POPs
	centres map[string]cdn.Location // the middle of the POPs in a country
	nearest []atomic.Pointer[[]int] // by place, once it has been asked for: at most maxNearest indices of POPs
	names   map[cdn.Domain]Name
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
}

// NameServer is a server of the zone.
type NameServer struct {
	// Name is the server's host name, such as ns1.cdn.test.
	Name cdn.Domain
	// Node is the machine that it is.
	Node *cdn.Node
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
	return CompileWith(s, clients)
}

// CompileWith is [Compile] with an index of visitors that was made before, from the clients of the configuration's fleet
// and whatever else is known of addresses.
func CompileWith(s *cdn.Snapshot, clients *locate.Index) (*Plan, error) {
	if _, err := cdn.ParseDomain(string(s.Fleet.Zone)); err != nil {
		return nil, fmt.Errorf("zone: %w", err)
	}
	p := &Plan{
		Generation: s.Generation,
		Zone:       s.Fleet.Zone,
		Port:       s.Fleet.Port(),
		Clients:    clients,
		nearest:    make([]atomic.Pointer[[]int], len(clients.Places())),
		nodes:      make(map[cdn.NodeName]*cdn.Node),
	}
	p.addPOPs(&s.Fleet)
	p.addCentres()
	p.addServers(&s.Fleet)
	p.addNames(s)
	return p, nil
}

// addPOPs fills POPs, sites and nodes.
func (p *Plan) addPOPs(fleet *cdn.Fleet) {
	for i := range fleet.POPs {
		site := &fleet.POPs[i]
		nodes := fleet.CacheNodes(site.Name)
		if site.Tier != cdn.TierEdge || len(nodes) == 0 {
			continue
		}
		pop := POP{Name: site.Name, Nodes: nodes}
		for _, n := range nodes {
			pop.Names = append(pop.Names, n.Name)
			p.nodes[n.Name] = n
		}
		p.POPs = append(p.POPs, pop)
		p.sites = append(p.sites, site)
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
			p.Servers = append(p.Servers, NameServer{cdn.Domain(label).Under(p.Zone), n})
		}
	}
}

// Node returns the cache node of an edge POP, or nil.
func (p *Plan) Node(name cdn.NodeName) *cdn.Node { return p.nodes[name] }

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

// All returns the indices of all POPs, nearest first, or nil as Nearest does. It is computed each time.
func (p *Plan) All(place int) []int {
	at := p.Clients.Places()[place]
	if at.Coordinates == locate.Unknown {
		centre, ok := p.centres[at.Location.Country]
		if !ok {
			return nil
		}
		at.Location = centre
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
		km := place.Location.Kilometres(site.Location)
		if sameCarrier(site.ISP, place) {
			km -= max(ispBonusKilometres, ispBonusShare*km)
		}
		if math.IsNaN(km) { // a location that is none is the farthest
			km = math.Inf(1)
		}
		all[i] = candidate{i, km}
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

// sameCarrier reports whether a POP sits in the network of the visitors of a place: its ISP is theirs by name, or names
// their autonomous system, such as AS64500.
func sameCarrier(isp string, place *locate.Place) bool {
	if isp == "" {
		return false
	}
	if strings.EqualFold(isp, place.ISP) {
		return true
	}
	return place.ASN != 0 && len(isp) > 2 && strings.EqualFold(isp[:2], "AS") && isp[2:] == strconv.FormatUint(uint64(place.ASN), 10)
}
