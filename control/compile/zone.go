package compile

import (
	"strings"

	"nearcast/cdn"
	"nearcast/internal/dnsrecord"
)

// Bounds of zones.
const (
	maxZones       = 10_000
	maxRecords     = 100_000
	maxSecondaries = 16
)

func readZone(c cursor) (z cdn.Zone) {
	c.object("a zone",
		need("name", parsed(cdn.ParseDomain)(&z.Name)),
		may("records", list(&z.Records, maxRecords, reader(readRecord))),
		may("secondaries", list(&z.Secondaries, maxSecondaries, reader(readSecondary))),
	)
	names := make([]string, len(z.Secondaries))
	for i, s := range z.Secondaries {
		switch {
		case s.Address.IsValid() && s.Key != "":
			names[i] = s.Address.String() + " with the key " + string(s.Key)
		case s.Address.IsValid():
			names[i] = s.Address.String()
		case s.Key != "":
			names[i] = "with the key " + string(s.Key)
		}
	}
	unique(c.in("secondaries"), names, "server")
	return z
}

func readRecord(c cursor) (r cdn.Record) {
	c.object("a record",
		need("name", text(&r.Name, 255)),
		need("type", parsed(parseRecordType)(&r.Type)),
		may("ttl", parsed(parseTTL)(&r.TTL)),
		need("data", text(&r.Data, dnsrecord.MaxData)),
	)
	return r
}

func parseRecordType(s string) (string, error) {
	s = strings.ToUpper(s)
	if s == cdn.RecordAlias {
		return s, nil
	}
	_, err := dnsrecord.Type(s)
	return s, err
}

func readSecondary(c cursor) (s cdn.Secondary) {
	c.object("a secondary",
		may("address", parsed(parseServer)(&s.Address)),
		may("key", parsed(cdn.ParseDomain)(&s.Key)),
	)
	if c.n.kind == kindMapping && !c.has("address") && !c.has("key") {
		c.mistake("write its address, or the name of its key", "a secondary needs an address or a key to be known by")
	}
	return s
}

// checkZones reports zones that cannot be together, and what is wrong within each.
func checkZones(c cursor, f *cdn.Fleet) {
	first := make(map[cdn.Domain]int, len(f.Zones))
	for i := range f.Zones {
		name := f.Zones[i].Name
		if j, dup := first[name]; dup && name != "" {
			c.at(i).in("name").mistake("make one of both", "zone %s is already zones[%d]", name, j)
			continue
		}
		first[name] = i
	}
	for i := range f.Zones {
		z := &f.Zones[i]
		if z.Name == "" {
			continue
		}
		if _, inside := z.Name.Within(f.Zone); inside && z.Name != f.Zone && f.Zone != "" {
			c.at(i).in("name").mistake("put its records into that one", "zone %s is within the fleet's zone %s", z.Name, f.Zone)
		}
		checkZone(c.at(i), z, f, func(name cdn.Domain) bool {
			_, is := first[name]
			return is || name == f.Zone && name != ""
		})
	}
}

// parent is the name above, or empty.
func parent(d cdn.Domain) cdn.Domain {
	_, above, _ := strings.Cut(string(d), ".")
	return cdn.Domain(above)
}

// serverNames are the names of the fleet's name servers.
func serverNames(f *cdn.Fleet) map[cdn.Domain]bool {
	names := make(map[cdn.Domain]bool)
	for i := range f.Nodes {
		if f.Nodes[i].Has(cdn.RoleScheduler) {
			names[cdn.Domain("ns"+itoa(len(names)+1))] = true
		}
	}
	return names
}

// checkSteered reports names that cannot lead to a POP.
func checkSteered(c cursor, f *cdn.Fleet) {
	if len(f.DNS.Steered) == 0 || f.Zone == "" {
		return
	}
	own := ownersOf(f)
	servers := serverNames(f)
	for _, d := range f.DNS.Steered {
		full := d.Under(f.Zone)
		switch at := own.blocks(full); {
		case len(full) > 253:
			c.mistake("", "name %s under %s has %d octets, at most 253 are allowed", clip(string(d)), f.Zone, len(full))
		case servers[d]:
			c.mistake("choose another name", "%s is the name of a name server", full)
		case at != "":
			c.mistake("remove one of both", "%s is steered, but its addresses are said by %s", full, at)
		}
	}
}

