package cdn

import (
	"math"
	"net/netip"
	"slices"
)

// Tier is the place of a POP between visitor and origin.
type Tier string

// The tiers.
const (
	TierEdge     Tier = "edge"     // L1: serves visitors, asks its region's L2
	TierRegional Tier = "regional" // L2: serves edge nodes, asks the origin
)

// Role is a job that a node does.
type Role string

// The roles. A node may have several.
const (
	RoleEdge         Role = "edge"         // the cache; L1 or L2 by its POP's tier
	RoleScheduler    Role = "scheduler"    // DNS and 302
	RoleRouteQuality Role = "routequality" // health and path quality
	RoleControl      Role = "control"      // configuration, purge, API
)

// Fleet is the operator's machines and where they are.
type Fleet struct {
	// Zone is the domain that the schedulers are authoritative for. A site's
	// domain D is served under D.Zone, the target of its CNAME.
	Zone Domain `json:"zone"`
	// HTTPPort is the port on which every edge node serves visitors; DNS carries
	// no port, so there is one for the fleet. Zero means 80.
	HTTPPort uint16 `json:"http_port,omitempty"`
	// HTTPS is what edge nodes speak over TLS; nil says that they do not.
	HTTPS *HTTPS `json:"https,omitempty"`
	// DNS is how the schedulers answer.
	DNS DNS `json:"dns,omitzero"`
	// Zones are those delegated to the schedulers, and what is in the fleet's own.
	Zones []Zone `json:"zones,omitempty"`
	// POPs are the points of presence.
	POPs []POP `json:"pops"`
	// Nodes are the machines.
	Nodes []Node `json:"nodes"`
	// Clients places visitors by address prefix; the longest match wins.
	Clients []ClientPrefix `json:"clients,omitempty"`
	// Geo are the files of databases (MMDB) that place the visitors whom Clients does not, on every machine with
	// [RoleEdge] or [RoleScheduler]; the first that knows something counts. Deployment hands them to the processes.
	Geo []string `json:"geo,omitempty"`
	// Policies say where visitors may or should go; all that match apply, see [Policy].
	Policies []Policy `json:"policies,omitempty"`
}

// POP is a point of presence: nodes in one place.
type POP struct {
	Name     POPName    `json:"name"`
	Region   RegionName `json:"region"`
	Tier     Tier       `json:"tier"`
	Location Location   `json:"location"`
	// ISP names the carrier the POP sits in; empty if neutral.
	ISP string `json:"isp,omitempty"`
	// Parents are the regional POPs asked on a miss, in order of preference.
	// Empty means every regional POP of the same region, or the origin if none.
	Parents []POPName `json:"parents,omitempty"`
	// Price is what sending a visitor here costs beside time, as milliseconds that it may be slower elsewhere; 0 to 1000.
	Price float64 `json:"price,omitempty"`
	// ALPN are the protocols that the POP's nodes speak over TLS, if they are others than the fleet's.
	ALPN []string `json:"alpn,omitempty"`
}

// Node is one machine of the fleet.
type Node struct {
	Name NodeName `json:"name"`
	// POP is where the node is. Required for [RoleEdge].
	POP POPName `json:"pop,omitempty"`
	// Addresses are the node's public addresses; at most one of each family is
	// put into an answer. At least one.
	Addresses []netip.Addr `json:"addresses"`
	// Roles are the jobs of the node; at least one.
	Roles []Role `json:"roles"`
	// Capacity is what the node can carry. Zero fields mean unknown.
	Capacity Capacity `json:"capacity,omitzero"`
}

// IPv4 returns the first address of that family, the one that names of the node have, or the zero Addr.
func (n *Node) IPv4() netip.Addr { return n.first(true) }

// IPv6 is IPv4 for the other family.
func (n *Node) IPv6() netip.Addr { return n.first(false) }

func (n *Node) first(four bool) netip.Addr {
	for _, a := range n.Addresses {
		if a = a.Unmap(); a.Is4() == four {
			return a
		}
	}
	return netip.Addr{}
}

