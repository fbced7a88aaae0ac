package compile_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nearcast/cdn"
	"nearcast/control/compile"
)

const machines = `pops: [{name: p, region: r, tier: edge, alpn: [h3, h2], location: {latitude: 1, longitude: 2}}]
nodes: [{name: n, pop: p, roles: [edge, scheduler], addresses: [192.0.2.1]}]
`

const zoneFleet = machines + `zone: cdn.test
https: {port: 8443, alpn: [h2]}
dns:
  steered: ["d[1-1000]", www, "x[5-7].deep", d2000]
  ttl: {steered: 30s, stable: 2m, draining: 5s, negative: 1m}
  rate_limit: {per_second: 50, burst: 125, slip: 2, exempt: [192.0.2.0/24]}
  amplification: 3
  signed: true
  version: nearcast
  trusted_proxies: [198.51.100.0/24]
zones:
- name: cdn.test
  records:
  - {name: "@", type: txt, data: '"v=spf1 -all"'}
  - {name: _acme-challenge.d1, type: TXT, ttl: 60s, data: token}
  secondaries: [{address: 203.0.113.1}, {address: "203.0.113.2:5353", key: k.example}, {key: other.example}]
- name: shop.example
  records:
  - {name: "@", type: ALIAS, data: shop.hosting.example.}
  - {name: mail, type: A, data: 192.0.2.9}
  - {name: mail, type: A, data: 192.0.2.10}
  - {name: "@", type: MX, data: 10 mail}
  - {name: sub, type: NS, data: ns.sub}
  - {name: ns.sub, type: A, data: 192.0.2.11}
  - {name: "*.dev", type: CNAME, data: mail}
`

func TestZones(t *testing.T) {
	f, err := compile.Fleet("f", []byte(zoneFleet))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(f.DNS.Steered); n != 1005 || f.DNS.Steered[999] != "d1000" || f.DNS.Steered[1001] != "x5.deep" {
		t.Errorf("%d steered names: %v", n, f.DNS.Steered[990:])
	}
	if f.DNS.TTL.Stable != cdn.Duration(2*time.Minute) || !f.DNS.Signed || f.HTTPS.Port != 8443 || len(f.POPs[0].ALPN) != 2 || f.Zones[0].Records[0].Type != "TXT" ||
		f.Zones[0].Secondaries[0].Address.String() != "203.0.113.1:53" {
		t.Errorf("fleet %+v", f)
	}
	text, err := compile.FormatFleet(f)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "d[1-1000]") {
		t.Errorf("the names are not written as a range:\n%s", text)
	}
	again, err := compile.Fleet("f", text)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if diff := cmp.Diff(f, again, compareNet()); diff != "" {
		t.Errorf("the fleet is another when it has been written and read (-want +got):\n%s", diff)
	}
}