// owners are, by name, what says the name's addresses, and delegations.
type owners struct {
	names map[cdn.Domain]string // :: the place of the record
	cuts  map[cdn.Domain]string
}

func ownersOf(f *cdn.Fleet) *owners {
	o := &owners{names: make(map[cdn.Domain]string), cuts: make(map[cdn.Domain]string)}
	for i := range f.Zones {
		z := &f.Zones[i]
		for j := range z.Records {
			r := &z.Records[j]
			place := "zones[" + itoa(i) + "].records[" + itoa(j) + "] (" + r.Type + ")"
			name := fullName(z, r.Name)
			switch {
			case r.Type == "NS":
				o.cuts[name] = place
			case saysAddresses(r.Type) && o.names[name] == "":
				o.names[name] = place
			}
		}
	}
	return o
}

// blocks returns the place of what keeps a name from being steered, or nothing.
func (o *owners) blocks(name cdn.Domain) string {
	if at := o.names[name]; at != "" {
		return at
	}
	if len(o.cuts) == 0 {
		return ""
	}
	for above := name; above != ""; above = parent(above) {
		if at := o.cuts[above]; at != "" {
			return at
		}
	}
	return ""
}

// saysAddresses reports whether records of the type say what the addresses of their name are.
func saysAddresses(typ string) bool {
	switch typ {
	case "A", "AAAA", "CNAME", "HTTPS", cdn.RecordAlias:
		return true
	}
	return false
}

// fullName is the name of a record, in lower case.
func fullName(z *cdn.Zone, name string) cdn.Domain {
	if name == "@" {
		return z.Name
	}
	return cdn.Domain(strings.ToLower(name)) + "." + z.Name
}

// zoneCheck finds domains of sites that the zones have no place for.
type zoneCheck struct {
	zone    cdn.Domain
	own     *owners
	servers map[cdn.Domain]bool
	steered map[cdn.Domain]bool
}

func newZoneCheck(f *cdn.Fleet) *zoneCheck {
	c := &zoneCheck{zone: f.Zone, own: ownersOf(f), servers: serverNames(f), steered: make(map[cdn.Domain]bool, len(f.DNS.Steered))}
	for _, d := range f.DNS.Steered {
		c.steered[d] = true
	}
	return c
}

// problem says what is wrong with a domain of a site; nothing if all is well.
func (c *zoneCheck) problem(d cdn.Domain) (message, hint string) {
	if c.zone == "" {
		return "", ""
	}
	if _, inside := d.Within(c.zone); inside {
		return "domain " + string(d) + " is inside the CDN's own zone " + string(c.zone), "use the name that visitors type"
	}
	if n := len(d) + 1 + len(c.zone); n > 253 {
		return "domain " + clip(string(d)) + " has no name under the CDN's zone " + string(c.zone) + ": that would have " + itoa(n) + " octets, and 253 are allowed", "use a shorter domain"
	}
	switch {
	case c.servers[d]:
		return "domain " + string(d) + " would be " + string(d.Under(c.zone)) + ", the name of a name server", "choose another domain"
	case c.steered[d]:
		return "domain " + string(d) + " would be " + string(d.Under(c.zone)) + ", which dns.steered of the fleet has", "choose another domain"
	}
	if len(c.own.names) == 0 && len(c.own.cuts) == 0 {
		return "", ""
	}
	for _, name := range [...]cdn.Domain{d, d.Under(c.zone)} {
		if at := c.own.blocks(name); at != "" {
			return "domain " + string(d) + " is to lead to a POP, but the addresses of " + string(name) + " are said by " + at + " of the fleet", "remove one of both"
		}
	}
	return "", ""
}
