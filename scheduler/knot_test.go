package scheduler_test

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"nearcast/cdn"
	"nearcast/internal/freeport"
	"nearcast/internal/outside"
)

// operated is a fleet whose zone is in an operator's, with all that names can be, and a secondary of each.
func operated(secondary netip.AddrPort) *cdn.Snapshot {
	s := snapshot(7)
	s.Fleet.Nodes = append(s.Fleet.Nodes[:1], cdn.Node{Name: "s1", Roles: []cdn.Role{cdn.RoleScheduler}, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.53"), netip.MustParseAddr("2001:db8::53")}})
	s.Fleet.Nodes[0].Addresses = append(s.Fleet.Nodes[0].Addresses, netip.MustParseAddr("2001:db8::1"))
	to := []cdn.Secondary{{Address: secondary}}
	s.Fleet.Zones = []cdn.Zone{
		{Name: "cdn.test", Secondaries: to, Records: []cdn.Record{
			{Name: "@", Type: "TXT", Data: "fleet"},
			{Name: "*.w", Type: "TXT", Data: "wild"},
			{Name: "*.w", Type: "MX", Data: "10 mail"},
			{Name: "x.y.w", Type: "TXT", Data: "there"},
			{Name: "*.x.y.w", Type: "CNAME", Data: "mail"},
			{Name: "mail", Type: "A", Data: "192.0.2.9"},
			{Name: "c1", Type: "CNAME", Data: "c2"},
			{Name: "c2", Type: "CNAME", Data: "www.shop.example"},
			{Name: "gone", Type: "CNAME", Data: "nope"},
			{Name: "out", Type: "CNAME", Data: "elsewhere.example."},
			{Name: "into", Type: "CNAME", Data: "a.sub"},
			{Name: "towild", Type: "CNAME", Data: "q.w"},
			{Name: "sub", Type: "NS", Data: "ns.sub"},
			{Name: "sub", Type: "NS", Data: "ns.elsewhere.example."},
			{Name: "ns.sub", Type: "A", Data: "192.0.2.99"},
			{Name: "ns.sub", Type: "AAAA", Data: "2001:db8::99"},
			{Name: "a.b.safe", Type: "NS", Data: "mail"},
			{Name: "a.b.safe", Type: "DS", Data: "1 13 2 " + strings.Repeat("ab", 32)},
			{Name: "www.shop.example", Type: "TXT", Data: "beside"},
			{Name: "_acme-challenge.www.shop.example", Type: "TXT", Data: "token"},
			{Name: "odd", Type: "TYPE65400", Data: `\# 2 abcd`},
		}},
		{Name: "test", Secondaries: to, Records: []cdn.Record{{Name: "*", Type: "A", Data: "192.0.2.8"}, {Name: "to", Type: "CNAME", Data: "d.e"}, {Name: "d.e", Type: "TXT", Data: "x"}}},
		{Name: "shop.example", Secondaries: to, Records: []cdn.Record{{Name: "@", Type: "MX", Data: "10 mail"}, {Name: "mail", Type: "A", Data: "192.0.2.80"}}},
	}
	s.Sites[0].Domains = append(s.Sites[0].Domains, "shop.example", "deep.er.shop.example")
	return s
}

// TestLikeKnot: a secondary that has copies of the zones says the same of every name as we do, whatever it is and whatever is asked: code, AA, and records. There is
// one POP, so that nothing is tailored.
func TestLikeKnot(t *testing.T) {
	knotd := outside.Program(t, "knotd", "knot")
	knot := freeport.Addr(t)
	s := start(t, config(slog.New(slog.DiscardHandler)))
	snap := operated(netip.MustParseAddrPort("127.0.0.1:0"))
	for i := range snap.Fleet.Zones { // it may ask; it comes by itself
		snap.Fleet.Zones[i].Secondaries[0].Address = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), netip.MustParseAddrPort(knot).Port())
	}
	if err := s.Apply(snap); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	at := func(a string) string { return strings.Replace(a, ":", "@", 1) }
	var zones strings.Builder
	for i := range snap.Fleet.Zones {
		fmt.Fprintf(&zones, "  - domain: %s\n    master: us\n    acl: us\n", snap.Fleet.Zones[i].Name)
	}
	conf := fmt.Sprintf("server:\n    rundir: %[1]s\n    listen: %[2]s\ndatabase:\n    storage: %[1]s\nremote:\n  - id: us\n    address: %[3]s\nacl:\n  - id: us\n    address: 127.0.0.1\n    action: notify\ntemplate:\n  - id: default\n    storage: %[1]s\nzone:\n%[4]s",
		dir, at(knot), at(s.DNSAddr().String()), zones.String())
	if err := os.WriteFile(filepath.Join(dir, "knot.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	outside.Serve(t, knotd, "-c", filepath.Join(dir, "knot.conf"))
	for i := range snap.Fleet.Zones {
		await(t, knot, dns.Fqdn(string(snap.Fleet.Zones[i].Name)))
	}
	names := strings.FieldsSeq(`cdn.test test shop.example www.shop.example.cdn.test shop.example.cdn.test example.cdn.test www.shop.example shop.example mail.shop.example deep.er.shop.example
		er.shop.example x.er.shop.example nope.cdn.test a.nope.cdn.test w.cdn.test q.w.cdn.test p.q.w.cdn.test y.w.cdn.test z.y.w.cdn.test x.y.w.cdn.test v.x.y.w.cdn.test u.v.x.y.w.cdn.test *.w.cdn.test
		a.*.w.cdn.test mail.cdn.test x.mail.cdn.test c1.cdn.test c2.cdn.test x.c1.cdn.test gone.cdn.test out.cdn.test into.cdn.test towild.cdn.test sub.cdn.test a.sub.cdn.test ns.sub.cdn.test b.a.sub.cdn.test
		safe.cdn.test b.safe.cdn.test a.b.safe.cdn.test x.a.b.safe.cdn.test c.b.safe.cdn.test _acme-challenge.www.shop.example.cdn.test odd.cdn.test ns1.cdn.test x.ns1.cdn.test ns2.cdn.test
		q.test p.q.test e.test d.e.test c.d.e.test f.e.test to.test *.test xcdn.test MAIL.cdn.TEST d\.x.w.cdn.test d\.x.sub.cdn.test x.d\.e.test \000.w.cdn.test elsewhere.example other .`)
	for name := range names {
		for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeNS, dns.TypeSOA, dns.TypeTXT, dns.TypeMX, dns.TypeCNAME, dns.TypeDS, dns.TypeSRV, 65400, 65535} {
			if diff := cmp.Diff(said(t, knot, name, typ), said(t, s.DNSAddr().String(), name, typ)); diff != "" {
				t.Errorf("%s %s (-knot +ours):\n%s", name, dns.Type(typ), diff)
			}
		}
	}
}

// await waits until a server has a zone.
func await(t *testing.T, at, name string) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for {
		q := new(dns.Msg)
		q.SetQuestion(name, dns.TypeSOA)
		if r, err := dns.Exchange(q, at); err == nil && len(r.Answer) == 1 {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("the secondary does not get %s", name)
		}
	}
}

// said is what a server says of a name, over TCP. What is beside an answer is a courtesy; beside a referral it is glue.
func said(t *testing.T, at, name string, typ uint16) (lines []string) {
	t.Helper()
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), typ)
	q.RecursionDesired = false
	r, _, err := (&dns.Client{Net: "tcp"}).Exchange(q, at)
	if err != nil {
		t.Fatalf("%s %s: %v", name, dns.Type(typ), err)
	}
	lines = append(lines, fmt.Sprintf("%s aa=%t", dns.RcodeToString[r.Rcode], r.Authoritative))
	if len(r.Answer) > 0 {
		r.Extra = nil
	}
	for i, section := range [][]dns.RR{r.Answer, r.Ns, r.Extra} {
		from := len(lines)
		for _, rr := range section {
			lines = append(lines, fmt.Sprint(i, " ", strings.ToLower(rr.String())))
		}
		slices.Sort(lines[from:])
	}
	return lines
}
