package cdn_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nearcast/cdn"
)

func TestError(t *testing.T) {
	err := error(cdn.Errorf(cdn.Conflict, "store.Append", "revision %d: %w", 7, io.EOF))
	if got, want := err.Error(), "store.Append: revision 7: EOF"; got != want {
		t.Errorf("text %q, want %q", got, want)
	}
	if got, want := cdn.Errorf(cdn.Invalid, "", "bad").Error(), "bad"; got != want {
		t.Errorf("text without an operation %q, want %q", got, want)
	}
	if !errors.Is(err, io.EOF) {
		t.Error("the cause is lost")
	}
	wrapped := fmt.Errorf("applying: %w", cdn.Errorf(cdn.Timeout, "feed", "waiting: %w", err))
	if got := cdn.KindOf(wrapped); got != cdn.Timeout {
		t.Errorf("kind %v, want the outermost, timeout", got)
	}
	for _, err := range []error{nil, io.EOF} {
		if got := cdn.KindOf(err); got != cdn.Other {
			t.Errorf("kind of %v is %v, want other", err, got)
		}
	}
}

func TestKind(t *testing.T) {
	seen := make(map[string]bool)
	for k := cdn.Other; k <= cdn.Timeout; k++ {
		if seen[k.String()] || cdn.ParseKind(k.String()) != k {
			t.Errorf("kind %d is called %q, which parses as %d", k, k, cdn.ParseKind(k.String()))
		}
		seen[k.String()] = true
	}
	if got := cdn.Kind(200).String(); got != "other" {
		t.Errorf("an unknown kind is called %q", got)
	}
	if got := cdn.ParseKind("from-the-future"); got != cdn.Other {
		t.Errorf("an unknown name is kind %v", got)
	}
}

func TestRouteFor(t *testing.T) {
	site := cdn.Site{Routes: []cdn.Route{
		{Match: cdn.Match{PathPrefix: "/static/", Extensions: []string{".css", ".js"}}},
		{Match: cdn.Match{PathPrefix: "/static/"}},
		{Match: cdn.Match{Extensions: []string{".js"}}},
		{Match: cdn.Match{PathPrefix: "/api"}, Bypass: true},
	}}
	for _, tt := range []struct {
		name, path string
		want       int
	}{
		{"both", "/static/a.css", 0},
		{"prefix", "/static/a.png", 1},
		{"extension", "/a.js", 2},
		{"folder", "/api/v1", 3},
		{"none", "/index.html", -1},
		{"case", "/Static/a.CSS", -1},
		{"partial", "/static", -1},
		{"inside", "/a.js/b", -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			route, got := site.RouteFor(tt.path)
			want := cdn.Route{}
			if tt.want >= 0 {
				want = site.Routes[tt.want]
			}
			if got != tt.want || !cmp.Equal(route, want) {
				t.Errorf("RouteFor(%q) = %+v, %d; want routes[%d]", tt.path, route, got, tt.want)
			}
		})
	}
	all := cdn.Site{Routes: []cdn.Route{{TTL: 1}}}
	if _, got := all.RouteFor("/any"); got != 0 {
		t.Errorf("a route without a match is %d for /any, want 0", got)
	}
}

func TestRedact(t *testing.T) {
	site := cdn.Site{
		Name: "shop", Domains: []cdn.Domain{"shop.example"},
		Origin: cdn.Origin{Type: cdn.OriginS3, Bucket: &cdn.Bucket{Name: "b", AccessKeyID: "id", SecretAccessKey: "hunter2"}},
	}
	shown := site.Redact()
	if text := fmt.Sprintf("%+v %+v", shown, *shown.Origin.Bucket); strings.Contains(text, "hunter2") || !strings.Contains(text, cdn.Redacted) {
		t.Errorf("shown as %s", text)
	}
	shown.Domains[0] = "other.example"
	if site.Origin.Bucket.SecretAccessKey != "hunter2" || site.Domains[0] != "shop.example" {
		t.Error("the site itself changed")
	}
	routed := cdn.Site{Routes: []cdn.Route{{RequestHeaders: cdn.HeaderRule{Set: map[string]string{"X-Api-Key": "hunter2", "X-Tier": "gold"}}}}}
	if got := routed.Redact().Routes[0].RequestHeaders.Set; got["X-Api-Key"] != cdn.Redacted || got["X-Tier"] != "gold" {
		t.Errorf("a route's fields are shown as %v", got)
	}
	if routed.Routes[0].RequestHeaders.Set["X-Api-Key"] != "hunter2" {
		t.Error("the route itself changed")
	}
	public := cdn.Site{Origin: cdn.Origin{Bucket: &cdn.Bucket{Name: "b"}}}
	if got := public.Redact().Origin.Bucket.SecretAccessKey; got != "" {
		t.Errorf("a bucket without a secret shows %q", got)
	}
}

func testFleet() cdn.Fleet {
	return cdn.Fleet{
		POPs: []cdn.POP{
			{Name: "fra", Region: "eu", Tier: cdn.TierEdge},
			{Name: "par", Region: "eu", Tier: cdn.TierEdge, Parents: []cdn.POPName{"ams2"}},
			{Name: "ams1", Region: "eu", Tier: cdn.TierRegional},
			{Name: "ams2", Region: "eu", Tier: cdn.TierRegional},
			{Name: "nyc", Region: "us", Tier: cdn.TierEdge},
		},
		Nodes: []cdn.Node{
			{Name: "e1", POP: "fra", Roles: []cdn.Role{cdn.RoleEdge}},
			{Name: "c1", POP: "fra", Roles: []cdn.Role{cdn.RoleControl, cdn.RoleScheduler}},
			{Name: "e2", POP: "fra", Roles: []cdn.Role{cdn.RoleScheduler, cdn.RoleEdge}},
		},
	}
}

