package dnsfront_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"nearcast/cdn"
	"nearcast/scheduler/dnsfront"
	"nearcast/scheduler/view"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// snapshot is a zone with two sites, two edge POPs and a scheduler in each. Only
// berlin speaks IPv6.
func snapshot() *cdn.Snapshot {
	addrs := func(list ...string) (out []netip.Addr) {
		for _, a := range list {
			out = append(out, netip.MustParseAddr(a))
		}
		return out
	}
	edge := []cdn.Role{cdn.RoleEdge}
	return &cdn.Snapshot{
		Generation: 42,
		Fleet: cdn.Fleet{
			Zone: "cdn.test",
			POPs: []cdn.POP{
				{Name: "berlin", Tier: cdn.TierEdge, Location: cdn.Location{Latitude: 52.5, Longitude: 13.4}},
				{Name: "tokyo", Tier: cdn.TierEdge, Location: cdn.Location{Latitude: 35.7, Longitude: 139.7}},
				{Name: "hub", Tier: cdn.TierRegional},
			},
			Nodes: []cdn.Node{
				{Name: "b1", POP: "berlin", Roles: edge, Addresses: addrs("192.0.2.1", "2001:db8::1")},
				{Name: "b2", POP: "berlin", Roles: edge, Addresses: addrs("192.0.2.2", "2001:db8::2")},
				{Name: "b3", POP: "berlin", Roles: edge, Addresses: addrs("192.0.2.3", "2001:db8::3")},
				{Name: "t1", POP: "tokyo", Roles: edge, Addresses: addrs("198.51.100.1", "198.51.100.9")},
				{Name: "h1", POP: "hub", Roles: edge, Addresses: addrs("203.0.113.1")},
				{Name: "s1", Roles: []cdn.Role{cdn.RoleScheduler}, Addresses: addrs("192.0.2.53", "2001:db8::53")},
				{Name: "s2", Roles: []cdn.Role{cdn.RoleScheduler}, Addresses: addrs("198.51.100.53")},
			},
			Clients: []cdn.ClientPrefix{
				{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Location: cdn.Location{Latitude: 52, Longitude: 13}},
				{Prefix: netip.MustParsePrefix("10.9.0.0/16"), Location: cdn.Location{Latitude: 35, Longitude: 139}},
				{Prefix: netip.MustParsePrefix("10.8.7.192/26"), Location: cdn.Location{Latitude: 35, Longitude: 139}},
				{Prefix: netip.MustParsePrefix("127.0.0.0/8"), Location: cdn.Location{Latitude: 52, Longitude: 13}},
				{Prefix: netip.MustParsePrefix("2001:db8:9::/48"), Location: cdn.Location{Latitude: 35, Longitude: 139}},
				{Prefix: netip.MustParsePrefix("2001:db8:8::/48"), Location: cdn.Location{Latitude: 52, Longitude: 13}},
			},
		},
		Sites: []cdn.Site{
			{Name: "shop", Domains: []cdn.Domain{"www.shop.example", "api.www.shop.example"}},
			{Name: "flat", Domains: []cdn.Domain{"localhost"}},
		},
	}
}

func viewOf(t testing.TB, s *cdn.Snapshot) *view.View {
	t.Helper()
	p, err := view.Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	return view.Join(p, nil)
}

// front is a running server.
type front struct {
	*dnsfront.Server

	reg  *prometheus.Registry
	addr string
	view atomic.Pointer[view.View]
	end  func()
}

func start(t testing.TB, v *view.View) *front {
	t.Helper()
	f := &front{reg: prometheus.NewRegistry()}
	f.view.Store(v)
	s, err := dnsfront.New(dnsfront.Config{Addr: "127.0.0.1:0", View: f.view.Load, Log: slog.New(slog.DiscardHandler), Registry: f.reg})
	if err != nil {
		t.Fatal(err)
	}
	f.Server, f.addr = s, s.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	ended := false
	f.end = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(5 * time.Second):
			t.Error("Run did not return within 5 s")
		}
	}
	t.Cleanup(f.end)
	return f
}

