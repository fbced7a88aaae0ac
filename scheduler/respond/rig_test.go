package respond_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/scheduler/cookie"
	"nearcast/scheduler/respond"
	"nearcast/scheduler/view"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func viewOf(t testing.TB, s *cdn.Snapshot) *view.View {
	t.Helper()
	p, err := view.Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	return view.New(p, view.News{Active: p.Policies.At(noon, nil), Loads: true, States: true})
}

// front is a responder with its state.
type front struct {
	*respond.Responder

	cfg     respond.Config
	state   *respond.State
	reg     *prometheus.Registry
	scratch respond.Scratch
	now     time.Time
}

// start makes a responder for a configuration; nil is none.
func start(t testing.TB, s *cdn.Snapshot) *front {
	t.Helper()
	f := &front{reg: prometheus.NewRegistry(), now: noon}
	if s != nil {
		f.state = &respond.State{View: viewOf(t, s), Settings: respond.SettingsOf(&s.Fleet.DNS)}
	}
	f.cfg = respond.Config{
		State: func() *respond.State { return f.state }, Node: "s1", Cookies: cookie.New([]byte("a secret of sufficient length")),
		Now: func() time.Time { return f.now }, Metrics: respond.NewMetrics(f.reg),
	}
	f.Responder = respond.New(f.cfg)
	return f
}

// octets is the answer to a packet.
func (f *front) octets(packet []byte, from string, transport respond.Transport) []byte {
	return f.Respond(nil, packet, respond.Peer{Addr: netip.MustParseAddr(from), Transport: transport}, &f.scratch)
}

// ask is the answer to a message over a transport; it must be one.
func (f *front) ask(t testing.TB, q *dns.Msg, from string, transport respond.Transport) *dns.Msg {
	t.Helper()
	packet, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return f.exchange(t, packet, from, transport)
}

func (f *front) exchange(t testing.TB, packet []byte, from string, transport respond.Transport) *dns.Msg {
	t.Helper()
	reply := f.octets(packet, from, transport)
	r := new(dns.Msg)
	if err := r.Unpack(reply); err != nil {
		t.Fatalf("%x: %v", reply, err)
	}
	return r
}

// count is a counter of the responder by its name; there must be one.
func (f *front) count(t testing.TB, name string) prometheus.Collector {
	t.Helper()
	families, err := f.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name && len(family.GetMetric()) == 1 {
			c := prometheus.NewCounter(prometheus.CounterOpts{Name: name})
			c.Add(family.GetMetric()[0].GetCounter().GetValue())
			return c
		}
	}
	t.Fatalf("there is not one %s", name)
	return nil
}

// noonPeer is some resolver.
var noonPeer = netip.MustParseAddr("192.0.2.1")

// unsigned is how many answers were not given for want of a signature.
func (f *front) unsigned(t testing.TB) prometheus.Collector {
	t.Helper()
	families, err := f.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "n"})
	for _, family := range families {
		if family.GetName() == "nearcast_scheduler_dns_unsigned_total" {
			g.Set(family.GetMetric()[0].GetCounter().GetValue())
		}
	}
	return g
}