func TestFleet(t *testing.T) {
	f := testFleet()
	for pop, want := range map[cdn.POPName][]cdn.POPName{
		"fra": {"ams1", "ams2"}, "par": {"ams2"}, "ams1": nil, "nyc": nil,
	} {
		if diff := cmp.Diff(want, f.Parents(f.POP(pop))); diff != "" {
			t.Errorf("parents of %s (-want +got):\n%s", pop, diff)
		}
	}
	var names []cdn.NodeName
	for _, n := range f.CacheNodes("fra") {
		names = append(names, n.Name)
	}
	if diff := cmp.Diff([]cdn.NodeName{"e1", "e2"}, names); diff != "" {
		t.Errorf("cache nodes of fra (-want +got):\n%s", diff)
	}
	if f.POP("none") != nil || f.Node("none") != nil || f.Node("c1").Name != "c1" {
		t.Error("a lookup by name found the wrong thing")
	}
	if f.Port() != 80 || (&cdn.Fleet{HTTPPort: 8080}).Port() != 8080 {
		t.Error("the port is not 80 by default, or not what was configured")
	}
}

// A name of a node has its first address of each family.
func TestNodeAddresses(t *testing.T) {
	for _, tt := range []struct {
		name      string
		addrs     []string
		four, six string
	}{
		{"none", nil, "invalid IP", "invalid IP"},
		{"four", []string{"192.0.2.1", "192.0.2.2"}, "192.0.2.1", "invalid IP"},
		{"both", []string{"2001:db8::1", "192.0.2.1", "2001:db8::2"}, "192.0.2.1", "2001:db8::1"},
		{"mapped", []string{"::ffff:192.0.2.1", "2001:db8::1"}, "192.0.2.1", "2001:db8::1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var n cdn.Node
			for _, a := range tt.addrs {
				n.Addresses = append(n.Addresses, netip.MustParseAddr(a))
			}
			if n.IPv4().String() != tt.four || n.IPv6().String() != tt.six {
				t.Errorf("%s and %s, want %s and %s", n.IPv4(), n.IPv6(), tt.four, tt.six)
			}
		})
	}
}

func TestKilometres(t *testing.T) {
	place := func(latitude, longitude float64) cdn.Location {
		return cdn.Location{Latitude: latitude, Longitude: longitude}
	}
	for _, tt := range []struct {
		name string
		a, b cdn.Location
		want float64
	}{
		{"same", place(50, 8), place(50, 8), 0},
		{"degree", place(0, 0), place(1, 0), 6371 * math.Pi / 180},
		{"quarter", place(90, 0), place(0, 77), 6371 * math.Pi / 2},
		{"antipodes", place(0, 0), place(0, 180), 6371 * math.Pi},
		{"dateline", place(0, 179.5), place(0, -179.5), 6371 * math.Pi / 180},
		{"cities", place(52.52, 13.405), place(48.8566, 2.3522), 878}, // Berlin, Paris
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, got := range []float64{tt.a.Kilometres(tt.b), tt.b.Kilometres(tt.a)} {
				if math.Abs(got-tt.want) > 1 {
					t.Errorf("%v km, want %v", got, tt.want)
				}
			}
		})
	}
}

func TestState(t *testing.T) {
	table := &cdn.RouteTable{Nodes: []cdn.NodeHealth{{Node: "a", State: cdn.StateDown}, {Node: "b", State: cdn.StateReady}}}
	for node, want := range map[cdn.NodeName]cdn.NodeState{"a": cdn.StateDown, "b": cdn.StateReady, "c": cdn.StateUnknown} {
		if got := table.State(node); got != want {
			t.Errorf("node %s is %q, want %q", node, got, want)
		}
	}
	if got := (*cdn.RouteTable)(nil).State("a"); got != cdn.StateUnknown {
		t.Errorf("without a table a node is %q", got)
	}
	for state, want := range map[cdn.NodeState]bool{
		cdn.StateUnknown: true, cdn.StateReady: true, cdn.StateStarting: false, cdn.StateDraining: false, cdn.StateDown: false,
	} {
		if state.Usable() != want {
			t.Errorf("state %q usable: %v, want %v: a missing measurement takes no node out", state, state.Usable(), want)
		}
	}
}

func TestSnapshot(t *testing.T) {
	sites := []cdn.Site{{Name: "blog", Domains: []cdn.Domain{"blog.example"}}, {Name: "shop", Domains: []cdn.Domain{"shop.example", "www.shop.example"}}}
	s := &cdn.Snapshot{Generation: 1, Fleet: testFleet(), Sites: sites}
	if got := s.SiteOf("www.shop.example"); got != s.Site("shop") || got == nil {
		t.Errorf("www.shop.example is of %+v", got)
	}
	if s.SiteOf("none.example") != nil || s.Site("none") != nil {
		t.Error("a lookup by name found the wrong thing")
	}
	later := &cdn.Snapshot{Generation: 2, At: time.Unix(1, 0), By: "me", Fleet: testFleet(), Sites: sites}
	if s.Digest() != later.Digest() {
		t.Error("equal content has two digests")
	}
	later.Fleet.Nodes[0].Addresses = []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	if s.Digest() == later.Digest() {
		t.Error("different content has one digest")
	}
}