func ask(t testing.TB, network, addr string, q *dns.Msg) *dns.Msg {
	t.Helper()
	c := &dns.Client{Net: network, Timeout: 5 * time.Second, UDPSize: 4096}
	r, _, err := c.Exchange(q, addr)
	if err != nil {
		t.Fatalf("asking over %s: %v", network, err)
	}
	return r
}

func query(name string, qtype uint16) *dns.Msg {
	m := new(dns.Msg)
	m.SetQuestion(name, qtype)
	return m
}

// lines are records as text, sorted, and without tabs.
func lines(rrs []dns.RR) []string {
	var out []string
	for _, rr := range rrs {
		if rr.Header().Rrtype != dns.TypeOPT {
			out = append(out, strings.Join(strings.Fields(rr.String()), " "))
		}
	}
	slices.Sort(out)
	return out
}

const (
	soaData  = "IN SOA ns1.cdn.test. hostmaster.cdn.test. 42 3600 600 604800 60"
	negative = "cdn.test. 60 " + soaData
)

// What the zone says, over UDP and over TCP. The client, 127.0.0.1, is near berlin.
func TestZone(t *testing.T) {
	f := start(t, viewOf(t, snapshot()))
	for _, test := range []struct {
		name   string
		qname  string
		qtype  uint16
		rcode  int
		answer []string // nil: none, and the negative SOA in the authority section
		extra  []string
	}{
		{"soa", "cdn.test.", dns.TypeSOA, 0, []string{"cdn.test. 3600 " + soaData}, nil},
		{
			"ns", "cdn.test.", dns.TypeNS, 0,
			[]string{"cdn.test. 3600 IN NS ns1.cdn.test.", "cdn.test. 3600 IN NS ns2.cdn.test."},
			[]string{"ns1.cdn.test. 3600 IN A 192.0.2.53", "ns1.cdn.test. 3600 IN AAAA 2001:db8::53", "ns2.cdn.test. 3600 IN A 198.51.100.53"},
		},
		{"apexa", "cdn.test.", dns.TypeA, 0, nil, nil},
		{"glue", "ns1.cdn.test.", dns.TypeA, 0, []string{"ns1.cdn.test. 3600 IN A 192.0.2.53"}, nil},
		{"glue6", "ns1.cdn.test.", dns.TypeAAAA, 0, []string{"ns1.cdn.test. 3600 IN AAAA 2001:db8::53"}, nil},
		{"noglue6", "ns2.cdn.test.", dns.TypeAAAA, 0, nil, nil},
		{"nons", "ns3.cdn.test.", dns.TypeA, dns.RcodeNameError, nil, nil},
		{"direct", "t1.www.shop.example.cdn.test.", dns.TypeA, 0, []string{"t1.www.shop.example.cdn.test. 20 IN A 198.51.100.1"}, nil},
		{"direct6", "b1.www.shop.example.cdn.test.", dns.TypeAAAA, 0, []string{"b1.www.shop.example.cdn.test. 20 IN AAAA 2001:db8::1"}, nil},
		{"nodirect6", "t1.www.shop.example.cdn.test.", dns.TypeAAAA, 0, nil, nil},
		{"regional", "h1.www.shop.example.cdn.test.", dns.TypeA, dns.RcodeNameError, nil, nil},
		{"stranger", "x.www.shop.example.cdn.test.", dns.TypeA, dns.RcodeNameError, nil, nil},
		{"belownode", "x.b1.www.shop.example.cdn.test.", dns.TypeA, dns.RcodeNameError, nil, nil},
		{"belowempty", "b1.shop.example.cdn.test.", dns.TypeA, dns.RcodeNameError, nil, nil},
		{"empty", "shop.example.cdn.test.", dns.TypeA, 0, nil, nil},
		{"emptytop", "example.cdn.test.", dns.TypeANY, 0, nil, nil},
		{"unknown", "www.other.example.cdn.test.", dns.TypeA, dns.RcodeNameError, nil, nil},
		{"othertype", "www.shop.example.cdn.test.", dns.TypeTXT, 0, nil, nil},
		{"any", "www.shop.example.cdn.test.", dns.TypeANY, 0, []string{`www.shop.example.cdn.test. 3600 IN HINFO "RFC8482" ""`}, nil},
		{"anyapex", "cdn.test.", dns.TypeANY, 0, []string{`cdn.test. 3600 IN HINFO "RFC8482" ""`}, nil},
		{"anyunknown", "nope.cdn.test.", dns.TypeANY, dns.RcodeNameError, nil, nil},
		{"escapes", `a\.b\000c.cdn.test.`, dns.TypeA, dns.RcodeNameError, nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, network := range []string{"udp", "tcp"} {
				r := ask(t, network, f.addr, query(test.qname, test.qtype))
				want := &dns.Msg{MsgHdr: dns.MsgHdr{Id: r.Id, Response: true, Authoritative: true, RecursionDesired: true, Rcode: test.rcode}}
				if diff := cmp.Diff(want.MsgHdr, r.MsgHdr); diff != "" {
					t.Errorf("header over %s (-want +got):\n%s", network, diff)
				}
				var authority []string
				if test.answer == nil {
					authority = []string{negative}
				}
				got := [][]string{lines(r.Answer), lines(r.Ns), lines(r.Extra)}
				if diff := cmp.Diff([][]string{test.answer, authority, test.extra}, got); diff != "" {
					t.Errorf("sections over %s (-want +got):\n%s", network, diff)
				}
			}
		})
	}
}

