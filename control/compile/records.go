package compile

import (
	"strconv"
	"strings"

	"nearcast/cdn"
	"nearcast/internal/dnsrecord"
)

// owned are the records of one name.
type owned struct {
	name    cdn.Domain
	first   int            // number of a record
	types   map[string]int // :: type -> number of a record
	records map[string]int // :: type and data -> number
	targets map[string]int // :: name server, of NS records -> number
	order   []string       // types, as they came
	place   map[int]string // :: number -> type
	wire    []byte
}

// checkZone reports what is wrong with the records of a zone. isZone reports whether a name is one's of the schedulers.
func checkZone(c cursor, z *cdn.Zone, f *cdn.Fleet, isZone func(cdn.Domain) bool) {
	names := make(map[cdn.Domain]*owned)
	records := c.in("records")
	for i := range z.Records {
		addRecord(records.at(i), z, i, names)
	}
	var servers map[cdn.Domain]bool
	if z.Name == f.Zone {
		servers = serverNames(f)
	}
	for i := range z.Records {
		name := fullName(z, z.Records[i].Name)
		o := names[name]
		if o == nil || o.place[i] == "" {
			continue
		}
		here := records.at(i)
		if inner := innerZone(z, name, isZone); inner != "" {
			here.in("name").mistake("put it there; its delegation is made by the schedulers themselves", "%s is in %s, a zone of its own", name, inner)
			continue
		}
		if o.place[i] == cdn.RecordAlias && len(z.Secondaries) > 0 {
			here.in("type").mistake("write its addresses, or a CNAME, or do without secondaries",
				"%s is an ALIAS, and a copy of the zone has no place for its addresses, which come and go: a secondary would say that there are none", name)
		}
		if part, _ := name.Within(z.Name); servers[part] && (saysAddresses(o.place[i]) || o.place[i] == "NS") {
			here.in("name").mistake("choose another name", "%s is the name of a name server, whose addresses are the node's", name)
			continue
		}
		checkBeside(here, z, o, o.place[i], i)
		checkCut(here, z, names, o, i)
	}
}

// innerZone returns the zone within another that a name of that is in, or nothing.
func innerZone(z *cdn.Zone, name cdn.Domain, isZone func(cdn.Domain) bool) cdn.Domain {
	for ; name != z.Name && name != ""; name = parent(name) {
		if isZone(name) {
			return name
		}
	}
	return ""
}

// addRecord reads a record, and files it under its name.
func addRecord(c cursor, z *cdn.Zone, i int, names map[cdn.Domain]*owned) {
	r := &z.Records[i]
	if r.Name == "" || r.Type == "" || r.Data == "" {
		return // reported already
	}
	wire, err := dnsrecord.Owner(string(z.Name), r.Name)
	if err != nil {
		c.in("name").mistake("", "%s", err)
		return
	}
	name := fullName(z, r.Name)
	o := names[name]
	if o == nil {
		o = &owned{name: name, wire: wire, first: i, types: make(map[string]int), records: make(map[string]int), targets: make(map[string]int), place: make(map[int]string)}
		names[name] = o
	}
	data, target, ok := readData(c, z, r)
	if !ok {
		return
	}
	key := r.Type + " " + data
	if j, dup := o.records[key]; dup {
		c.mistake("remove one", "is the same record as records[%d]", j)
		return
	}
	o.records[key], o.place[i] = i, r.Type
	if r.Type == "NS" {
		o.targets[target] = i
	}
	if _, known := o.types[r.Type]; !known {
		o.types[r.Type] = i
		o.order = append(o.order, r.Type)
	} else if r.Type == "CNAME" || r.Type == cdn.RecordAlias {
		c.in("type").mistake("keep one", "%s has a second %s; records[%d] is the first", name, r.Type, o.types[r.Type])
	}
}

// readData reads the data of a record.
func readData(c cursor, z *cdn.Zone, r *cdn.Record) (data, target string, ok bool) {
	if r.Type == cdn.RecordAlias {
		target, err := parseTarget(z.Name, r.Data)
		if err != nil {
			c.in("data").mistake("", "%s", err)
		}
		return string(target), string(target), err == nil
	}
	parsed, err := dnsrecord.Parse(string(z.Name), r.Name, r.Type, r.Data)
	if err != nil {
		c.in("data").mistake("", "%s", err)
		return "", "", false
	}
	return string(parsed.Data), string(parsed.Target), true
}

