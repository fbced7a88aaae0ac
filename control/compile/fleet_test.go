package compile_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"nearcast/cdn"
	"nearcast/control/compile"
)

const fullFleet = `zone: cdn.test
http_port: 8080
pops:
  - name: ams
    region: eu
    tier: edge
    location: {latitude: 52.37, longitude: 4.9, country: NL}
    isp: AS1136
    parents: [fra]
  - {name: fra, region: eu, tier: regional, location: {latitude: 50, longitude: 8.7}}
nodes:
  - name: ams-1
    pop: ams
    addresses: [127.0.0.2, "2001:db8::2"]
    roles: [edge]
    capacity: {egress_mbps: 10000, ram: 512MiB}
  - {name: fra-1, pop: fra, addresses: [127.0.0.3], roles: [edge, scheduler]}
  - {name: brain, addresses: [127.0.0.4], roles: [control, routequality]}
geo: [/var/lib/nearcast/geo.mmdb, /srv/GeoLite2-City.mmdb]
clients:
  - {prefix: 198.51.100.0/24, location: {latitude: -33.9, longitude: 151.2}, isp: AS1221}
`

func wantFleet() *cdn.Fleet {
	return &cdn.Fleet{
		Zone: "cdn.test", HTTPPort: 8080,
		POPs: []cdn.POP{
			{Name: "ams", Region: "eu", Tier: cdn.TierEdge, Location: cdn.Location{Latitude: 52.37, Longitude: 4.9, Country: "NL"}, ISP: "AS1136", Parents: []cdn.POPName{"fra"}},
			{Name: "fra", Region: "eu", Tier: cdn.TierRegional, Location: cdn.Location{Latitude: 50, Longitude: 8.7}},
		},
		Nodes: []cdn.Node{
			{
				Name: "ams-1", POP: "ams", Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("2001:db8::2")},
				Roles: []cdn.Role{cdn.RoleEdge}, Capacity: cdn.Capacity{EgressMbps: 10000, RAM: 512 << 20},
			},
			{Name: "fra-1", POP: "fra", Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.3")}, Roles: []cdn.Role{cdn.RoleEdge, cdn.RoleScheduler}},
			{Name: "brain", Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.4")}, Roles: []cdn.Role{cdn.RoleControl, cdn.RoleRouteQuality}},
		},
		Clients: []cdn.ClientPrefix{{Prefix: netip.MustParsePrefix("198.51.100.0/24"), Location: cdn.Location{Latitude: -33.9, Longitude: 151.2}, ISP: "AS1221"}},
		Geo:     []string{"/var/lib/nearcast/geo.mmdb", "/srv/GeoLite2-City.mmdb"},
	}
}

func compareNet() cmp.Option {
	return cmp.Options{cmpopts.EquateComparable(netip.AddrPort{}, netip.Addr{}, netip.Prefix{})}
}

func TestFleet(t *testing.T) {
	got, err := compile.Fleet("fleet.yaml", []byte(fullFleet))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wantFleet(), got, compareNet()); diff != "" {
		t.Errorf("fleet differs (-want +got):\n%s", diff)
	}
	text, err := compile.FormatFleet(got)
	if err != nil {
		t.Fatal(err)
	}
	again, err := compile.Fleet("formatted", text)
	if err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	if diff := cmp.Diff(got, again, compareNet()); diff != "" {
		t.Errorf("formatting changed the fleet (-want +got):\n%s", diff)
	}
}

