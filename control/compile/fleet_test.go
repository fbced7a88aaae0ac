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
	return cmp.Options{cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})}
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

func FuzzFleet(f *testing.F) {
	f.Add([]byte(fullFleet))
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