// A steered name gets two addresses of the nearest POP, the same ones each time.
func TestSteer(t *testing.T) {
	f := start(t, viewOf(t, snapshot()))
	var before []string
	for range 3 {
		r := ask(t, "udp", f.addr, query("www.shop.example.cdn.test.", dns.TypeA))
		got := lines(r.Answer)
		if len(got) != 2 || got[0] == got[1] {
			t.Fatalf("answer %v, want two addresses", got)
		}
		for _, line := range got {
			if !strings.HasPrefix(line, "www.shop.example.cdn.test. 20 IN A 192.0.2.") {
				t.Errorf("answer %q, want an address in berlin with a TTL of 20", line)
			}
		}
		if before != nil && !slices.Equal(before, got) {
			t.Errorf("answer %v, before %v", got, before)
		}
		before = got
	}
	if n := testutil.CollectAndCount(f.reg, "nearcast_scheduler_answers_total"); n != 1 {
		t.Errorf("%d series of answers, want one for berlin", n)
	}
	if problems, err := testutil.GatherAndLint(f.reg); err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v, %v", problems, err)
	}
}

// What is not asked as it should be, or not of this zone.
func TestRefuse(t *testing.T) {
	f := start(t, viewOf(t, snapshot()))
	type edit = func(*dns.Msg)
	for _, test := range []struct {
		name  string
		edit  edit
		rcode int
	}{
		{"foreign", func(m *dns.Msg) { m.Question[0].Name = "www.example." }, dns.RcodeRefused},
		{"root", func(m *dns.Msg) { m.Question[0].Name = "." }, dns.RcodeRefused},
		{"parent", func(m *dns.Msg) { m.Question[0].Name = "test." }, dns.RcodeRefused},
		{"suffix", func(m *dns.Msg) { m.Question[0].Name = "xcdn.test." }, dns.RcodeRefused},
		{"dotted", func(m *dns.Msg) { m.Question[0].Name = `x\.cdn.test.` }, dns.RcodeRefused},
		{"chaos", func(m *dns.Msg) {
			m.Question[0] = dns.Question{Name: "version.bind.", Qtype: dns.TypeTXT, Qclass: dns.ClassCHAOS}
		}, dns.RcodeRefused},
		{"chaosin", func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }, dns.RcodeRefused},
		{"transfer", func(m *dns.Msg) {
			m.Question[0] = dns.Question{Name: "cdn.test.", Qtype: dns.TypeAXFR, Qclass: dns.ClassINET}
		}, dns.RcodeRefused},
		{"notify", func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }, dns.RcodeNotImplemented},
		{"update", func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }, dns.RcodeNotImplemented},
		{"opcode15", func(m *dns.Msg) { m.Opcode = 15 }, dns.RcodeNotImplemented},
		{"noquestion", func(m *dns.Msg) { m.Question = nil }, dns.RcodeFormatError},
		{"twoquestions", func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }, dns.RcodeFormatError},
		{"version", func(m *dns.Msg) { m.SetEdns0(1232, false); m.IsEdns0().SetVersion(1) }, dns.RcodeBadVers},
		{"twoopts", func(m *dns.Msg) { m.SetEdns0(1232, false); m.Extra = append(m.Extra, dns.Copy(m.Extra[0])) }, dns.RcodeFormatError},
	} {
		t.Run(test.name, func(t *testing.T) {
			q := query("www.shop.example.cdn.test.", dns.TypeA)
			test.edit(q)
			packet, err := q.Pack()
			if err != nil {
				t.Fatal(err)
			}
			r := new(dns.Msg)
			if err := r.Unpack(f.Respond(packet, netip.MustParseAddr("127.0.0.1"), true)); err != nil {
				t.Fatal(err)
			}
			want := dns.MsgHdr{Id: q.Id, Response: true, Opcode: q.Opcode, RecursionDesired: true, Rcode: test.rcode}
			if diff := cmp.Diff(want, r.MsgHdr); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
			if len(r.Answer)+len(r.Ns) > 0 {
				t.Errorf("it says something all the same: %v", r)
			}
		})
	}
}

