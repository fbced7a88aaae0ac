package respond_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"nearcast/cdn"
	"nearcast/scheduler/respond"
	"nearcast/scheduler/rrl"
)

// What is remembered is what would be answered: two responders, of which one has no chance to remember, say the same of whatever is asked by whomever.
func TestRecall(t *testing.T) {
	s := zones()
	remembers, fresh := start(t, s), start(t, s)
	signed := signer(t)
	remembers.state.Signer, fresh.state.Signer = signed, signed
	random := rand.New(rand.NewPCG(1, 2))
	names := []string{"www.shop.example.cdn.test.", "WWW.shop.example.cdn.test.", "shop.example.", "nope.cdn.test.", "t1.www.shop.example.cdn.test.", "alias.shop.example."}
	for i := range 20_000 {
		q := query(names[random.IntN(len(names))], []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeHTTPS, dns.TypeTXT}[random.IntN(4)])
		if random.IntN(3) > 0 {
			q.SetEdns0(uint16(512+random.IntN(2)*700), random.IntN(2) == 0)
			switch random.IntN(4) {
			case 0:
				q.IsEdns0().Option = []dns.EDNS0{subnet(1, fmt.Sprintf("10.%d.1.0", 8+random.IntN(2)), 24, 0)}
			case 1:
				q.IsEdns0().Option = []dns.EDNS0{subnet(1, "0.0.0.0", 0, 0)}
			case 2:
				q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0011223344556677"}}
			}
		}
		packet, err := q.Pack()
		if err != nil {
			t.Fatal(err)
		}
		from := []string{"10.0.0.1", "10.9.0.1", "127.0.0.1"}[random.IntN(3)]
		if i%1000 == 999 { // another second
			remembers.now, fresh.now = remembers.now.Add(time.Second), fresh.now.Add(time.Second)
		}
		state := *fresh.state // another one each time
		fresh.state = &state
		got, want := remembers.octets(packet, from, respond.UDP), fresh.octets(packet, from, respond.UDP)
		if !bytes.Equal(got, want) {
			t.Fatalf("%v from %s:\n%x, want\n%x", q, from, got, want)
		}
	}
}

// A new configuration, another second and the limit count at once, and what is remembered is counted.
func TestRecallEnds(t *testing.T) {
	f := start(t, snapshot())
	q := query("www.shop.example.cdn.test.", dns.TypeA)
	ask := func() *dns.Msg { return f.ask(t, q, "10.9.0.1", respond.UDP) }
	for range 10 {
		if r := ask(); len(r.Answer) != 1 || address(r.Answer[0]).String() != "198.51.100.1" {
			t.Fatal(r)
		}
	}
	if n := testutil.ToFloat64(f.count(t, "nearcast_scheduler_answers_total")); n != 10 {
		t.Errorf("%v answers are counted, want 10", n)
	}
	s := snapshot()
	s.Fleet.Nodes[3].Addresses = s.Fleet.Nodes[3].Addresses[1:]
	f.state = &respond.State{View: viewOf(t, s), Settings: f.state.Settings}
	if r := ask(); address(r.Answer[0]).String() != "198.51.100.9" {
		t.Errorf("after a change: %v", r)
	}
	f.state = &respond.State{View: f.state.View, Settings: f.state.Settings, Limiter: rrl.New(cdn.RateLimit{PerSecond: 5, Burst: 5}, [16]byte{})}
	truncated := 0
	for range 20 {
		if ask().Truncated {
			truncated++
		}
	}
	if truncated != 15 {
		t.Errorf("%d of 20 are limited, want 15", truncated)
	}
	f.state = nil
	if r := ask(); r.Rcode != dns.RcodeServerFailure {
		t.Errorf("without a configuration: %v", r)
	}
}