// Capacity is what a node can carry at most.
type Capacity struct {
	// EgressMbps is in megabits a second (10^6).
	EgressMbps int `json:"egress_mbps,omitempty"`
	// RAM is the memory that the node's cache may fill with bodies.
	RAM Size `json:"ram,omitempty"`
	// Disks are those that it may fill; without any it is in memory only.
	Disks []Disk `json:"disks,omitempty"`
}

// ClientPrefix says where the visitors of an address prefix are.
type ClientPrefix struct {
	Prefix   netip.Prefix `json:"prefix"`
	Location Location     `json:"location"`
	ISP      string       `json:"isp,omitempty"`
}

// Location is a place on earth.
type Location struct {
	Latitude  float64 `json:"latitude"`  // degrees, -90 to 90, north positive
	Longitude float64 `json:"longitude"` // degrees, -180 to 180, east positive
	Country   string  `json:"country,omitempty"`
}

// Kilometres returns the great-circle distance between two places by the
// haversine formula on a sphere of 6371 km; its error is under 0.6 %.
func (l Location) Kilometres(m Location) float64 {
	const rad = math.Pi / 180
	sinLat := math.Sin((m.Latitude - l.Latitude) * rad / 2)
	sinLon := math.Sin((m.Longitude - l.Longitude) * rad / 2)
	h := sinLat*sinLat + math.Cos(l.Latitude*rad)*math.Cos(m.Latitude*rad)*sinLon*sinLon
	return 2 * 6371 * math.Asin(math.Sqrt(min(1, h)))
}

// Has reports whether the node does the job.
func (n *Node) Has(role Role) bool {
	return slices.Contains(n.Roles, role)
}

// POP returns the POP of that name, or nil.
func (f *Fleet) POP(name POPName) *POP {
	for i := range f.POPs {
		if f.POPs[i].Name == name {
			return &f.POPs[i]
		}
	}
	return nil
}

// Node returns the node of that name, or nil.
func (f *Fleet) Node(name NodeName) *Node {
	for i := range f.Nodes {
		if f.Nodes[i].Name == name {
			return &f.Nodes[i]
		}
	}
	return nil
}

// Port returns HTTPPort with its default.
func (f *Fleet) Port() uint16 {
	if f.HTTPPort == 0 {
		return 80
	}
	return f.HTTPPort
}

// TLSPort returns where every edge node speaks TLS, or zero if they do not.
func (f *Fleet) TLSPort() uint16 {
	switch {
	case f.HTTPS == nil:
		return 0
	case f.HTTPS.Port == 0:
		return 443
	}
	return f.HTTPS.Port
}

// CacheNodes returns the nodes with [RoleEdge] of the POP, in fleet order.
func (f *Fleet) CacheNodes(pop POPName) []*Node {
	var nodes []*Node
	for i := range f.Nodes {
		if n := &f.Nodes[i]; n.POP == pop && n.Has(RoleEdge) {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// Serving returns where the cache nodes of each POP serve visitors.
func (f *Fleet) Serving() map[POPName][]netip.AddrPort {
	at := make(map[POPName][]netip.AddrPort)
	for i := range f.Nodes {
		n := &f.Nodes[i]
		if !n.Has(RoleEdge) {
			continue
		}
		for _, ip := range n.Addresses {
			at[n.POP] = append(at[n.POP], netip.AddrPortFrom(ip, f.Port()))
		}
	}
	return at
}

// Parents returns the regional POPs that a POP asks on a miss, in order of
// preference; none for a regional POP, which asks the origin.
func (f *Fleet) Parents(p *POP) []POPName {
	if p.Tier == TierRegional || len(p.Parents) > 0 {
		return p.Parents
	}
	var parents []POPName
	for _, q := range f.POPs {
		if q.Tier == TierRegional && q.Region == p.Region {
			parents = append(parents, q.Name)
		}
	}
	return parents
}
