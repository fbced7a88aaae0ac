package respond_test

import (
	"bytes"
	"flag"
	"math/rand/v2"
	"testing"

	"github.com/miekg/dns"

	"nearcast/cdn"
	"nearcast/scheduler/dnswire/dnsmutate"
	"nearcast/scheduler/respond"
	"nearcast/scheduler/rrl"
)

var (
	runs = flag.Int("runs", 10_000, "how many mutants of queries are answered")
	seed = flag.Uint64("seed", 1, "of the chance that makes the mutants")
)

// TestMutants answers mutants of real queries: each with a message that the oracle can read and that belongs to it, over every transport, signed or
// not; and over UDP within what may be sent to who may not have asked.
func TestMutants(t *testing.T) {
	s := zones()
	s.Fleet.Zones[1].Records = append(s.Fleet.Zones[1].Records, cdn.Record{Name: "@", Type: "TXT", Data: `"v=spf1 -all"`})
	f := start(t, s)
	f.state.Signer = signer(t)
	f.cfg.Signatures = 1 << 30 // the clock stands still: there would be no more of them soon
	f.Responder = respond.New(f.cfg)
	f.state.Limiter = rrl.New(cdn.RateLimit{}, [16]byte{}) // none: each is to be answered
	queries := dnsmutate.Queries("cdn.test.", "www.shop.example.cdn.test.", "b1.www.shop.example.cdn.test.", "shop.example.cdn.test.")
	queries = append(queries, dnsmutate.Queries("shop.example.", "alias.shop.example.", "x.wild.shop.example.", "x.safe.shop.example.", "to.shop.example.", "one.shop.example.")...)
	rng := rand.New(rand.NewPCG(*seed, 3))
	transports := [...]respond.Transport{respond.UDP, respond.TCP, respond.UDP, respond.TLS, respond.UDP, respond.HTTPS}
	rcodes := make(map[int]int)
	silent := 0
	var packet []byte
	for i := range *runs {
		packet = dnsmutate.Mutate(rng, packet[:0], queries[i%len(queries)])
		transport := transports[rng.IntN(len(transports))]
		checkReply(t, f, packet, transport)
		reply := f.octets(packet, "10.0.0.1", transport)
		if again := f.octets(packet, "10.0.0.1", transport); !bytes.Equal(again, reply) { // be it remembered or not
			t.Errorf("%x is answered with %x, and then with %x", packet, reply, again)
		}
		if reply == nil {
			silent++
		} else {
			rcodes[int(reply[3]&15)]++
		}
		if transport == respond.UDP && len(reply) > 4*len(packet) {
			t.Errorf("%x, of %d octets, is answered with %d", packet, len(packet), len(reply))
		}
		if t.Failed() {
			t.Fatalf("mutant %d of seed %d", i, *seed)
		}
	}
	t.Logf("%d mutants: %d not answered; by code %v", *runs, silent, rcodes)
	for _, code := range []int{dns.RcodeSuccess, dns.RcodeFormatError, dns.RcodeNameError, dns.RcodeNotImplemented, dns.RcodeRefused} {
		if rcodes[code] == 0 {
			t.Errorf("no mutant was answered with %s", dns.RcodeToString[code])
		}
	}
	if silent == 0 {
		t.Error("each was answered: those that are answers themselves must not be")
	}
}
