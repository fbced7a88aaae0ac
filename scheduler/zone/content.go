package zone

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"nearcast/cdn"
	"nearcast/internal/dnsrecord"
	"nearcast/scheduler/rr"
)

// Times, in seconds.
const (
	zoneTTL         = 3600 // of SOA, NS, and records that do not say theirs
	DefaultNegative = 60   // for how long "there is no such thing" may be kept
	refresh         = 3600
	retry           = 600
	expire          = 604800
)

// addZones compiles the zones.
func (s *Set) addZones(cfg *Config, before *Set) error {
	given := append([]cdn.Zone{{Name: cfg.Zone}}, cfg.Zones...)
	for i := 1; i < len(given); i++ {
		if given[i].Name == cfg.Zone {
			given[0] = given[i]
			given = slices.Delete(given, i, i+1)
			break
		}
	}
	below, err := nesting(given)
	if err != nil {
		return err
	}
	s.byHash = make(map[uint64]*Zone, len(given))
	for i := range given {
		z, err := s.newZone(cfg, &given[i], below[i], before)
		if err != nil {
			return err
		}
		s.zones = append(s.zones, z)
		s.deepest = max(s.deepest, z.labels)
	}
	s.nest(below)
	return nil
}

func (s *Set) newZone(cfg *Config, given *cdn.Zone, below []child, before *Set) (*Zone, error) {
	name, err := dnsrecord.Name(string(given.Name))
	if err != nil {
		return nil, conflict("zone %q: %w", given.Name, err)
	}
	z := &Zone{Name: name, Text: given.Name, Secondaries: given.Secondaries, fleet: given.Name == cfg.Zone, Negative: min(seconds(cfg.DNS.TTL.Negative, DefaultNegative), zoneTTL)}
	var p path
	p.read(name)
	p.walk(&s.seeds, p.labels, root)
	z.labels, z.base = p.labels, p.hashes[p.labels]
	s.byHash[z.base] = z
	if z.fleet {
		z.base = root // a name in it is known by what is in front
	}
	if z.content = before.reuse(z, given, below, s); z.content == nil {
		if z.content, err = s.newContent(z, given, below); err != nil {
			return nil, err
		}
	}
	z.SOA, z.NS = startOfAuthority(cfg, z), serversOf(s.servers)
	z.apex = static{owner: name, sets: slices.Clone(z.content.apex), alias: z.content.alias, wild: z.content.wild}
	z.apex.owns = z.apex.alias != nil || ownsAddresses(z.apex.sets)
	z.apex.sets = append(z.apex.sets, z.SOA)
	if len(z.NS.Data) > 0 {
		z.apex.sets = append(z.apex.sets, z.NS)
	}
	sortSets(z.apex.sets)
	return z, nil
}

// reuse returns the content of a zone that has not changed, or nil.
func (s *Set) reuse(z *Zone, given *cdn.Zone, below []child, next *Set) *content {
	for _, old := range s.zones {
		if old.Text == z.Text && old.fleet == z.fleet && slices.Equal(old.content.records, given.Records) &&
			slices.EqualFunc(old.content.below, below, func(a, b child) bool { return a.name == b.name }) &&
			(!z.fleet && len(below) == 0 || slices.Equal(s.servers, next.servers)) {
			return old.content
		}
	}
	return nil
}

func startOfAuthority(cfg *Config, z *Zone) rr.Set {
	data := mustName("ns1." + cfg.Zone)
	data = append(data, mustName("hostmaster."+z.Text)...)
	serial := uint32(cfg.Generation) //nolint:gosec // serials wrap, RFC 1982
	for _, n := range [...]uint32{serial, refresh, retry, expire, z.Negative} {
		data = binary.BigEndian.AppendUint32(data, n)
	}
	return rr.Set{Type: rr.TypeSOA, TTL: zoneTTL, Data: [][]byte{data}}
}

// mustName is the wire form of a name; the root's if it has none, which zones that are nearly too long bring about.
func mustName(d cdn.Domain) []byte {
	wire, err := dnsrecord.Name(string(d))
	if err != nil {
		return []byte{0}
	}
	return wire
}

