package dnswire_test

import (
	"bytes"
	"encoding/binary"
	"flag"
	"math/rand/v2"
	"testing"

	"github.com/miekg/dns"

	"nearcast/scheduler/dnswire"
	"nearcast/scheduler/dnswire/dnsmutate"
)

var (
	runs = flag.Int("runs", 20_000, "how many mutants of queries are read")
	seed = flag.Uint64("seed", 1, "of the chance that makes the mutants")
)

// TestMutants reads mutants of real queries beside the oracle. What we take it must take too, and find the same in it, as in FuzzParse; and what it takes
// and packs to the same octets again we must take, unless one of the rules says otherwise that it does not have.
func TestMutants(t *testing.T) {
	queries := dnsmutate.Queries("cdn.test.", "d1.cdn.test.", `a\.b\000.cdn.test.`, "WwW.cDn.TeSt.")
	rng := rand.New(rand.NewPCG(*seed, 2))
	taken, required := 0, 0
	var packet []byte
	for i := range *runs {
		packet = dnsmutate.Mutate(rng, packet[:0], queries[i%len(queries)])
		var q dnswire.Query
		status := q.Parse(packet)
		if i%16 == 0 {
			checkAnswer(t, &q)
		}
		if status == dnswire.OK {
			taken++
			if onlyKnown(packet) {
				compare(t, packet, &q)
			}
		}
		if mustTake(packet) {
			required++
			if status != dnswire.OK {
				t.Errorf("%x is refused with %d, the oracle takes it", packet, status)
			}
		}
		if t.Failed() {
			t.Fatalf("mutant %d of seed %d", i, *seed)
		}
	}
	t.Logf("%d mutants, %d taken, %d of them because the oracle says so", *runs, taken, required)
	if taken < *runs/20 || required < *runs/40 {
		t.Errorf("of %d mutants %d were taken, and %d had to be: most of the parser was never reached", *runs, taken, required)
	}
}

// mustTake reports whether the oracle takes a packet for an ordinary query without a rule of ours against it.
func mustTake(packet []byte) bool {
	m := new(dns.Msg)
	if m.Unpack(packet) != nil || m.Response || m.Opcode != dns.OpcodeQuery || len(m.Question) != 1 || len(m.Answer) > 0 {
		return false
	}
	for i, counted := range [...]int{1, 0, len(m.Ns), len(m.Extra)} { // it takes messages that end before their counts say so
		if counted != int(binary.BigEndian.Uint16(packet[4+2*i:])) {
			return false
		}
	}
	asked := m.Question[0]
	if len(m.Ns) > 1 || len(m.Ns) == 1 && (asked.Qtype != dns.TypeIXFR || m.Ns[0].Header().Rrtype != dns.TypeSOA) || len(m.Extra) > 1 {
		return false
	}
	if len(m.Extra) == 1 && m.Extra[0].Header().Rrtype == dns.TypeOPT && !allowedOPT(m.Extra[0].(*dns.OPT)) {
		return false
	}
	m.Compress = false
	again, err := m.Pack()
	return err == nil && bytes.Equal(again[headerEnd:], packet[headerEnd:]) // no octets left over, no pointers, no lengths that lie
}

const headerEnd = 12

// allowedOPT reports whether options are as RFCs have it, where the oracle does not look.
func allowedOPT(opt *dns.OPT) bool {
	if opt.Hdr.Name != "." {
		return false
	}
	subnets, cookies := 0, 0
	for _, option := range opt.Option {
		switch o := option.(type) {
		case *dns.EDNS0_SUBNET:
			subnets++
			source := int(o.SourceNetmask)
			if o.SourceScope != 0 || o.Family == 0 && source != 0 || o.Family > 2 || !tidy(o, source) {
				return false
			}
		case *dns.EDNS0_COOKIE:
			n := len(o.Cookie) / 2
			cookies++
			if cookies == 1 && n != 8 && (n < 16 || n > 40) {
				return false
			}
		}
	}
	return subnets < 2
}

// tidy reports whether an address has no bits beyond its prefix.
func tidy(o *dns.EDNS0_SUBNET, source int) bool {
	octets := []byte(o.Address)
	if o.Family == 1 {
		octets = o.Address.To4()
	}
	for bit := source; bit < 8*len(octets); bit++ {
		if octets[bit/8]&(0x80>>(bit%8)) != 0 {
			return false
		}
	}
	return true
}

// What servers meet most must be among what must be taken, or mustTake means nothing.
func TestMustTake(t *testing.T) {
	n := 0
	queries := dnsmutate.Queries("cdn.test.", "d1.cdn.test.")
	for _, q := range queries {
		if mustTake(q) {
			n++
		}
	}
	if n < len(queries)*9/10 {
		t.Errorf("%d of %d queries must be taken", n, len(queries))
	}
	for _, packet := range queries {
		if status := new(dnswire.Query).Parse(packet); status != dnswire.OK {
			t.Errorf("%x is refused with %d", packet, status)
		}
	}
}