// Without a configuration nothing is known, not even that a name does not exist.
func TestUnconfigured(t *testing.T) {
	f := start(t, nil)
	if r := ask(t, "udp", f.addr, query("www.shop.example.cdn.test.", dns.TypeA)); r.Rcode != dns.RcodeServerFailure || r.Authoritative {
		t.Errorf("answer without a configuration: %v", r)
	}
}

// Answers and scraps are not answered, lest two servers answer each other for ever.
func TestSilence(t *testing.T) {
	f := start(t, viewOf(t, snapshot()))
	reply := query("cdn.test.", dns.TypeSOA)
	reply.Response = true
	packet, err := reply.Pack()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range [][]byte{packet, packet[:11], nil} {
		if got := f.Respond(p, netip.MustParseAddr("127.0.0.1"), true); got != nil {
			t.Errorf("%x is answered with %x", p, got)
		}
	}
}

// A fleet without edge nodes is no reason to fail: the name is there, without addresses.
func TestNoNodes(t *testing.T) {
	s := snapshot()
	s.Fleet.Nodes = s.Fleet.Nodes[4:]
	f := start(t, viewOf(t, s))
	r := ask(t, "udp", f.addr, query("www.shop.example.cdn.test.", dns.TypeA))
	if r.Rcode != dns.RcodeSuccess || len(r.Answer) != 0 || !slices.Equal(lines(r.Ns), []string{negative}) {
		t.Errorf("answer %v, want no data", r)
	}
}

// The question comes back octet for octet, whatever its case (draft-vixie-dnsext-dns0x20).
func TestCase(t *testing.T) {
	f := start(t, viewOf(t, snapshot()))
	q := query("wWw.ShOp.eXample.CDN.tesT.", dns.TypeA)
	packet, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	got := f.Respond(packet, netip.MustParseAddr("10.1.1.1"), true)
	if question := packet[12:]; string(got[12:12+len(question)]) != string(question) {
		t.Errorf("question %q, want %q", got[12:12+len(question)], question)
	}
	r := new(dns.Msg)
	if err := r.Unpack(got); err != nil || len(r.Answer) != 2 || r.Answer[0].Header().Name != q.Question[0].Name {
		t.Errorf("answer %v (%v)", r, err)
	}
}