func serversOf(servers []Server) rr.Set {
	set := rr.Set{Type: rr.TypeNS, TTL: zoneTTL}
	for i := range servers {
		set.Data = append(set.Data, mustName(servers[i].Name))
	}
	sortData(&set)
	return set
}

// newContent reads the text of a zone.
func (s *Set) newContent(z *Zone, given *cdn.Zone, below []child) (*content, error) {
	b := builder{set: s, zone: z, content: &content{statics: make(map[uint64]*static), records: given.Records, below: below}, targets: make(map[*static][][]byte)}
	for i := range given.Records {
		if err := b.add(&given.Records[i]); err != nil {
			return nil, conflict("zone %s, record %d: %w", z.Text, i, err)
		}
	}
	if z.fleet {
		for i := range s.servers {
			if part, ok := s.servers[i].Name.Within(z.Text); ok && part != "" {
				b.at(mustName(s.servers[i].Name)).node = s.servers[i].Node
			}
		}
	}
	for _, c := range below {
		b.delegate(c.name)
	}
	b.finish()
	return b.content, nil
}

// builder makes the content of a zone.
type builder struct {
	set     *Set
	zone    *Zone
	content *content
	apex    static
	targets map[*static][][]byte // of NS records
	ours    map[*static]bool     // where zones of the set begin
}

func (b *builder) add(r *cdn.Record) error {
	if strings.EqualFold(r.Type, cdn.RecordAlias) {
		owner, err := dnsrecord.Owner(string(b.zone.Text), r.Name)
		if err != nil {
			return err
		}
		target, err := AliasTarget(b.zone.Text, r.Data)
		if err != nil {
			return err
		}
		b.at(owner).alias = &Alias{Target: target, TTL: seconds(r.TTL, zoneTTL)}
		b.content.aliases = append(b.content.aliases, target)
		return nil
	}
	parsed, err := dnsrecord.Parse(string(b.zone.Text), r.Name, r.Type, r.Data)
	if err != nil {
		return err
	}
	at := b.at(parsed.Owner)
	if parsed.Type == rr.TypeNS {
		if at == &b.apex {
			return fmt.Errorf("the servers of the zone itself are the fleet's schedulers")
		}
		b.targets[at] = append(b.targets[at], parsed.Target)
	}
	addTo(at, parsed.Type, seconds(r.TTL, zoneTTL), parsed.Data)
	return nil
}

// AliasTarget returns the name that an ALIAS leads to; its data is relative to the zone if it does not end in a dot.
func AliasTarget(zone cdn.Domain, data string) (cdn.Domain, error) {
	if text, ok := strings.CutSuffix(data, "."); ok {
		return cdn.ParseDomain(text)
	}
	if data == "@" {
		return zone, nil
	}
	return cdn.ParseDomain(data + "." + string(zone))
}

// addTo puts a record into the set of its type. All of them get the shortest TTL (RFC 2181 section 5.2).
func addTo(at *static, typ uint16, ttl uint32, data []byte) {
	for i := range at.sets {
		if at.sets[i].Type == typ {
			at.sets[i].Data = append(at.sets[i].Data, data)
			at.sets[i].TTL = min(at.sets[i].TTL, ttl)
			return
		}
	}
	at.sets = append(at.sets, rr.Set{Type: typ, TTL: ttl, Data: [][]byte{data}})
}

// at returns a name of the zone, which it makes, and all between it and the apex.
func (b *builder) at(owner []byte) *static {
	var p path
	p.read(owner)
	n := p.labels - b.zone.labels
	if n == 0 {
		b.apex.owner = owner
		return &b.apex
	}
	p.walk(&b.set.seeds, n, b.zone.base)
	above := &b.apex
	for k := 1; k <= n; k++ {
		at := b.content.statics[p.hashes[k]]
		if at == nil {
			at = &static{text: string(p.part(n-k, n)), owner: bytes.Clone(owner[p.starts[n-k]:])}
			b.content.statics[p.hashes[k]] = at
		}
		if string(p.label(n-k)) == "*" {
			above.wild, b.content.wildcard = at, true
		}
		above = at
	}
	return above
}

