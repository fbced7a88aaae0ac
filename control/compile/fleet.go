package compile

import (
	"cmp"
	"fmt"
	"net/netip"
	"path"
	"strconv"
	"strings"

	"nearcast/cdn"
)

// Bounds of a fleet.
const (
	maxPOPs      = 10_000
	maxNodes     = 100_000
	maxDisks     = 64 // of a node
	maxClients   = 1_000_000
	maxAddresses = 16
	maxGeo       = 8          // databases of addresses
	maxEgress    = 10_000_000 // Mbit/s of a node: 10 Tbit/s
)

// Fleet compiles a file with one YAML document, the fleet. The error is
// [Mistakes] and has all of them.
func Fleet(file string, src []byte) (*cdn.Fleet, error) {
	docs, mistakes := parse(file, src)
	if len(mistakes) > 0 {
		return nil, mistakes.Err()
	}
	d := &decoder{file: file}
	switch {
	case len(docs) == 0 || docs[0].kind == kindNull:
		d.add(Mistake{File: file, Line: 1, Column: 1, Message: "the file is empty; a fleet is needed"})
		return nil, d.mistakes.Err()
	case len(docs) > 1:
		d.add(Mistake{File: file, Line: docs[1].line, Column: docs[1].column, Message: "a fleet file has one document; this is a second one"})
	}
	f := readFleet(cursor{d: d, n: docs[0]})
	if err := d.mistakes.Err(); err != nil {
		return nil, err
	}
	return &f, nil
}

// reader adapts a function that returns what it reads.
func reader[T any](read func(cursor) T) func(*T) func(cursor) {
	return func(dst *T) func(cursor) {
		return func(c cursor) { *dst = read(c) }
	}
}

func readFleet(c cursor) (f cdn.Fleet) {
	c.object("a fleet",
		need("zone", parsed(cdn.ParseDomain)(&f.Zone)),
		may("http_port", whole(&f.HTTPPort, 1, 65535)),
		may("https", func(c cursor) { f.HTTPS = readHTTPS(c) }),
		may("dns", reader(readDNS)(&f.DNS)),
		may("zones", list(&f.Zones, maxZones, reader(readZone))),
		need("pops", list(&f.POPs, maxPOPs, reader(readPOP))),
		need("nodes", list(&f.Nodes, maxNodes, reader(readNode))),
		may("clients", list(&f.Clients, maxClients, reader(readClient))),
		may("geo", list(&f.Geo, maxGeo, parsed(parseFile))),
		may("policies", list(&f.Policies, cdn.MaxPolicies, reader(readPolicy))),
	)
	c.atLeastOne("pops", "a fleet has a point of presence")
	c.atLeastOne("nodes", "a fleet has a machine")
	tiers := checkPOPNames(c.in("pops"), f.POPs)
	for i := range f.POPs {
		checkParents(c.in("pops").at(i), &f.POPs[i], tiers)
	}
	checkNodes(c.in("nodes"), f.Nodes, tiers)
	checkClients(c.in("clients"), f.Clients)
	unique(c.in("geo"), f.Geo, "file")
	checkPolicies(c.in("policies"), &f)
	checkZones(c.in("zones"), &f)
	checkSteered(c.in("dns").in("steered"), &f)
	return f
}

func readPOP(c cursor) (p cdn.POP) {
	c.object("a POP",
		need("name", parsed(cdn.ParsePOPName)(&p.Name)),
		need("region", parsed(cdn.ParseRegionName)(&p.Region)),
		need("tier", word(&p.Tier, cdn.TierEdge, cdn.TierRegional)),
		need("location", reader(readLocation)(&p.Location)),
		may("isp", text(&p.ISP, maxText)),
		may("parents", list(&p.Parents, maxPOPs, parsed(cdn.ParsePOPName))),
		may("price", number(&p.Price, "milliseconds", 0, cdn.MaxPrice)),
		may("alpn", alpn(&p.ALPN)),
	)
	checkALPN(c.in("alpn"), p.ALPN)
	unique(c.in("parents"), p.Parents, "parent")
	return p
}

func readLocation(c cursor) (l cdn.Location) {
	c.object("a location",
		need("latitude", number(&l.Latitude, "degrees", -90, 90)),
		need("longitude", number(&l.Longitude, "degrees", -180, 180)),
		may("country", text(&l.Country, 64)),
	)
	return l
}

func readNode(c cursor) (n cdn.Node) {
	c.object("a node",
		need("name", parsed(cdn.ParseNodeName)(&n.Name)),
		may("pop", parsed(cdn.ParsePOPName)(&n.POP)),
		need("addresses", list(&n.Addresses, maxAddresses, parsed(parseAddress))),
		need("roles", list(&n.Roles, 8, func(r *cdn.Role) func(cursor) {
			return word(r, cdn.RoleEdge, cdn.RoleScheduler, cdn.RoleRouteQuality, cdn.RoleControl)
		})),
		may("capacity", reader(readCapacity)(&n.Capacity)),
	)
	c.atLeastOne("addresses", "a node has an address")
	c.atLeastOne("roles", "a node has a job")
	unique(c.in("roles"), n.Roles, "role")
	if n.Has(cdn.RoleEdge) && !c.has("pop") {
		c.mistake("", `a node with the role edge needs the key "pop"`)
	}
	return n
}