// Answers that are too long for the client: first without the additional section,
// then empty and truncated; whole over TCP.
func TestTruncate(t *testing.T) {
	s := snapshot()
	for i := range 60 {
		s.Fleet.Nodes = append(s.Fleet.Nodes, cdn.Node{
			Name: cdn.NodeName(fmt.Sprintf("more-%d", i)), Roles: []cdn.Role{cdn.RoleScheduler}, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.99")},
		})
	}
	f := start(t, viewOf(t, s))
	for _, test := range []struct {
		name          string
		network       string
		size          uint16 // zero: no EDNS
		truncated     bool
		answer, extra int
	}{
		{"plain", "udp", 0, true, 0, 0},
		{"edns", "udp", 1232, false, 62, 0},
		{"capped", "udp", 4096, false, 62, 0},
		{"tiny", "udp", 1, true, 0, 0},
		{"tcp", "tcp", 0, false, 62, 63},
	} {
		t.Run(test.name, func(t *testing.T) {
			q := query("cdn.test.", dns.TypeNS)
			if test.size > 0 {
				q.SetEdns0(test.size, true)
			}
			r := ask(t, test.network, f.addr, q)
			if r.Truncated != test.truncated || len(r.Answer) != test.answer || len(lines(r.Extra)) != test.extra {
				t.Errorf("TC %t, %d answers, %d additional; want %t, %d, %d", r.Truncated, len(r.Answer), len(lines(r.Extra)), test.truncated, test.answer, test.extra)
			}
			opt := r.IsEdns0()
			if (opt != nil) != (test.size > 0) {
				t.Fatalf("OPT in the answer: %v", opt)
			}
			if opt != nil && (opt.UDPSize() != 1232 || !opt.Do()) {
				t.Errorf("OPT %v, want a size of 1232 and DO echoed", opt)
			}
		})
	}
}

// One connection carries many queries, also when they are sent at once.
func TestPipeline(t *testing.T) {
	f := start(t, viewOf(t, snapshot()))
	conn, err := dns.Dial("tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for i := range 50 {
		q := query("www.shop.example.cdn.test.", dns.TypeA)
		q.Id = uint16(i)
		if err := conn.WriteMsg(q); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 50 {
		r, err := conn.ReadMsg()
		if err != nil {
			t.Fatal(err)
		}
		if r.Id != uint16(i) || len(r.Answer) != 2 {
			t.Fatalf("answer %d: %v", i, r)
		}
	}
}

// One client cannot take all connections, and an open one does not hold up the end.
func TestConnections(t *testing.T) {
	f := start(t, viewOf(t, snapshot()))
	var open []net.Conn
	for range dnsfront.MaxConnsPerSource {
		c, err := net.Dial("tcp", f.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		open = append(open, c)
	}
	last := &dns.Conn{Conn: open[len(open)-1]} // answered: all are accepted by now
	if err := last.WriteMsg(query("cdn.test.", dns.TypeSOA)); err != nil {
		t.Fatal(err)
	}
	if _, err := last.ReadMsg(); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.ReadAll(c); err != nil {
		t.Errorf("the connection too many: %v, want it closed", err)
	}
	want := `
# HELP nearcast_scheduler_dns_connections_refused_total DNS connections over TCP closed at once because there were too many.
# TYPE nearcast_scheduler_dns_connections_refused_total counter
nearcast_scheduler_dns_connections_refused_total 1
`
	if err := testutil.GatherAndCompare(f.reg, strings.NewReader(want), "nearcast_scheduler_dns_connections_refused_total"); err != nil {
		t.Error(err)
	}
	f.end()
}

// A port that is taken shows at once, for either protocol.
func TestTaken(t *testing.T) {
	f := start(t, viewOf(t, snapshot()))
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	for _, addr := range []string{f.addr, udp.LocalAddr().String(), "nonsense"} {
		if _, err := dnsfront.New(dnsfront.Config{Addr: addr, View: f.view.Load, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()}); err == nil {
			t.Errorf("listening on %s did not fail", addr)
		}
	}
}

// On a socket for all addresses the answer leaves from where the query went.
func TestWildcard(t *testing.T) {
	reg := prometheus.NewRegistry()
	v := viewOf(t, snapshot())
	s, err := dnsfront.New(dnsfront.Config{Addr: ":0", View: func() *view.View { return v }, Log: slog.New(slog.DiscardHandler), Registry: reg})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	defer func() { cancel(); <-done }()
	for _, host := range []string{"127.0.0.1", "127.0.0.77"} {
		ask(t, "udp", netip.AddrPortFrom(netip.MustParseAddr(host), s.Addr().Port()).String(), query("cdn.test.", dns.TypeSOA))
	}
}