// finish sorts what there is, and makes delegations of NS records.
func (b *builder) finish() {
	b.content.apex, b.content.alias, b.content.wild = b.apex.sets, b.apex.alias, b.apex.wild
	for i := range b.apex.sets {
		sortData(&b.apex.sets[i])
	}
	sortSets(b.apex.sets)
	for _, at := range b.content.statics {
		for i := range at.sets {
			sortData(&at.sets[i])
		}
		sortSets(at.sets)
		at.owns = at.node != nil || at.alias != nil || ownsAddresses(at.sets)
	}
	for at, targets := range b.targets {
		cut := &Cut{Owner: at.owner, Ours: b.ours[at]}
		for i := range at.sets {
			switch at.sets[i].Type {
			case rr.TypeNS:
				cut.NS = at.sets[i]
			case rr.TypeDS:
				cut.DS = &at.sets[i]
			}
		}
		slices.SortFunc(targets, bytes.Compare)
		for _, target := range slices.CompactFunc(targets, bytes.Equal) {
			if g := b.glue(target); len(g.Sets) > 0 {
				cut.Glue = append(cut.Glue, g)
			}
		}
		at.cut = cut
		b.content.cuts++
	}
}

// glue is what the zone knows of a name server's addresses.
func (b *builder) glue(target []byte) Glue {
	g := Glue{Owner: target}
	var p path
	if !p.read(target) || p.labels <= b.zone.labels || !bytes.Equal(target[p.starts[p.labels-b.zone.labels]:], b.zone.Name) {
		return g
	}
	for i := range b.set.servers { // below another zone of the set, too
		if bytes.Equal(mustName(b.set.servers[i].Name), target) {
			g.Sets = Addresses(b.set.servers[i].Node, zoneTTL)
			return g
		}
	}
	n := p.labels - b.zone.labels
	p.walk(&b.set.seeds, n, b.zone.base)
	at := b.content.statics[p.hashes[n]]
	if at == nil {
		return g
	}
	for i := range at.sets {
		if at.sets[i].Type == rr.TypeA || at.sets[i].Type == rr.TypeAAAA {
			g.Sets = append(g.Sets, at.sets[i])
		}
	}
	return g
}

// Addresses are a machine's first address of each family, as sets.
func Addresses(node *cdn.Node, ttl uint32) (sets []rr.Set) {
	var four, six netip.Addr
	for _, a := range node.Addresses {
		switch a = a.Unmap(); {
		case a.Is4() && !four.IsValid():
			four = a
		case a.Is6() && !six.IsValid():
			six = a
		}
	}
	if four.IsValid() {
		sets = append(sets, rr.Set{Type: rr.TypeA, TTL: ttl, Data: [][]byte{four.AsSlice()}})
	}
	if six.IsValid() {
		sets = append(sets, rr.Set{Type: rr.TypeAAAA, TTL: ttl, Data: [][]byte{six.AsSlice()}})
	}
	return sets
}

// ownsAddresses reports whether sets say what the addresses of their name are.
func ownsAddresses(sets []rr.Set) bool {
	return slices.ContainsFunc(sets, func(set rr.Set) bool {
		switch set.Type {
		case rr.TypeA, rr.TypeAAAA, rr.TypeCNAME, rr.TypeHTTPS, rr.TypeNS:
			return true
		}
		return false
	})
}

func sortSets(sets []rr.Set) {
	slices.SortFunc(sets, func(a, b rr.Set) int { return cmp.Compare(a.Type, b.Type) })
}

// sortData puts records into canonical order, without duplicates.
func sortData(set *rr.Set) {
	slices.SortFunc(set.Data, bytes.Compare)
	set.Data = slices.CompactFunc(set.Data, bytes.Equal)
}

// seconds is a time in whole seconds.
func seconds(d cdn.Duration, otherwise uint32) uint32 {
	if d <= 0 {
		return otherwise
	}
	return uint32(max(1, time.Duration(d)/time.Second)) //nolint:gosec // a week at most
}
