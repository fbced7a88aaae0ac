package main

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
)

const (
	worldZone  = "cdn.test"
	worldNames = 1000 // d1 to d1000 lead to the best POP
	worldPOPs  = 40
)

// world is a fleet that is made up, and what follows from it.
type world struct {
	// fleet is its file.
	fleet string
	// pops is where addresses and nodes are.
	popOf     map[netip.Addr]string
	popOfNode map[string]string
	// known are networks of the file's clients.
	known []netip.Prefix
}

//nolint:gochecknoglobals // constant
var countries = []string{"DE", "FR", "NL", "GB", "PL", "ES", "IT", "SE", "US", "CA", "BR", "JP", "KR", "SG", "AU", "ZA"}

// newWorld makes a fleet of many POPs, clients whose networks lie within each other, and policies of each kind.
func newWorld(rng *rand.Rand) *world {
	w := &world{popOf: make(map[netip.Addr]string), popOfNode: make(map[string]string)}
	var b strings.Builder
	b.WriteString(`zone: cdn.test
https: {port: 8443, alpn: [h2, http/1.1]}
dns:
  steered: ["d[1-1000]"]
  signed: true
  trusted_proxies: [127.0.0.1/32]
zones:
- name: cdn.test
  records:
  - {name: "@", type: TXT, data: '"v=spf1 -all"'}
  - {name: "@", type: MX, data: 10 mail.example.}
  - {name: "*.wild", type: TXT, data: '"whatever is asked for"'}
  - {name: long, type: TXT, data: '`)
	for i := range 6 {
		fmt.Fprintf(&b, `"%d%s"`, i, strings.Repeat("x", 199))
	}
	b.WriteString(`'}
  - {name: sub, type: NS, data: ns.sub}
  - {name: ns.sub, type: A, data: 192.0.2.99}
- name: shop.example
  records:
  - {name: mail, type: A, data: 192.0.2.80}
`)
	w.writePOPs(&b, rng)
	w.writeClients(&b, rng)
	w.writePolicies(&b, rng)
	w.fleet = b.String()
	return w
}

func somewhere(rng *rand.Rand) string {
	return fmt.Sprintf("{latitude: %.2f, longitude: %.2f, country: %s}", -60+120*rng.Float64(), -180+360*rng.Float64(), countries[rng.IntN(len(countries))])
}

func (w *world) writePOPs(b *strings.Builder, rng *rand.Rand) {
	var nodes strings.Builder
	nodes.WriteString("nodes:\n- {name: core-1, roles: [scheduler], addresses: [127.0.0.1]}\n")
	b.WriteString("pops:\n")
	for i := range worldPOPs {
		alpn := ""
		if i%7 == 3 {
			alpn = ", alpn: [http/1.1]"
		}
		pop := fmt.Sprintf("p%02d", i)
		fmt.Fprintf(b, "- {name: %s, region: r%d, tier: edge, location: %s%s}\n", pop, i%5, somewhere(rng), alpn)
		for j := range 2 + rng.IntN(4) {
			node := fmt.Sprintf("%s-%d", pop, j)
			a4, a6 := netip.AddrFrom4([4]byte{198, 18, byte(i), byte(j + 1)}), netip.MustParseAddr(fmt.Sprintf("2001:db8:ff%02x::%d", i, j+1))
			list := a4.String()
			w.popOf[a4], w.popOfNode[node] = pop, pop
			if i%5 != 2 || j%2 == 0 { // some nodes have no IPv6
				list += fmt.Sprintf(", %q", a6)
				w.popOf[a6] = pop
			}
			fmt.Fprintf(&nodes, "- {name: %s, pop: %s, roles: [edge], addresses: [%s]}\n", node, pop, list)
		}
	}
	b.WriteString(nodes.String())
}

