// Package plan compiles a fleet into the processes to run: which program, with
// which arguments, listening where. It is pure: the same fleet and layout give
// the same plan, and nothing on the machine is touched.
//
// It is not for starting anything; a driver does that.
package plan

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"nearcast/cdn"
)

// Layout says where a fleet's processes keep their things and which ports they use.
type Layout struct {
	// Dir is the directory of all state; an absolute path.
	Dir string
	// PortBase is added to every port of the list below.
	PortBase int
}

// Ports, relative to a layout's base. Each is bound on the address of the node
// that runs the role.
const (
	portAPI               = 0
	portControlAdmin      = 1
	portFeed              = 22
	portDNS               = 53
	portRedirect          = 54
	portSchedulerAdmin    = 55
	portSchedulerPool     = 56
	portSchedulerAPI      = 57
	portSecure            = 58 // DNS over TLS and HTTPS, and the 302 front
	portRouteQuality      = 60
	portRouteQualityAdmin = 61
	portRouteQualityPool  = 62
	portHTTP              = 80
	portEdgeAdmin         = 81
	portEdgePool          = 82 // of its POP
	portEdgeWAN           = 83 // of all POPs
	// PortWebOrigin and PortS3Origin are for the origins of a lab.
	PortWebOrigin = 90
	PortS3Origin  = 91
	// portSpan is one more than the largest of them.
	portSpan = 92
)

// Process is one program to run.
type Process struct {
	// Name is unique in the plan: the node's name for its cache, else "node.role".
	Name string
	// Role is what it does; Node is whose it is.
	Role cdn.Role
	Node cdn.NodeName
	// Args are the program's arguments, the role's command first.
	Args []string
	// Admin is the address of its /readyz, host:port.
	Admin string
	// Listens are all the sockets that it will bind.
	Listens []Listen
}

// Listen is a socket that a process binds.
type Listen struct {
	Network string // "tcp" or "udp"
	Addr    string // host:port
	For     string // what it is for, in words
}

// Plan is what to run and where it will be found.
type Plan struct {
	Fleet     cdn.Fleet
	Processes []Process
	API       string // host:port of the operators' API
	DNS       string // host:port of the first scheduler
	Redirect  string // host:port of the first scheduler's 302 front
	Secure    string // host:port where it does the same over TLS, and DNS over TLS and HTTPS
}

// TokenFile is the file with the API's bearer token. The driver writes it and those
// that follow before it starts anything.
func (l Layout) TokenFile() string { return filepath.Join(l.Dir, "secrets", "api-token") }

// SecretFile is the file with the secret that the fleet's nodes share.
func (l Layout) SecretFile() string { return filepath.Join(l.Dir, "secrets", "fleet-secret") }

// CertificateFile is the file with the schedulers' certificate and its chain in PEM. It is for the names of all name servers, and the addresses of
// their nodes. One of the operator's own may be there: a driver makes none then.
func (l Layout) CertificateFile() string { return filepath.Join(l.Dir, "secrets", "scheduler.pem") }

// CertificateKeyFile is the file with its private key in PEM.
func (l Layout) CertificateKeyFile() string { return filepath.Join(l.Dir, "secrets", "scheduler.key") }

// FleetFile is the file with the fleet as the control plane is to have it.
func (l Layout) FleetFile() string { return filepath.Join(l.Dir, "fleet.yaml") }

// State returns the directory in which a process keeps its state.
func (l Layout) State(process string) string { return filepath.Join(l.Dir, "state", process) }

// Local returns the plan that runs a whole fleet on this machine. Every node gets
// a loopback address of its own: the one it has, if that is one, or one from 127.100.0.0/16.
func Local(fleet cdn.Fleet, l Layout) (*Plan, error) {
	if l.PortBase < 1 || l.PortBase+portSpan > 1<<16 {
		return nil, cdn.Errorf(cdn.Invalid, "", "port base %d: must be between 1 and %d", l.PortBase, 1<<16-portSpan)
	}
	fleet, err := localise(fleet, uint16(l.PortBase+portHTTP))
	if err != nil {
		return nil, err
	}
	b := builder{layout: l, fleet: fleet}
	if err := b.findServices(); err != nil {
		return nil, err
	}
	for i := range fleet.Nodes {
		b.addNode(&fleet.Nodes[i])
	}
	return &Plan{
		Fleet: fleet, Processes: b.processes,
		API: b.addr(b.control, portAPI), DNS: b.addr(b.schedulers[0], portDNS), Redirect: b.addr(b.schedulers[0], portRedirect),
		Secure: b.addr(b.schedulers[0], portSecure),
	}, nil
}