func TestFleetMistakes(t *testing.T) {
	tests := []struct {
		name, old, new string
		want           string
	}{
		{"empty", fullFleet, "", "f:1:1: the file is empty; a fleet is needed"},
		{"second", "clients:", "---\nclients:", "f:21:1: a fleet file has one document; this is a second one"},
		{"nothing", fullFleet, "{}", `f:1:1: a fleet needs the key "zone"
f:1:1: a fleet needs the key "pops"
f:1:1: a fleet needs the key "nodes"`},
		{"zone", "zone: cdn.test", "zone: .", `f:1:7: zone: domain ".": is empty`},
		{"port", "http_port: 8080", "http_port: 70000", `f:2:12: http_port: "70000" is not a whole number from 1 to 65535`},
		{"region", "    region: eu\n", "", `f:4:5: pops[0]: a POP needs the key "region"`},
		{"tier", "tier: edge", "tier: middle", `f:6:11: pops[0].tier: "middle" is not one of edge, regional`},
		{"latitude", "latitude: 52.37", "latitude: 91", `f:7:26: pops[0].location.latitude: "91" is not a number of degrees from -90 to 90`},
		{"nan", "longitude: 4.9", "longitude: nan", `f:7:44: pops[0].location.longitude: "nan" is not a number of degrees from -180 to 180`},
		{"geo", "/srv/GeoLite2-City.mmdb", "city.mmdb", `f:19:35: geo[1]: file "city.mmdb": want an absolute path, such as /var/lib/nearcast/geo.mmdb`},
		{"geotwice", "/srv/GeoLite2-City.mmdb", "/var/lib/nearcast/geo.mmdb", `f:19:35: geo[1]: file /var/lib/nearcast/geo.mmdb is already item [0] (remove one)`},
		{"parent", "parents: [fra]", "parents: [par]", "f:9:15: pops[0].parents[0]: there is no POP par"},
		{"self", "parents: [fra]", "parents: [ams]", "f:9:15: pops[0].parents[0]: POP ams is of tier edge; a parent is of tier regional"},
		{"grandparent", "tier: regional,", "tier: regional, parents: [fra],", "f:10:54: pops[1].parents: a regional POP asks the origin and has no parents (remove it)"},
		{"samepop", "{name: fra,", "{name: ams,", `f:9:15: pops[0].parents[0]: there is no POP fra
f:10:12: pops[1].name: POP ams is already pops[0] (choose another name)
f:17:24: nodes[1].pop: there is no POP fra`},
		{"address", "addresses: [127.0.0.3]", "addresses: [localhost]", `f:17:41: nodes[1].addresses[0]: address "localhost" is not an IP address`},
		{"any", "addresses: [127.0.0.3]", "addresses: [0.0.0.0]", `f:17:41: nodes[1].addresses[0]: address 0.0.0.0 is not the address of a machine`},
		{"shared", "addresses: [127.0.0.3]", "addresses: [127.0.0.2]", "f:17:41: nodes[1].addresses[0]: address 127.0.0.2 is already that of nodes[0] (each address belongs to one node)"},
		{"unaddressed", "addresses: [127.0.0.3]", "addresses: []", "f:17:40: nodes[1].addresses: needs at least one item (a node has an address)"},
		{"samenode", "name: fra-1", "name: ams-1", "f:17:12: nodes[1].name: node ams-1 is already nodes[0] (choose another name)"},
		{"role", "roles: [edge]", "roles: [edge, cache]", `f:15:19: nodes[0].roles[1]: "cache" is not one of edge, scheduler, routequality, control`},
		{"homeless", "    pop: ams\n", "", `f:12:5: nodes[0]: a node with the role edge needs the key "pop"`},
		{"nopops", "pops:\n", "pops: []\nx:\n", `f:3:7: pops: needs at least one item (a fleet has a point of presence)
f:4:1: x: a fleet has no such key (allowed: zone, http_port, https, dns, zones, pops, nodes, clients, geo, policies)
f:14:10: nodes[0].pop: there is no POP ams
f:18:24: nodes[1].pop: there is no POP fra`},
		{"egress0", "egress_mbps: 10000", "egress_mbps: 0", "f:16:29: nodes[0].capacity.egress_mbps: a node that can send 0 Mbit/s can serve nobody; leave the key out if the capacity is unknown, or drain the node to keep visitors away"},
		{"egress-", "egress_mbps: 10000", "egress_mbps: -5", `f:16:29: nodes[0].capacity.egress_mbps: "-5" is not a whole number of megabits a second from 1 to 10000000`},
		{"egress+", "egress_mbps: 10000", "egress_mbps: 10000001", `f:16:29: nodes[0].capacity.egress_mbps: "10000001" is not a whole number of megabits a second from 1 to 10000000`},
		{"ram", "ram: 512MiB", "ram: much", `f:16:41: nodes[0].capacity.ram: size "much": want a whole number of bytes with an optional unit, such as "512MiB" or "10GB"`},
		{"disk", "ram: 512MiB", "disks: [/cache, 1MiB]", `f:16:44: nodes[0].capacity.disks[0]: disk "/cache": want PATH:SIZE, such as "/var/cache/nearcast:100GiB": size "/cache": want a whole number of bytes with an optional unit, such as "512MiB" or "10GB"
f:16:52: nodes[0].capacity.disks[1]: disk "1MiB": want at least 1GiB`},
		{"samedisk", "ram: 512MiB", "disks: ['/c:1GiB', '/c:2GiB']", `f:16:55: nodes[0].capacity.disks[1]: directory /c is already item [0] (remove one)`},
		{"bits", "198.51.100.0/24", "198.51.100.1/24", "f:21:14: clients[0].prefix: prefix 198.51.100.1/24 has bits behind its length; write 198.51.100.0/24"},
		{"prefix", "198.51.100.0/24", "198.51.100.0", `f:21:14: clients[0].prefix: prefix "198.51.100.0": want an address and a length, such as "192.0.2.0/24"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if !strings.Contains(fullFleet, tt.old) {
				t.Fatalf("the fleet has no %q", tt.old)
			}
			_, err := compile.Fleet("f", []byte(strings.Replace(fullFleet, tt.old, tt.new, 1)))
			if err == nil {
				t.Fatal("no mistake")
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("mistakes differ (-want +got):\n%s", diff)
			}
		})
	}
}

// A client table of a size that a real fleet has must not take long.
func TestFleetLarge(t *testing.T) {
	var b strings.Builder
	b.WriteString(fullFleet)
	for i := range 30_000 {
		fmt.Fprintf(&b, "  - {prefix: 10.%d.%d.0/24, location: {latitude: 1, longitude: 2}}\n", i>>8, i&255)
	}
	began := time.Now()
	f, err := compile.Fleet("f", []byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	if d := time.Since(began); len(f.Clients) != 30_001 || d > 30*time.Second {
		t.Errorf("%d prefixes in %v", len(f.Clients), d)
	}
}

// policed is fullFleet with a second edge POP and with policies.
const policed = `zone: cdn.test
pops:
  - {name: fra, region: eu, tier: edge, location: {latitude: 50, longitude: 8.7}, price: 2.5}
  - {name: lon, region: eu, tier: edge, location: {latitude: 51, longitude: 0}}
  - {name: ams, region: eu, tier: regional, location: {latitude: 52, longitude: 5}}
nodes:
  - {name: fra-1, pop: fra, addresses: [127.0.0.2], roles: [edge]}
  - {name: lon-1, pop: lon, addresses: [127.0.0.3], roles: [edge]}
policies:
  - name: licence
    match: {countries: [DE, AT], isps: [AS64500, transit-a]}
    allow: [fra]
  - name: not there
    match: {sites: [shop]}
    deny: [lon]
  - name: office
    match: {prefixes: [198.51.100.0/24]}
    pin: lon
  - name: evenings
    match:
      window: {from: 2027-01-31T08:00:00+01:00, until: 2027-03-01T00:00:00Z, days: [mon, fri], begin: 20:00, end: 02:00, zone: Europe/Berlin}
    weights: {lon: 70, fra: 30}
  - name: cheap
    prefer: {fra: -10, lon: 2.5}
`

func TestPolicies(t *testing.T) {
	got, err := compile.Fleet("fleet.yaml", []byte(policed))
	if err != nil {
		t.Fatal(err)
	}
	want := []cdn.Policy{
		{Name: "licence", Match: cdn.PolicyMatch{Countries: []string{"DE", "AT"}, ISPs: []string{"AS64500", "transit-a"}}, Allow: []cdn.POPName{"fra"}},
		{Name: "not there", Match: cdn.PolicyMatch{Sites: []cdn.SiteName{"shop"}}, Deny: []cdn.POPName{"lon"}},
		{Name: "office", Match: cdn.PolicyMatch{Prefixes: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}, Pin: "lon"},
		{Name: "evenings", Match: cdn.PolicyMatch{Window: cdn.Window{
			From: time.Date(2027, 1, 31, 7, 0, 0, 0, time.UTC), Until: time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC),
			Days: []string{"mon", "fri"}, Begin: "20:00", End: "02:00", Zone: "Europe/Berlin",
		}}, Weights: []cdn.POPWeight{{POP: "lon", Weight: 70}, {POP: "fra", Weight: 30}}},
		{Name: "cheap", Prefer: []cdn.POPPreference{{POP: "fra", MS: -10}, {POP: "lon", MS: 2.5}}},
	}
	if diff := cmp.Diff(want, got.Policies, compareNet()); diff != "" {
		t.Errorf("policies differ (-want +got):\n%s", diff)
	}
	if got.POPs[0].Price != 2.5 {
		t.Errorf("the price is %g, want 2.5", got.POPs[0].Price)
	}
	text, err := compile.FormatFleet(got)
	if err != nil {
		t.Fatal(err)
	}
	again, err := compile.Fleet("formatted", text)
	if err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	if diff := cmp.Diff(got, again, compareNet()); diff != "" {
		t.Errorf("formatting changed the fleet (-want +got):\n%s", diff)
	}
}

func TestPolicyMistakes(t *testing.T) {
	tests := []struct {
		name, old, new string
		want           string
	}{
		{"price", "price: 2.5", "price: -1", `f:3:90: pops[0].price: "-1" is not a number of milliseconds from 0 to 1000`},
		{"unknown", "pin: lon", "pin: par", "f:18:10: policies[2].pin: there is no POP par"},
		{"regional", "allow: [fra]", "allow: [fra, ams]", "f:12:18: policies[0].allow[1]: POP ams is of tier regional; visitors are sent to POPs of tier edge"},
		{"weighted", "{lon: 70", "{ams: 70", "f:22:20: policies[3].weights.ams: POP ams is of tier regional; visitors are sent to POPs of tier edge"},
		{"weight", "lon: 70", "lon: 0", `f:22:20: policies[3].weights.lon: "0" is not a whole number from 1 to 1000`},
		{"twice", "{lon: 70, fra: 30}", "{lon: 70, lon: 30}", "f:22:24: policies[3].weights.lon: lon is already set in line 22 (keep one)"},
		{"none", "{lon: 70, fra: 30}", "{}", "f:22:14: policies[3].weights: has 0 entries, from 1 to 1000 are allowed (leave the key out if there is nothing)"},
		{"list", "{fra: -10, lon: 2.5}", "[fra]", "f:24:13: policies[4].prefer: the value must be a mapping, not a list"},
		{"preference", "fra: -10", "fra: nan", `f:24:19: policies[4].prefer.fra: "nan" is not a number of milliseconds from -1000 to 1000`},
		{"name", "name: office", "name: licence", "f:16:11: policies[2].name: policy licence is already policies[0] (choose another name)"},
		{"nameless", "  - name: office\n    match", "  - match", `f:16:5: policies[2]: a policy needs the key "name"`},
		{"nothing", "    allow: [fra]\n", "", "f:10:5: policies[0]: the policy does nothing: give it allow, deny, pin, weights or prefer"},
		{"empty", "allow: [fra]", "allow: []", "f:12:12: policies[0].allow: needs at least one item (leave the key out for the default)"},
		{"typo", "allow: [fra]", "alow: [fra]", "f:12:5: policies[0].alow: a policy has no such key (did you mean allow? allowed: name, match, allow, deny, pin, weights, prefer)"},
		{"pinned", "pin: lon", "pin: lon\n    weights: {fra: 1}", "f:19:15: policies[2].weights: pin sends all of these visitors to lon already (keep one of the two)"},
		{"pinned away", "pin: lon", "pin: lon\n    deny: [lon]", "f:18:10: policies[2].pin: POP lon is under deny as well (take it out of one of them)"},
		{"not allowed", "weights: {lon: 70", "allow: [fra]\n    weights: {lon: 70", "f:23:20: policies[3].weights.lon: POP lon is not under allow (add it there)"},
		{"country", "[DE, AT]", "[de, AT]", `f:11:25: policies[0].match.countries[0]: country "de": want two upper-case letters, such as DE`},
		{"bits", "198.51.100.0/24", "198.51.100.1/24", "f:17:24: policies[2].match.prefixes[0]: prefix 198.51.100.1/24 has bits behind its length; write 198.51.100.0/24"},
		{"site", "[shop]", "[Shop]", `f:14:21: policies[1].match.sites[0]: site name "Shop": has 'S'; only a-z, 0-9 and inner hyphens are allowed`},
		{"date", "2027-01-31T08:00:00+01:00", "2027-01-31", `f:21:22: policies[3].match.window.from: date "2027-01-31": want it with time and offset (RFC 3339), such as 2027-01-31T08:00:00+01:00`},
		{"order", "2027-03-01T00:00:00Z", "2026-03-01T00:00:00Z", "f:21:56: policies[3].match.window.until: 2026-03-01T00:00:00Z is not after from, 2027-01-31T07:00:00Z: the window never opens"},
		{"day", "[mon, fri]", "[monday]", `f:21:85: policies[3].match.window.days[0]: day "monday": want mon, tue, wed, thu, fri, sat or sun`},
		{"clock", "end: 02:00", "end: 2:00", `f:21:115: policies[3].match.window.end: time of day "2:00": want hours and minutes, such as 08:30`},
		{"midnight", "end: 02:00", "end: 24:00", "f:21:115: policies[3].match.window.end: time of day 24:00: write 00:00 for midnight; an end that is not after begin is on the next day"},
		{"zone", "Europe/Berlin", "Europe/Atlantis", `f:21:128: policies[3].match.window.zone: time zone "Europe/Atlantis": want an IANA name, such as Europe/Berlin`},
		{"local", "Europe/Berlin", "Local", `f:21:128: policies[3].match.window.zone: time zone "Local": want an IANA name, such as Europe/Berlin`},
		{"open", "begin: 20:00, ", "", "f:21:101: policies[3].match.window.end: end needs a begin (00:00 is midnight)"},
		{"zoned", "days: [mon, fri], begin: 20:00, end: 02:00, ", "", "f:21:84: policies[3].match.window.zone: zone is about days, begin and end, and none of them is there (from and until have their own)"},
		{"spaces", "transit-a]", "' transit-a']", `f:11:50: policies[0].match.isps[1]: carrier " transit-a" has spaces around it`},
		{"always", "{sites: [shop]}", "{window: {}}", "f:14:21: policies[1].match.window: needs at least one of from, until, days, begin and end (leave the key out for always)"},
		{"all denied", "deny: [lon]", "deny: [lon, fra]", "f:13:5: policies[1]: allow and deny leave no edge POP that has a cache node (allow one more, or deny one less)"},
		{"all at once", "pin: lon\n", "pin: par\n    deny: [nyc]\n    prefer: {ams: 2000}\n", `f:18:10: policies[2].pin: there is no POP par
f:19:12: policies[2].deny[0]: there is no POP nyc
f:20:19: policies[2].prefer.ams: "2000" is not a number of milliseconds from -1000 to 1000
f:20:19: policies[2].prefer.ams: POP ams is of tier regional; visitors are sent to POPs of tier edge`},
		{"no caches", "name: lon-1, pop: lon", "name: lon-1, pop: fra", ""},
		{"no caches, and allowed", "name: fra-1, pop: fra", "name: fra-1, pop: lon", "f:10:5: policies[0]: allow and deny leave no edge POP that has a cache node (allow one more, or deny one less)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if !strings.Contains(policed, tt.old) {
				t.Fatalf("the fleet has no %q", tt.old)
			}
			got := ""
			if _, err := compile.Fleet("f", []byte(strings.Replace(policed, tt.old, tt.new, 1))); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("mistakes differ (-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzFleet(f *testing.F) {
	f.Add([]byte(fullFleet))
	f.Add([]byte(zoneFleet))
	f.Add([]byte(policed))
	f.Add([]byte("pops: [{}]\nnodes: [{addresses: [::1]}]\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		fleet, err := compile.Fleet("f", src)
		if err != nil {
			if cdn.KindOf(err) != cdn.Invalid || len(compile.MistakesOf(err)) == 0 {
				t.Fatalf("error %v is no list of mistakes", err)
			}
			return
		}
		text, err := compile.FormatFleet(fleet)
		if err != nil {
			t.Fatal(err)
		}
		again, err := compile.Fleet("formatted", text)
		if err != nil {
			t.Fatalf("%v in:\n%s", err, text)
		}
		if diff := cmp.Diff(fleet, again, compareNet()); diff != "" {
			t.Fatalf("formatting changed the fleet (-want +got):\n%s", diff)
		}
	})
}
