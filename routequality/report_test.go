package routequality_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/routequality"
	"nearcast/routequality/probe/probetest"
	"nearcast/routequality/report"
)

// edges is a fleet of so many POPs p0, p1... with two nodes each: p0-1, p0-2...
func edges(pops int) *cdn.Snapshot {
	s := &cdn.Snapshot{Sites: []cdn.Site{{Name: "shop"}}}
	for p := range pops {
		name := cdn.POPName(fmt.Sprintf("p%d", p))
		s.Fleet.POPs = append(s.Fleet.POPs, cdn.POP{Name: name, Tier: cdn.TierEdge, Location: cdn.Location{Longitude: float64(10 * p)}})
		for n := range 2 {
			s.Fleet.Nodes = append(s.Fleet.Nodes, cdn.Node{
				Name: cdn.NodeName(fmt.Sprintf("%s-%d", name, n+1)), POP: name, Roles: []cdn.Role{cdn.RoleEdge},
				Addresses: []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(10*p + n)})}, Capacity: cdn.Capacity{EgressMbps: 80},
			})
		}
	}
	return s
}

// dialer answers for the POPs that are not dead.
type dialer struct{ dead atomic.Pointer[string] }

func (d *dialer) dial(_ context.Context, _, address string) (net.Conn, error) {
	if dead := d.dead.Load(); dead != nil && strings.HasPrefix(address, *dead) {
		return nil, errors.New("connection refused")
	}
	return probetest.Conn(), nil
}

func reachable(cfg *routequality.Config) { cfg.Dial = new(dialer).dial }

// reporter reports of the POP of a number, as its first node.
type reporter struct {
	t   testing.TB
	url string
	seq uint64
}

func (r *reporter) report(pop int, change func(*report.POP)) int {
	r.t.Helper()
	r.seq++
	name := fmt.Sprintf("p%d", pop)
	said := &report.POP{
		POP: cdn.POPName(name), From: cdn.NodeName(name + "-1"), Incarnation: 2, Seq: r.seq, At: time.Now(),
		Members: []report.Member{{Node: cdn.NodeName(name + "-1"), State: cdn.StateReady}, {Node: cdn.NodeName(name + "-2"), State: cdn.StateReady}},
	}
	if change != nil {
		change(said)
	}
	body, err := said.Encode()
	if err != nil {
		r.t.Fatal(err)
	}
	return r.post(body, "tok")
}