// localise moves a fleet to the loopback interface. There nodes do not speak TLS, as nobody has certificates for the domains of sites: what the fleet
// says of HTTPS would lead visitors to closed ports.
func localise(f cdn.Fleet, httpPort uint16) (cdn.Fleet, error) {
	if len(f.Nodes) > 250 {
		return f, cdn.Errorf(cdn.Invalid, "", "a fleet of %d nodes is too large for one machine; at most 250", len(f.Nodes))
	}
	f.HTTPPort, f.HTTPS = httpPort, nil
	nodes := make([]cdn.Node, len(f.Nodes))
	for i, n := range f.Nodes {
		if a := firstIPv4(n.Addresses); !a.IsLoopback() {
			n.Addresses = []netip.Addr{netip.AddrFrom4([4]byte{127, 100, 0, byte(i + 1)})}
		} else {
			n.Addresses = []netip.Addr{a}
		}
		nodes[i] = n
	}
	f.Nodes = nodes
	return f, nil
}

func firstIPv4(addrs []netip.Addr) netip.Addr {
	for _, a := range addrs {
		if a.Is4() {
			return a
		}
	}
	return netip.Addr{}
}

// builder collects the processes of a plan.
type builder struct {
	layout       Layout
	fleet        cdn.Fleet
	control      *cdn.Node
	routequality []*cdn.Node
	schedulers   []*cdn.Node
	processes    []Process
}

// findServices finds the nodes that the others have to know about.
func (b *builder) findServices() error {
	for i := range b.fleet.Nodes {
		n := &b.fleet.Nodes[i]
		if n.Has(cdn.RoleControl) {
			if b.control != nil {
				return cdn.Errorf(cdn.Invalid, "", "nodes %s and %s both have the role control: one node may have it", b.control.Name, n.Name)
			}
			b.control = n
		}
		if n.Has(cdn.RoleRouteQuality) {
			b.routequality = append(b.routequality, n)
		}
		if n.Has(cdn.RoleScheduler) {
			b.schedulers = append(b.schedulers, n)
		}
	}
	if b.control == nil || len(b.routequality) == 0 || len(b.schedulers) == 0 {
		return cdn.Errorf(cdn.Invalid, "", "the fleet needs a node for each of the roles control, routequality and scheduler")
	}
	return nil
}

// maxSeeds is how many members of a gossip pool a new one is told of.
const maxSeeds = 4

// popSeeds returns where a node finds the gossip pool of its POP.
func (b *builder) popSeeds(n *cdn.Node) string {
	var seeds []string
	for _, other := range b.fleet.CacheNodes(n.POP) {
		if other.Name != n.Name && len(seeds) < maxSeeds {
			seeds = append(seeds, b.addr(other, portEdgePool))
		}
	}
	return strings.Join(seeds, ",")
}

// wanSeeds returns where anybody finds the gossip pool that connects the POPs.
func (b *builder) wanSeeds() string {
	var seeds []string
	for _, n := range b.routequality {
		seeds = append(seeds, b.addr(n, portRouteQualityPool))
	}
	for _, n := range b.schedulers {
		seeds = append(seeds, b.addr(n, portSchedulerPool))
	}
	return strings.Join(seeds[:min(len(seeds), maxSeeds)], ",")
}

// urls returns the URLs of a port of nodes.
func (b *builder) urls(nodes []*cdn.Node, port int) string {
	var urls []string
	for _, n := range nodes {
		urls = append(urls, "http://"+b.addr(n, port))
	}
	return strings.Join(urls, ",")
}

func (b *builder) addr(n *cdn.Node, port int) string {
	return netip.AddrPortFrom(n.Addresses[0], uint16(b.layout.PortBase+port)).String()
}

func (b *builder) addNode(n *cdn.Node) {
	if n.Has(cdn.RoleControl) {
		b.addControl(n)
	}
	if n.Has(cdn.RoleRouteQuality) {
		b.addRouteQuality(n)
	}
	if n.Has(cdn.RoleScheduler) {
		b.addScheduler(n)
	}
	if n.Has(cdn.RoleEdge) {
		b.addEdge(n)
	}
}

func (b *builder) addControl(n *cdn.Node) {
	p := b.process(n, cdn.RoleControl, portControlAdmin)
	api := p.listen("tcp", b.addr(n, portAPI), "API")
	feed := p.listen("tcp", b.addr(n, portFeed), "feed")
	p.Args = append(p.Args, "--listen", api, "--feed", feed,
		"--fleet", b.layout.FleetFile(), "--token-file", b.layout.TokenFile(),
		"--routequality", b.urls(b.routequality, portRouteQuality), "--scheduler", b.urls(b.schedulers, portSchedulerAPI))
	b.processes = append(b.processes, *p)
}

