package dnsfront_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"nearcast/scheduler/dnsfront"
	"nearcast/scheduler/respond"
)

// fragile answers, but for "panic.", and must not be used again after that.
func fragile() dnsfront.Responder {
	answer, broken := newResponder(), false
	return func(dst, query []byte, from respond.Peer) []byte {
		q := new(dns.Msg)
		if broken || q.Unpack(query) == nil && len(q.Question) == 1 && q.Question[0].Name == "panic." {
			broken = true
			panic("a defect")
		}
		return answer(dst, query, from)
	}
}

// No query ends the process: one that an answer cannot be made to gets SERVFAIL, whatever it came over, and the next one gets its answer.
func TestPanic(t *testing.T) {
	f := &front{reg: prometheus.NewRegistry()}
	transfer := func(context.Context, []byte, respond.Peer, func([]byte) error) { panic("a defect of transfers") }
	s, err := dnsfront.New(dnsfront.Config{Addr: "127.0.0.1:0", NewResponder: fragile, Transfer: transfer, Log: slog.New(slog.DiscardHandler), Registry: f.reg})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	addr := s.Addr().String()
	for _, network := range []string{"udp", "tcp"} {
		c := &dns.Client{Net: network, Timeout: 5 * time.Second}
		for range 3 {
			q := query("panic.", dns.TypeTXT)
			if r, _, err := c.Exchange(q, addr); err != nil || r.Rcode != dns.RcodeServerFailure || r.Id != q.Id {
				t.Errorf("over %s: %v, %v; want SERVFAIL", network, r, err)
			}
			ask(t, network, addr)
		}
	}
	conn := dial(t, addr)
	if err := conn.WriteMsg(new(dns.Msg).SetAxfr("z.")); err != nil {
		t.Fatal(err)
	}
	if r, err := conn.ReadMsg(); err == nil {
		t.Errorf("a transfer that cannot be made: %v", r)
	}
	ask(t, "tcp", addr)
	if n := testutil.ToFloat64(f.counter(t, "nearcast_scheduler_dns_panics_total")); n != 7 {
		t.Errorf("%v panics were counted, want 7", n)
	}
}

// counter is a counter without labels.
func (f *front) counter(t *testing.T, name string) prometheus.Collector {
	t.Helper()
	families, err := f.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name})
	for _, family := range families {
		if family.GetName() == name {
			c.Add(family.GetMetric()[0].GetCounter().GetValue())
		}
	}
	return c
}
