package httpfront

import (
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/internal/racing"
	"nearcast/internal/web/lane"
	"nearcast/scheduler/redirect"
	"nearcast/scheduler/respond"
	"nearcast/scheduler/view"
)

// still is a front whose answers are always the same and cost nothing, so that what is measured is the front's.
func still(tb testing.TB) *Server {
	tb.Helper()
	v := serving(tb, "www.shop.example")
	s, err := New(Config{
		Addr: "127.0.0.1:0", View: func() *view.View { return v }, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
		Redirect: func(*view.View, *redirect.Request) redirect.Outcome {
			return redirect.Outcome{Status: http.StatusFound, Location: "https://n1.www.shop.example.cdn.test/a", MaxAge: 20}
		},
		NewResponder: func() func(dst, query []byte, from respond.Peer) []byte {
			return func(dst, query []byte, _ respond.Peer) []byte { return append(dst, query...) }
		},
		Proxies: func(*view.View) []netip.Prefix { return nil },
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	return s
}

// serving is a view of a site with a domain.
func serving(tb testing.TB, domain cdn.Domain) *view.View {
	tb.Helper()
	p, err := view.Compile(&cdn.Snapshot{Fleet: cdn.Fleet{Zone: "cdn.test"}, Sites: []cdn.Site{{Name: "site", Domains: []cdn.Domain{domain}}}})
	if err != nil {
		tb.Fatal(err)
	}
	return view.Join(p, nil)
}

// requests are those that are answered in the lane.
func requests() map[string]*lane.Request {
	q := append([]byte{0, 0, 0x81, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a'}, 0, 0, 1, 0, 1)
	all := map[string]*lane.Request{
		"302":      {Method: http.MethodGet, Host: "www.shop.example", Target: "/a?b"},
		"DoH GET":  {Method: http.MethodGet, Host: "dns.example", Target: "/dns-query?dns=" + base64.RawURLEncoding.EncodeToString(q)},
		"DoH POST": {Method: http.MethodPost, Host: "dns.example", Target: "/dns-query", Content: q},
	}
	for _, r := range all {
		r.Major, r.At = 2, time.Now()
		r.Add("user-agent", "x")
		r.Add("content-type", mediaDNS)
	}
	return all
}

// TestLaneAllocatesNothing pins that the front makes no garbage for a request, be there a query log in which it is not.
func TestLaneAllocatesNothing(t *testing.T) {
	s := still(t)
	allocatesNothing(t, s)
	entries := logging(t, s, 1<<20)
	allocatesNothing(t, s)
	if got := entries(); len(got) != 0 {
		t.Errorf("%+v is logged before its turn", got)
	}
}

func allocatesNothing(t *testing.T, s *Server) {
	t.Helper()
	l, p, a := visitors{s}, lane.Peer{Client: "192.0.2.1"}, lane.Answer{}
	for name, r := range requests() {
		n := testing.AllocsPerRun(1000, func() {
			a.Reset()
			if !l.Take(&p, r, &a) {
				t.Fatal(name, " is not for the lane")
			}
			l.Sent(&p, r, &a, lane.End{})
		})
		if n >= 1 && !racing.Enabled {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkLane(b *testing.B) {
	s := still(b)
	for name, r := range requests() {
		b.Run(name, func(b *testing.B) {
			l, p, a, out := visitors{s}, lane.Peer{Client: "192.0.2.1"}, lane.Answer{}, []byte(nil)
			b.ReportAllocs()
			for b.Loop() {
				a.Reset()
				if !l.Take(&p, r, &a) {
					b.Fatal("not in the lane")
				}
				out = a.AppendHPACK(out[:0])
				l.Sent(&p, r, &a, lane.End{})
			}
		})
	}
}

// TestMemo: what a connection remembers of a host does not outlive the configuration, nor is it another host's.
func TestMemo(t *testing.T) {
	c, before, after := new(visitor), serving(t, "a.example"), serving(t, "b.example")
	for _, step := range []struct {
		view   *view.View
		host   string
		served bool
	}{
		{nil, "a.example", false},
		{before, "a.example", true},
		{before, "b.example", false},
		{before, "A.example:80", true},
		{before, "a..b", false},
		{before, "a.example", true},
		{after, "a.example", false},
		{after, "b.example", true},
	} {
		if c.at(step.view, step.host); c.served != step.served {
			t.Errorf("%+v: %v", step, c.served)
		}
	}
}

// TestJobsAreBounded: a large query leaves nothing large behind.
func TestJobsAreBounded(t *testing.T) {
	s := still(t)
	j := s.newJob()
	j.query, j.answer = make([]byte, 0, maxQuery), make([]byte, 0, maxKept+1)
	s.giveJob(j)
	if j.query != nil || j.answer != nil {
		t.Error("kept")
	}
}