func (b *builder) addRouteQuality(n *cdn.Node) {
	p := b.process(n, cdn.RoleRouteQuality, portRouteQualityAdmin)
	table := p.listen("tcp", b.addr(n, portRouteQuality), "route table")
	pool := p.listenPool(b.addr(n, portRouteQualityPool))
	p.Args = append(p.Args, "--listen", table, "--gossip", pool, "--join", b.wanSeeds(), "--control", b.feedURL())
	b.addGeo(p)
	b.processes = append(b.processes, *p)
}

func (b *builder) addScheduler(n *cdn.Node) {
	p := b.process(n, cdn.RoleScheduler, portSchedulerAdmin)
	dns := p.listen("tcp", b.addr(n, portDNS), "DNS")
	p.listen("udp", b.addr(n, portDNS), "DNS")
	redirect := p.listen("tcp", b.addr(n, portRedirect), "302 front")
	api := p.listen("tcp", b.addr(n, portSchedulerAPI), "API")
	pool := p.listenPool(b.addr(n, portSchedulerPool))
	secure := p.listen("tcp", b.addr(n, portSecure), "TLS")
	p.Args = append(p.Args, "--listen", dns, "--http", redirect, "--tls-listen", secure,
		"--cert", b.layout.CertificateFile(), "--key", b.layout.CertificateKeyFile(), "--api", api, "--gossip", pool, "--join", b.wanSeeds(),
		"--control", b.feedURL(), "--routequality", b.urls(b.routequality, portRouteQuality))
	for _, peer := range b.schedulers {
		if peer.Name != n.Name {
			p.Args = append(p.Args, "--peer", string(peer.Name)+"=http://"+b.addr(peer, portSchedulerAPI))
		}
	}
	b.addGeo(p)
	b.processes = append(b.processes, *p)
}

// addGeo gives a process the databases of addresses.
func (b *builder) addGeo(p *Process) {
	for _, file := range b.fleet.Geo {
		p.Args = append(p.Args, "--geo", file)
	}
}

func (b *builder) addEdge(n *cdn.Node) {
	p := b.process(n, cdn.RoleEdge, portEdgeAdmin)
	web := p.listen("tcp", b.addr(n, portHTTP), "HTTP")
	pool := p.listenPool(b.addr(n, portEdgePool))
	wan := p.listenPool(b.addr(n, portEdgeWAN))
	p.Args = append(p.Args, "--listen", web, "--pop", string(n.POP), "--gossip", pool, "--join", b.popSeeds(n), "--gossip-wan", wan, "--join-wan", b.wanSeeds(),
		"--control", b.feedURL(), "--routequality", b.urls(b.routequality, portRouteQuality), "--scheduler", b.urls(b.schedulers, portSchedulerAPI))
	if n.Capacity.RAM > 0 {
		p.Args = append(p.Args, "--ram", n.Capacity.RAM.String())
	}
	for _, d := range n.Capacity.Disks {
		p.Args = append(p.Args, "--disk", d.String())
	}
	b.addGeo(p)
	b.processes = append(b.processes, *p)
}

func (b *builder) feedURL() string { return "nats://" + b.addr(b.control, portFeed) }

// process begins a process with what all roles have in common.
func (b *builder) process(n *cdn.Node, role cdn.Role, adminPort int) *Process {
	name := string(n.Name)
	if role != cdn.RoleEdge {
		name += "." + string(role)
	}
	p := &Process{Name: name, Role: role, Node: n.Name}
	p.Admin = p.listen("tcp", b.addr(n, adminPort), "admin")
	p.Args = []string{
		string(role), "--node", string(n.Name), "--dir", b.layout.State(name),
		"--admin", p.Admin, "--secret-file", b.layout.SecretFile(),
	}
	return p
}

func (p *Process) listen(network, addr, purpose string) string {
	p.Listens = append(p.Listens, Listen{network, addr, fmt.Sprintf("%s of %s", purpose, p.Name)})
	return addr
}

func (p *Process) listenPool(addr string) string {
	p.listen("udp", addr, "gossip")
	return p.listen("tcp", addr, "gossip")
}

// Port returns the port of a base and an offset as text.
func (l Layout) Port(offset int) string { return strconv.Itoa(l.PortBase + offset) }