func readCapacity(c cursor) (k cdn.Capacity) {
	c.object("a capacity",
		may("egress_mbps", parsed(parseEgress)(&k.EgressMbps)),
		may("ram", parsed(parseRAM)(&k.RAM)),
		may("disks", list(&k.Disks, maxDisks, parsed(cdn.ParseDisk))),
	)
	unique(c.in("disks"), paths(k.Disks), "directory")
	return k
}

// paths are the directories of disks, empty for one that is a mistake already.
func paths(disks []cdn.Disk) []string {
	all := make([]string, len(disks))
	for i, d := range disks {
		if d.Size > 0 {
			all[i] = cmp.Or(d.Path, "in the node's state")
		}
	}
	return all
}

func readClient(c cursor) (p cdn.ClientPrefix) {
	c.object("a client prefix",
		need("prefix", parsed(parsePrefix)(&p.Prefix)),
		need("location", reader(readLocation)(&p.Location)),
		may("isp", text(&p.ISP, maxText)),
	)
	return p
}

// checkPOPNames reports repeated names and returns each POP's tier.
func checkPOPNames(c cursor, pops []cdn.POP) map[cdn.POPName]cdn.Tier {
	tiers := make(map[cdn.POPName]cdn.Tier, len(pops))
	first := make(map[cdn.POPName]int, len(pops))
	for i, p := range pops {
		if p.Name == "" {
			continue
		}
		if j, dup := first[p.Name]; dup {
			c.at(i).in("name").mistake("choose another name", "POP %s is already pops[%d]", p.Name, j)
			continue
		}
		first[p.Name], tiers[p.Name] = i, p.Tier
	}
	return tiers
}

// checkParents holds the two-tier shape: edge POPs ask regional ones, which ask
// the origin, so that a miss cannot go in a circle.
func checkParents(c cursor, p *cdn.POP, tiers map[cdn.POPName]cdn.Tier) {
	if p.Tier == cdn.TierRegional && len(p.Parents) > 0 {
		c.in("parents").mistake("remove it", "a regional POP asks the origin and has no parents")
		return
	}
	for i, name := range p.Parents {
		tier, known := tiers[name]
		switch {
		case name == "":
		case !known:
			c.in("parents").at(i).mistake("", "there is no POP %s", name)
		case tier == cdn.TierEdge:
			c.in("parents").at(i).mistake("", "POP %s is of tier edge; a parent is of tier regional", name)
		}
	}
}

func checkNodes(c cursor, nodes []cdn.Node, tiers map[cdn.POPName]cdn.Tier) {
	names := make(map[cdn.NodeName]int, len(nodes))
	addresses := make(map[netip.Addr]int, len(nodes))
	for i, n := range nodes {
		here := c.at(i)
		if j, dup := names[n.Name]; dup && n.Name != "" {
			here.in("name").mistake("choose another name", "node %s is already nodes[%d]", n.Name, j)
		} else {
			names[n.Name] = i
		}
		if _, known := tiers[n.POP]; n.POP != "" && !known {
			here.in("pop").mistake("", "there is no POP %s", n.POP)
		}
		for k, a := range n.Addresses {
			if j, dup := addresses[a]; dup && a.IsValid() {
				here.in("addresses").at(k).mistake("each address belongs to one node", "address %s is already that of nodes[%d]", a, j)
				continue
			}
			addresses[a] = i
		}
	}
}

func checkClients(c cursor, clients []cdn.ClientPrefix) {
	first := make(map[netip.Prefix]int, len(clients))
	for i, p := range clients {
		if j, dup := first[p.Prefix]; dup && p.Prefix.IsValid() {
			c.at(i).in("prefix").mistake("keep one", "prefix %s is already clients[%d]", p.Prefix, j)
			continue
		}
		first[p.Prefix] = i
	}
}

func parseAddress(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("address %q is not an IP address", clip(s))
	}
	a = a.Unmap()
	if a.IsUnspecified() || a.IsMulticast() {
		return netip.Addr{}, fmt.Errorf("address %s is not the address of a machine", a)
	}
	return a, nil
}

func parsePrefix(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("prefix %q: want an address and a length, such as \"192.0.2.0/24\"", clip(s))
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("prefix %s has bits behind its length; write %s", p, p.Masked())
	}
	return p, nil
}

// parseFile parses the name of a file on some machine of the fleet: whatever its working directory, it is the same one.
func parseFile(s string) (string, error) {
	if !path.IsAbs(s) || path.Clean(s) != s || strings.ContainsRune(s, 0) {
		return "", fmt.Errorf("file %q: want an absolute path, such as /var/lib/nearcast/geo.mmdb", clip(s))
	}
	return s, nil
}

// parseEgress parses a capacity in megabits a second. What is not a capacity is refused: the map would plan with it.
func parseEgress(s string) (int, error) {
	n, err := strconv.Atoi(s)
	switch {
	case err == nil && n == 0:
		return 0, fmt.Errorf("a node that can send 0 Mbit/s can serve nobody; leave the key out if the capacity is unknown, or drain the node to keep visitors away")
	case err != nil || n < 0 || n > maxEgress:
		return 0, fmt.Errorf("%q is not a whole number of megabits a second from 1 to %d", clip(s), maxEgress)
	}
	return n, nil
}

func parseRAM(s string) (cdn.Size, error) {
	n, err := cdn.ParseSize(s)
	if err == nil && n == 0 {
		return 0, fmt.Errorf("size %q: want more than zero; leave the key out if unknown", clip(s))
	}
	return n, err
}