func (w *world) writeClients(b *strings.Builder, rng *rand.Rand) {
	b.WriteString("clients:\n- {prefix: 127.0.0.0/8, location: {latitude: 52.5, longitude: 13.4, country: DE}}\n")
	add := func(format string, args ...any) {
		p := netip.MustParsePrefix(fmt.Sprintf(format, args...))
		w.known = append(w.known, p)
		fmt.Fprintf(b, "- {prefix: %q, location: %s}\n", p, somewhere(rng))
	}
	for i := range 256 {
		add("10.%d.0.0/16", i)
		if i%4 == 0 {
			add("10.%d.%d.0/20", i, 16*(i%16))
			add("10.%d.%d.0/24", i, 16*(i%16)+3)
		}
		if i%2 == 0 {
			add("2001:db8:%x::/40", i<<8)
			add("2001:db8:%x::/48", i<<8+i)
		}
	}
}

func (w *world) writePolicies(b *strings.Builder, rng *rand.Rand) {
	b.WriteString("policies:\n")
	pop := func(i int) string { return fmt.Sprintf("p%02d", (i+worldPOPs)%worldPOPs) }
	for i, country := range countries {
		fmt.Fprintf(b, "- name: %s\n  match: {countries: [%s]}\n", country, country)
		switch i % 5 {
		case 0:
			fmt.Fprintf(b, "  weights: {%s: 50, %s: 30, %s: 20}\n", pop(i), pop(i+7), pop(i+11))
		case 1:
			fmt.Fprintf(b, "  deny: [%s, %s]\n", pop(i), pop(i+1))
		case 2:
			fmt.Fprintf(b, "  allow: [%s, %s, %s, %s]\n", pop(i), pop(i+9), pop(i+18), pop(i+27))
		case 3:
			fmt.Fprintf(b, "  prefer: {%s: -80, %s: 50}\n", pop(i), pop(i+3))
		case 4:
			fmt.Fprintf(b, "  prefer: {%s: -%d}\n", pop(i), rng.IntN(100))
		}
	}
	fmt.Fprintf(b, "- name: an office\n  match: {prefixes: [10.77.8.0/21, \"2001:db8:4d00::/40\"]}\n  pin: %s\n", pop(31))
	fmt.Fprintf(b, "- name: a carrier\n  match: {prefixes: [10.128.0.0/10]}\n  weights: {%s: 1, %s: 2}\n", pop(20), pop(33))
}

// pair is a question.
type pair struct {
	name   string // with a dot at the end
	subnet netip.Prefix
	client netip.Addr // in subnet
}

// pairs makes questions: for each third one the network is none of the fleet's clients', and every fourth is of IPv6.
func (w *world) pairs(rng *rand.Rand, n int) []pair {
	all := make([]pair, n)
	for i := range all {
		p := &all[i]
		p.name = fmt.Sprintf("d%d.%s.", 1+rng.IntN(worldNames), worldZone)
		if i%4 == 3 {
			p.client = w.somebody6(rng, i%3 == 0)
			p.subnet, _ = p.client.Prefix(48)
			continue
		}
		a := [4]byte{byte(1 + rng.IntN(222)), byte(rng.Uint32()), byte(rng.Uint32()), byte(1 + rng.IntN(254))}
		if i%3 != 0 {
			a[0] = 10
		} else if a[0] == 127 {
			a[0] = 128
		}
		p.client = netip.AddrFrom4(a)
		p.subnet, _ = p.client.Prefix(24)
	}
	return all
}

func (w *world) somebody6(rng *rand.Rand, strange bool) netip.Addr {
	var a [16]byte
	for i := range a {
		a[i] = byte(rng.Uint32())
	}
	copy(a[:], []byte{0x20, 0x01, 0x0d, 0xb8})
	if strange {
		copy(a[:], []byte{0x2a, 0x00})
	} else if rng.IntN(2) == 0 {
		a[4], a[5] = a[4]&^1, a[4]&^1
	}
	return netip.AddrFrom16(a)
}
