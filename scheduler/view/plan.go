package view

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"nearcast/cdn"
	"nearcast/scheduler/locate"
)

// A POP of the visitor's own carrier counts as nearer than it is: paths between
// carriers make detours that distance does not show. The bonus is the larger of
// the two, so that it decides between neighbours and never between continents.
const (
	ispBonusKilometres = 50
	ispBonusShare      = 0.10
)

// Plan is a configuration compiled for answering. It is immutable.
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

	order [][]int // by place: indices of POPs, nearest first
	names map[cdn.Domain]Name
	nodes map[cdn.NodeName]*cdn.Node // the cache nodes of POPs
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
	if _, err := cdn.ParseDomain(string(s.Fleet.Zone)); err != nil {
		return nil, fmt.Errorf("zone: %w", err)
	}
	clients, err := locate.New(s.Fleet.Clients)
	if err != nil {
		return nil, err
	}
	p := &Plan{
		Generation: s.Generation,
		Zone:       s.Fleet.Zone,
		Port:       s.Fleet.Port(),
		Clients:    clients,
		nodes:      make(map[cdn.NodeName]*cdn.Node),
	}
	sites := p.addPOPs(&s.Fleet)
	for _, place := range clients.Places() {
		p.order = append(p.order, nearest(sites, place))
	}
	p.addServers(&s.Fleet)
	p.addNames(s)
	return p, nil
}

// addPOPs fills POPs and nodes, and returns the fleet's entries of POPs.
func (p *Plan) addPOPs(fleet *cdn.Fleet) []*cdn.POP {
	var sites []*cdn.POP
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
		sites = append(sites, site)
	}
	return sites
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

// Nearest returns the indices of POPs for a place, nearest first. The place must be
// a number from Clients. The result must not be changed.
func (p *Plan) Nearest(place int) []int { return p.order[place] }

// nearest orders POPs by great-circle distance from a place, less the bonus for
// its own carrier; equals by name, so that all schedulers agree.
func nearest(sites []*cdn.POP, place locate.Place) []int {
	type candidate struct {
		index int
		km    float64
	}
	all := make([]candidate, len(sites))
	for i, site := range sites {
		km := place.Location.Kilometres(site.Location)
		if place.ISP != "" && strings.EqualFold(place.ISP, site.ISP) {
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