func (r *reporter) post(body []byte, token string) int {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.url+"/v1/report", bytes.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Close = true
	resp, err := new(http.Transport).RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// until reads tables until one fulfils a condition, while a function is called each 200 ms.
func until(t testing.TB, tables <-chan *cdn.RouteTable, meanwhile func(), ok func(*cdn.RouteTable) bool) *cdn.RouteTable {
	t.Helper()
	timeout, tick := time.After(20*time.Second), time.NewTicker(200*time.Millisecond)
	defer tick.Stop()
	var last *cdn.RouteTable
	for {
		select {
		case last = <-tables:
			if ok(last) {
				return last
			}
		case <-tick.C:
			meanwhile()
		case <-timeout:
			t.Fatalf("waited 20 s in vain; the last table is %+v", last)
		}
	}
}

// TestReports: what POPs report is in the table.
func TestReports(t *testing.T) {
	s, url, _ := server(t, pool(), reachable)
	r := &reporter{t: t, url: url}
	if status := r.report(0, nil); status != http.StatusServiceUnavailable {
		t.Errorf("without a configuration: %d, want 503", status)
	}
	if err := s.Apply(edges(2)); err != nil {
		t.Fatal(err)
	}
	if s.Ready() == nil {
		t.Error("ready before anybody has reported: the table would say that nothing is known")
	}
	busy := func() {
		for pop := range 2 {
			if status := r.report(pop, func(p *report.POP) {
				p.Nodes = []report.Node{
					{Node: p.From, Incarnation: 1, Seq: 2 * r.seq, At: p.At, Load: &cdn.NodeLoad{CPU: 0.5, Octets: 1000, Requests: 10}},
					{Node: p.From, Incarnation: 1, Seq: 2*r.seq + 1, At: p.At, Visitors: &cdn.VisitorBatch{At: p.At, Interval: time.Second, Samples: []cdn.VisitorSample{
						{Network: netip.MustParsePrefix("198.51.100.0/24"), RTTs: []float32{float32(20 + 10*pop)}, Packets: 100, Requests: 10, Octets: 1000},
					}, Sites: []cdn.SiteRate{{Site: "shop", Octets: 1000, Requests: 10}}}},
				}
				p.Probes = []report.Probe{{To: fmt.Sprintf("p%d", 1-pop), RTT: 15, At: p.At}}
			}); status != http.StatusOK {
				t.Errorf("a report is answered %d, want 200", status)
			}
		}
	}
	busy()
	got := until(t, follow(t, url), busy, func(t *cdn.RouteTable) bool { return len(t.Groups) > 0 && len(t.Links) == 2 })
	if g := got.Groups[0]; g.Name != "net 198.51.100.0/24" || len(g.Paths) != 2 || g.Octets == 0 {
		t.Errorf("group %+v", g)
	}
	if n := got.Nodes[0]; n.Node != "p0-1" || n.State != cdn.StateReady || n.Load == nil || n.Load.CPU != 0.5 {
		t.Errorf("node %+v", n)
	}
	if p := got.POPs[0]; p.POP != "p0" || p.State != cdn.POPUp || p.Share != 1 || p.Capacity != 2e7 || p.Load != 0.5 || p.Octets != 1000 {
		t.Errorf("POP %+v", p)
	}
	if len(got.Sites) != 1 || got.Sites[0].Share != 1 {
		t.Errorf("sites %+v", got.Sites)
	}
}

// TestRefusals: what is not to be believed is answered as such, and counted.
func TestRefusals(t *testing.T) {
	registry := prometheus.NewRegistry()
	s, url, _ := server(t, pool(), reachable, func(c *routequality.Config) { c.Registry = registry })
	r := &reporter{t: t, url: url}
	if err := s.Apply(edges(1)); err != nil {
		t.Fatal(err)
	}
	if status := r.report(0, nil); status != http.StatusOK {
		t.Fatalf("a report is answered %d, want 200", status)
	}
	for _, test := range []struct {
		name string
		post func() int
		want int
	}{
		{"replayed", func() int { r.seq--; return r.report(0, nil) }, http.StatusConflict},
		{"of an older process", func() int { return r.report(0, func(p *report.POP) { p.Incarnation = 1; p.Seq = 1000 }) }, http.StatusConflict},
		{"of a stranger", func() int { return r.report(7, nil) }, http.StatusNotFound},
		{"for another POP", func() int { return r.report(0, func(p *report.POP) { p.POP = "p1" }) }, http.StatusNotFound},
		{"garbage", func() int { return r.post([]byte("garbage"), "tok") }, http.StatusUnprocessableEntity},
		{"too long", func() int { return r.post(bytes.Repeat([]byte(" "), report.MaxBody+10), "tok") }, http.StatusUnprocessableEntity},
		{"from the future", func() int { return r.report(0, func(p *report.POP) { p.At = p.At.Add(time.Hour) }) }, http.StatusUnprocessableEntity},
		{"without the token", func() int { return r.post(nil, "guess") }, http.StatusUnauthorized},
	} {
		if got := test.post(); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	reasons := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "nearcast_routequality_reports_refused_total" {
				reasons[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	if reasons["replayed"] < 1 || reasons["stranger"] != 2 || reasons["malformed"] < 3 {
		t.Errorf("refusals are counted as %v", reasons)
	}
}

// TestNodeDies: the table says so at once, not at the next slot.
func TestNodeDies(t *testing.T) {
	s, url, _ := server(t, pool(), reachable)
	r := &reporter{t: t, url: url}
	if err := s.Apply(edges(1)); err != nil {
		t.Fatal(err)
	}
	r.report(0, nil)
	tables := follow(t, url)
	until(t, tables, func() { r.report(0, nil) }, func(t *cdn.RouteTable) bool { return t.State("p0-2") == cdn.StateReady })
	dead := func() { r.report(0, func(p *report.POP) { p.Members[1].State = cdn.StateDown }) }
	began := time.Now()
	dead()
	got := until(t, tables, dead, func(t *cdn.RouteTable) bool { return t.State("p0-2") == cdn.StateDown })
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %v, want some ms", took)
	}
	if got.State("p0-1") != cdn.StateReady {
		t.Errorf("the other one is %q", got.State("p0-1"))
	}
}

// TestPOPDies: our own probes find it, and it is news.
func TestPOPDies(t *testing.T) {
	var d dialer
	s, url, _ := server(t, pool(), func(c *routequality.Config) { c.Dial = d.dial })
	r := &reporter{t: t, url: url}
	if err := s.Apply(edges(4)); err != nil {
		t.Fatal(err)
	}
	alive := func() {
		for pop := range 3 { // the fourth is silent
			r.report(pop, nil)
		}
	}
	alive()
	tables := follow(t, url)
	state := func(t *cdn.RouteTable, pop int) cdn.POPState { return t.POPs[pop].State }
	until(t, tables, alive, func(t *cdn.RouteTable) bool { return state(t, 3) == cdn.POPUp && state(t, 0) == cdn.POPUp })
	dead := "192.0.2.3" // of p3
	d.dead.Store(&dead)
	began := time.Now()
	got := until(t, tables, alive, func(t *cdn.RouteTable) bool { return state(t, 3) == cdn.POPDown })
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("it took %v, want three probes", took)
	}
	if state(got, 0) != cdn.POPUp || len(got.POPs[3].Votes) != 1 || got.POPs[3].Votes[0] != (cdn.Vote{By: "rq"}) {
		t.Errorf("POPs %+v", got.POPs)
	}
}

// TestPatience: the first table waits for reports, but not for ever.
func TestPatience(t *testing.T) {
	s, url, _ := server(t, pool(), reachable)
	if err := s.Apply(edges(2)); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	tables := follow(t, url)
	got := until(t, tables, func() {}, func(*cdn.RouteTable) bool { return true })
	if took := time.Since(began); took < 2500*time.Millisecond || got.State("p0-1") != cdn.StateUnknown || len(got.Nodes) != 4 {
		t.Errorf("after %v: %+v", took, got.Nodes)
	}
}

// FuzzReport: no report makes the server fail.
func FuzzReport(f *testing.F) {
	s, url, _ := server(f, pool(), reachable)
	if err := s.Apply(edges(2)); err != nil {
		f.Fatal(err)
	}
	r := &reporter{t: f, url: url}
	r.report(0, nil)
	said := &report.POP{POP: "p1", From: "p1-1", Incarnation: 1, Seq: 1, At: time.Now(), Members: []report.Member{{Node: "p1-1"}}, Votes: []report.Vote{{POP: "p0"}}}
	body, err := said.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Add([]byte(`{"pop":"p1","from":"p1-1","incarnation":9,"seq":9,"at":"2026-01-01T00:00:00Z","members":[],"probes":[{"to":"p0","rtt":1e99}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		req := httptest.NewRequest(http.MethodPost, "/v1/report", bytes.NewReader(body))
		req.Header.Set("Authorization", "Bearer tok")
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, req)
		if w.Code >= 500 {
			t.Errorf("%q is answered %d", body, w.Code)
		}
	})
}

// TestTooMuch: a node that says it sends many times what it can is not believed: neither its load nor what its visitors ask for.
func TestTooMuch(t *testing.T) {
	s, url, _ := server(t, pool(), reachable)
	r := &reporter{t: t, url: url}
	if err := s.Apply(edges(1)); err != nil {
		t.Fatal(err)
	}
	sample := func(network string, octets uint64) *cdn.VisitorBatch {
		return &cdn.VisitorBatch{At: time.Now(), Interval: time.Second, Samples: []cdn.VisitorSample{
			{Network: netip.MustParsePrefix(network), RTTs: []float32{20}, Packets: 100, Requests: 10, Octets: octets},
		}}
	}
	say := func() {
		if status := r.report(0, func(p *report.POP) {
			p.Nodes = []report.Node{ // each can send 10 MB/s
				{Node: "p0-1", Incarnation: 1, Seq: 3 * r.seq, At: p.At, Load: &cdn.NodeLoad{CPU: 0.5, Octets: 1e6, Requests: 10}},
				{Node: "p0-1", Incarnation: 1, Seq: 3*r.seq + 1, At: p.At, Visitors: sample("198.51.100.0/24", 1e6)},
				{Node: "p0-2", Incarnation: 1, Seq: 3 * r.seq, At: p.At, Load: &cdn.NodeLoad{CPU: 0.5, Octets: 1e12, Requests: 10}},
				{Node: "p0-2", Incarnation: 1, Seq: 3*r.seq + 1, At: p.At, Visitors: sample("203.0.113.0/24", 1e12)},
			}
		}); status != http.StatusOK {
			t.Errorf("a report is answered %d, want 200", status)
		}
	}
	say()
	got := until(t, follow(t, url), say, func(t *cdn.RouteTable) bool { return len(t.Groups) > 0 })
	if len(got.Groups) != 1 || got.Groups[0].Name != "net 198.51.100.0/24" {
		t.Errorf("groups %+v, want only that of which sane things are told", got.Groups)
	}
	if got.POPs[0].Octets != 1e6 {
		t.Errorf("the POP sends %v octets a second, want 1e6", got.POPs[0].Octets)
	}
}