func TestZoneMistakes(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"ttl", "dns: {ttl: {steered: 1500ms, stable: 8d, negative: 0s}}", `f:4:22: dns.ttl.steered: TTL "1500ms": want whole seconds
f:4:38: dns.ttl.stable: TTL "8d": want 1s to 7d
f:4:52: dns.ttl.negative: TTL "0s": want 1s to 7d`},
		{"range", `dns: {steered: ["d[2-1]", "d[01-3]", "d[1-1000000]", "a b", d1, "d[1-2]"]}`, `f:4:17: dns.steered[0]: "d[2-1]" is not a range of names, such as d[1-1000]
f:4:27: dns.steered[1]: "d[01-3]" is not a range of names, such as d[1-1000]
f:4:38: dns.steered[2]: "d[1-1000000]" has 1000000 names, at most 100000 are allowed
f:4:54: dns.steered[3]: domain "a b": label "a b" has ' '; only a-z, 0-9 and inner hyphens are allowed; a name is relative to the zone, as d1 or d[1-1000]
f:4:65: dns.steered[5]: name d1 is already in item [4] (remove one)`},
		{"rate", "dns: {rate_limit: {per_second: 10, burst: 5}, amplification: 0}", `f:4:43: dns.rate_limit.burst: a burst of 5 is less than the 10 of a second
f:4:62: dns.amplification: "0" is not a whole number from 1 to 100`},
		{
			"steered", "dns: {steered: [ns1, mine, x.sub]}\nzones: [{name: cdn.test, records: [{name: mine, type: A, data: 192.0.2.1}, {name: sub, type: NS, data: a.}]}]",
			`f:4:16: dns.steered: ns1.cdn.test is the name of a name server (choose another name)
f:4:16: dns.steered: mine.cdn.test is steered, but its addresses are said by zones[0].records[0] (A) (remove one of both)
f:4:16: dns.steered: x.sub.cdn.test is steered, but its addresses are said by zones[0].records[1] (NS) (remove one of both)`,
		},
		{
			"zones", "zones: [{name: a.example}, {name: a.example}, {name: b.a.example}, {name: x.cdn.test}, {name: test}]",
			`f:4:35: zones[1].name: zone a.example is already zones[0] (make one of both)
f:4:75: zones[3].name: zone x.cdn.test is within the fleet's zone cdn.test (put its records into that one)`,
		},
		{
			"nested", "zones: [{name: test, records: [{name: cdn, type: NS, data: ns1.cdn}, {name: x.b, type: TXT, data: a}, {name: xb, type: TXT, data: a}]}, {name: b.test, records: [{name: x, type: TXT, data: a}]}]",
			`f:4:39: zones[0].records[0].name: cdn.test is in cdn.test, a zone of its own (put it there; its delegation is made by the schedulers themselves)
f:4:77: zones[0].records[1].name: x.b.test is in b.test, a zone of its own (put it there; its delegation is made by the schedulers themselves)`,
		},
		{
			"unread", `zones: [{name: a.example, records: [{name: x, type: A, data: 1.2.3}, {name: a..b, type: TXT, data: x}, {name: x, type: NOPE, data: x}, {name: x, type: SOA, data: x}, {name: t, type: TXT, data: "a;b"}]}]`,
			`f:4:62: zones[0].records[0].data: A "1.2.3": bad A A: "1.2.3"
f:4:77: zones[0].records[1].name: name "a..b": label "" has 0 octets; 1 to 63 are allowed
f:4:120: zones[0].records[2].type: type "NOPE" is not known; write TYPE and its number for one that is new (RFC 3597)
f:4:152: zones[0].records[3].type: records of type SOA are made by the servers themselves
f:4:194: zones[0].records[4].data: "a;b" has ';', which starts a comment or a second line in a zone file; put quotes around the text`,
		},
		{
			"cname", "zones: [{name: a.example, records: [{name: x, type: CNAME, data: y}, {name: X, type: TXT, data: y}, {name: '@', type: CNAME, data: y}, {name: w, type: CNAME, data: y}, {name: w, type: CNAME, data: z}]}]",
			`f:4:53: zones[0].records[0].type: x.a.example has other records (TXT), beside which there is no CNAME (remove it, or the others)
f:4:119: zones[0].records[2].type: the apex of a zone cannot be a CNAME, since it has other records (write ALIAS)
f:4:185: zones[0].records[4].type: w.a.example has a second CNAME; records[3] is the first (keep one)`,
		},
		{
			"alias", "zones: [{name: a.example, records: [{name: x, type: ALIAS, data: y}, {name: x, type: A, data: 192.0.2.1}, {name: y, type: TXT, data: a}, {name: y, type: TXT, data: a}]}]",
			`f:4:53: zones[0].records[0].type: the addresses of x.a.example are those of another name, but records[1] is A (keep one of both)
f:4:139: zones[0].records[3]: is the same record as records[2] (remove one)`,
		},
		{
			"copied", "zones: [{name: a.example, records: [{name: x, type: TXT, data: y}, {name: x, type: ALIAS, data: y}], secondaries: [{key: k}]}]",
			`f:4:84: zones[0].records[1].type: x.a.example is an ALIAS, and a copy of the zone has no place for its addresses, which come and go: a secondary would say that there are none (write its addresses, or a CNAME, or do without secondaries)`,
		},
		{
			"cut", "zones: [{name: a.example, records: [{name: s, type: NS, data: ns.s}, {name: x.s, type: A, data: 192.0.2.1}, {name: s, type: TXT, data: a}, {name: '@', type: NS, data: b}, {name: k, type: DS, data: 1 13 2 00}, {name: '*.w', type: NS, data: b}]}]",
			`f:4:63: zones[0].records[0].data: the name server ns.s.a.example is within s.a.example, which it serves, and its address is not here (add its A or AAAA record)
f:4:77: zones[0].records[1].name: x.s.a.example is in s.a.example, which records[0] delegates: only addresses of its name servers can be here (move it to the zone that is delegated, or name it in an NS record)
f:4:116: zones[0].records[2].name: s.a.example is in s.a.example, which records[0] delegates: only addresses of its name servers can be here (move it to the zone that is delegated, or name it in an NS record)
f:4:158: zones[0].records[3].type: the servers of the zone itself are the fleet's schedulers (remove it)
f:4:188: zones[0].records[4].type: k.a.example has DS but no NS records: it is not delegated (add NS records)
f:4:217: zones[0].records[5].name: a wildcard cannot be delegated (delegate each name)`,
		},
		{
			"servers", "zones: [{name: cdn.test, records: [{name: ns1, type: A, data: 192.0.2.1}, {name: ns1, type: TXT, data: a}]}]",
			`f:4:43: zones[0].records[0].name: ns1.cdn.test is the name of a name server, whose addresses are the node's (choose another name)`,
		},
		{
			"secondaries", "zones: [{name: a.example, secondaries: [{}, {address: 'a:53'}, {key: a}, {key: a}]}]",
			`f:4:41: zones[0].secondaries[0]: a secondary needs an address or a key to be known by (write its address, or the name of its key)
f:4:55: zones[0].secondaries[1].address: address "a:53" is neither an IP address nor one with a port, such as 192.0.2.1:53
f:4:75: zones[0].secondaries[3]: server with the key a is already item [2] (remove one)`,
		},
		{"https", "https: {port: 0, alpn: [h2, h2, 'a b']}", `f:4:15: https.port: "0" is not a whole number from 1 to 65535
f:4:29: https.alpn[1]: protocol h2 is already item [0] (remove one)
f:4:33: https.alpn[2]: protocol "a b" is not the name of one, such as h2 or http/1.1`},
		{
			"longname", "zones: [{name: a.example, records: [{name: " + strings.Repeat("abcdefghi.", 25) + "a, type: TXT, data: a}]}]",
			`f:4:44: zones[0].records[0].name: name "` + strings.Repeat("abcdefghi.", 8) + `..." is too long under a.example: a name has at most 253 octets`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := compile.Fleet("f", []byte(machines+"zone: cdn.test\n"+tt.text+"\n"))
			if err == nil {
				t.Fatal("no mistake")
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("mistakes differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDomainsAndZones(t *testing.T) {
	f, err := compile.Fleet("f", []byte(zoneFleet))
	if err != nil {
		t.Fatal(err)
	}
	for domain, want := range map[cdn.Domain]string{
		"www.shop.example":   "",
		"dev.shop.example":   "",
		"mail.shop.example":  "domain mail.shop.example is to lead to a POP, but the addresses of mail.shop.example are said by zones[1].records[1] (A) of the fleet (remove one of both)",
		"shop.example":       "are said by zones[1].records[0] (ALIAS)",
		"a.sub.shop.example": "are said by zones[1].records[4] (NS)",
		"d7":                 "domain d7 would be d7.cdn.test, which dns.steered of the fleet has (choose another domain)",
		"ns1":                "domain ns1 would be ns1.cdn.test, the name of a name server (choose another domain)",
		cdn.Domain(strings.Repeat("abcdefghi.", 24) + "example"): "has no name under the CDN's zone cdn.test: that would have 256 octets",
	} {
		err := compile.Snapshot(*f, []cdn.Site{{Name: "s", Domains: []cdn.Domain{domain}}})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", domain, err, want)
		}
	}
}
