package scheduler_test

import (
	"net/netip"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"nearcast/cdn"
	"nearcast/scheduler"
)

// copyOf is the copy of a zone, a line for each record.
func copyOf(t *testing.T, s *cdn.Snapshot, name string) (lines []string) {
	t.Helper()
	src, err := scheduler.CopyOf(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, z := range src.Zones() {
		if text, _, _ := dns.UnpackDomainName(z.Name, 0); text != name {
			continue
		}
		for owner, set := range src.Records(&z) {
			for _, data := range set.Data {
				record := append(slices.Clone(owner), byte(set.Type>>8), byte(set.Type), 0, 1, 0, byte(set.TTL>>16), byte(set.TTL>>8), byte(set.TTL), byte(len(data)>>8), byte(len(data)))
				r, _, err := dns.UnpackRR(append(record, data...), 0)
				if err != nil {
					t.Fatal(err)
				}
				h := r.Header()
				lines = append(lines, h.Name+" "+strconv.Itoa(int(h.Ttl))+" "+dns.TypeToString[h.Rrtype]+" "+r.String()[len(h.String()):])
			}
		}
	}
	return lines
}

// A copy has every record once (RFC 5936 section 2.2), glue of delegations among them, and at steered names addresses of nodes of two POPs.
func TestCopies(t *testing.T) {
	s := snapshot(7)
	s.Fleet.POPs = append(s.Fleet.POPs, cdn.POP{Name: "p2", Tier: cdn.TierEdge})
	s.Fleet.Nodes = append(s.Fleet.Nodes[:1],
		cdn.Node{Name: "f1", POP: "p2", Roles: []cdn.Role{cdn.RoleEdge}, Addresses: []netip.Addr{netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("2001:db8::1")}},
		cdn.Node{Name: "s1", Roles: []cdn.Role{cdn.RoleScheduler}, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.53")}})
	s.Fleet.Zones = []cdn.Zone{{Name: "cdn.test", Records: []cdn.Record{
		{Name: "sub", Type: "NS", Data: "ns.sub"},
		{Name: "ns.sub", Type: "A", Data: "192.0.2.99"},
		{Name: "sub", Type: "NS", Data: "ns1"},
		{Name: "sub", Type: "NS", Data: "ns"},
		{Name: "other", Type: "NS", Data: "ns.sub"},
		{Name: "other", Type: "NS", Data: "ns"},
		{Name: "ns", Type: "A", Data: "192.0.2.98"},
		{Name: "_acme.www.shop.example", Type: "TXT", Data: "token"},
	}}}
	want := []string{
		"_acme.www.shop.example.cdn.test. 3600 TXT \"token\"",
		"cdn.test. 3600 NS ns1.cdn.test.",
		"ns.cdn.test. 3600 A 192.0.2.98",
		"ns.sub.cdn.test. 3600 A 192.0.2.99",
		"ns1.cdn.test. 3600 A 192.0.2.53",
		"other.cdn.test. 3600 NS ns.cdn.test.",
		"other.cdn.test. 3600 NS ns.sub.cdn.test.",
		"sub.cdn.test. 3600 NS ns.cdn.test.",
		"sub.cdn.test. 3600 NS ns.sub.cdn.test.",
		"sub.cdn.test. 3600 NS ns1.cdn.test.",
		"www.shop.example.cdn.test. 20 A 192.0.2.1",
		"www.shop.example.cdn.test. 20 A 198.51.100.1",
		"www.shop.example.cdn.test. 20 AAAA 2001:db8::1",
	}
	got := copyOf(t, s, "cdn.test.")
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("copy (-want +got):\n%s", diff)
	}
}

// The copy of a zone that another one of ours is within has the delegation of that, with glue, and nothing of what is in it.
func TestCopyOfNested(t *testing.T) {
	s := snapshot(7)
	s.Fleet.Nodes = append(s.Fleet.Nodes, cdn.Node{Name: "s1", Roles: []cdn.Role{cdn.RoleScheduler}, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.53")}})
	s.Fleet.Zones = []cdn.Zone{{Name: "test", Records: []cdn.Record{{Name: "www", Type: "A", Data: "192.0.2.9"}}}, {Name: "other.test", Records: []cdn.Record{{Name: "x", Type: "A", Data: "192.0.2.9"}}}}
	want := []string{
		"test. 3600 NS ns1.cdn.test.",
		"cdn.test. 3600 NS ns1.cdn.test.",
		"ns1.cdn.test. 3600 A 192.0.2.53",
		"other.test. 3600 NS ns1.cdn.test.",
		"www.test. 3600 A 192.0.2.9",
	}
	if diff := cmp.Diff(want, copyOf(t, s, "test.")); diff != "" {
		t.Errorf("copy (-want +got):\n%s", diff)
	}
}