// parseTarget parses the name that an ALIAS leads to.
func parseTarget(zone cdn.Domain, data string) (cdn.Domain, error) {
	switch text, absolute := strings.CutSuffix(data, "."); {
	case absolute:
		return cdn.ParseDomain(text)
	case data == "@":
		return zone, nil
	default:
		return cdn.ParseDomain(data + "." + string(zone))
	}
}

// checkBeside reports records that cannot be beside others of their name.
func checkBeside(c cursor, z *cdn.Zone, o *owned, typ string, i int) {
	apex := o.name == z.Name
	switch {
	case typ == "NS" && apex:
		c.in("type").mistake("remove it", "the servers of the zone itself are the fleet's schedulers")
	case typ == "DS" && apex:
		c.in("type").mistake("remove it; nearcast dnssec status shows what the parent needs", "the DS records of %s are in the zone above it", z.Name)
	case typ == "CNAME" && apex:
		c.in("type").mistake("write ALIAS", "the apex of a zone cannot be a CNAME, since it has other records")
	case (typ == "NS" || typ == "DS") && strings.HasPrefix(string(o.name), "*."):
		c.in("name").mistake("delegate each name", "a wildcard cannot be delegated")
	case typ == "CNAME" && len(o.order) > 1:
		c.in("type").mistake("remove it, or the others", "%s has other records (%s), beside which there is no CNAME", o.name, strings.Join(without(o.order, typ), ", "))
	case typ == cdn.RecordAlias:
		for _, other := range []string{"A", "AAAA", "HTTPS"} {
			if j, both := o.types[other]; both {
				c.in("type").mistake("keep one of both", "the addresses of %s are those of another name, but records[%d] is %s", o.name, j, other)
				return
			}
		}
	}
}

// checkCut reports records that are where somebody else's zone begins, or below.
func checkCut(c cursor, z *cdn.Zone, names map[cdn.Domain]*owned, o *owned, i int) {
	typ := o.place[i]
	if _, here := o.types["NS"]; typ == "DS" && !here && o.name != z.Name {
		c.in("type").mistake("add NS records", "%s has DS but no NS records: it is not delegated", o.name)
		return
	}
	for above := o.name; above != z.Name && above != ""; above = parent(above) {
		cut := names[above]
		if cut == nil || len(cut.targets) == 0 {
			continue
		}
		_, glue := cut.targets[string(o.wire)]
		switch {
		case cut == o && (typ == "NS" || typ == "DS"):
		case glue && (typ == "A" || typ == "AAAA"):
		default:
			c.in("name").mistake("move it to the zone that is delegated, or name it in an NS record",
				"%s is in %s, which records[%d] delegates: only addresses of its name servers can be here", o.name, above, cut.types["NS"])
			return
		}
	}
	if typ == "NS" && o.name != z.Name {
		checkGlue(c, names, o, i)
	}
}

// checkGlue reports a name server within the zone that it serves, whose address nobody could find out.
func checkGlue(c cursor, names map[cdn.Domain]*owned, o *owned, i int) {
	for target, j := range o.targets {
		name := wireText(target)
		if _, inside := name.Within(o.name); j != i || !inside {
			continue
		}
		if server := names[name]; server == nil || !server.has("A") && !server.has("AAAA") {
			c.in("data").mistake("add its A or AAAA record", "the name server %s is within %s, which it serves, and its address is not here", clip(string(name)), o.name)
		}
	}
}

func (o *owned) has(typ string) bool {
	_, ok := o.types[typ]
	return ok
}

// wireText is the text of a name in wire form.
func wireText(wire string) cdn.Domain {
	var b strings.Builder
	for len(wire) > 0 && wire[0] > 0 && len(wire) > int(wire[0]) {
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(wire[1 : 1+wire[0]])
		wire = wire[1+wire[0]:]
	}
	return cdn.Domain(b.String())
}

func without(list []string, one string) (rest []string) {
	for _, s := range list {
		if s != one {
			rest = append(rest, s)
		}
	}
	return rest
}

func itoa(n int) string { return strconv.Itoa(n) }
