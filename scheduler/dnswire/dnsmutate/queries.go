package dnsmutate

import (
	"encoding/hex"
	"fmt"
	"net"

	"github.com/miekg/dns"
)

// Queries returns queries as clients send them, for names of a zone, which are to end with a dot: plain, with every option that servers read, signed
// ones, and those of secondaries.
func Queries(zone string, names ...string) [][]byte {
	var all [][]byte
	add := func(m *dns.Msg) {
		packet, err := m.Pack()
		if err != nil {
			panic(fmt.Sprintf("a query that is none: %v", err)) // the names are the test's
		}
		all = append(all, packet)
	}
	types := []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeHTTPS, dns.TypeTXT, dns.TypeANY, dns.TypeSOA, dns.TypeDNSKEY}
	for i, name := range append([]string{zone, "nope." + zone, "_a.b.c.d." + zone, "other.example."}, names...) {
		for j, typ := range types {
			m := new(dns.Msg).SetQuestion(name, typ)
			if (i+j)%4 != 0 {
				m.SetEdns0(1232, j%2 == 0)
				m.IsEdns0().Option = options(i + j)
			}
			add(m)
		}
	}
	secondary := new(dns.Msg).SetIxfr(zone, 7, "ns1."+zone, "hostmaster."+zone)
	add(secondary)
	add(new(dns.Msg).SetAxfr(zone))
	signed := new(dns.Msg).SetQuestion(zone, dns.TypeSOA)
	signed.Extra = []dns.RR{&dns.TSIG{
		Hdr: dns.RR_Header{Name: "key." + zone, Rrtype: dns.TypeTSIG, Class: dns.ClassANY}, Algorithm: dns.HmacSHA256, Fudge: 300,
		TimeSigned: 1_800_000_000, MACSize: 32, MAC: hex.EncodeToString(make([]byte, 32)), OrigId: signed.Id,
	}}
	add(signed)
	chaos := new(dns.Msg).SetQuestion("version.bind.", dns.TypeTXT)
	chaos.Question[0].Qclass = dns.ClassCHAOS
	add(chaos)
	return all
}

// options are some that clients send together.
func options(i int) []dns.EDNS0 {
	subnet := &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: net.IPv4(10, byte(i), 7, 0)}
	subnet6 := &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 2, SourceNetmask: 48, Address: net.IP{0x20, 1, 0xd, 0xb8, 0, byte(i), 15: 0}}
	client := &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0011223344556677"}
	server := &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0011223344556677" + "01000000" + "64000000" + "8899aabbccddeeff"}
	nsid, keepalive := &dns.EDNS0_NSID{Code: dns.EDNS0NSID}, &dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE}
	padding := &dns.EDNS0_PADDING{Padding: make([]byte, 11)}
	unknown := &dns.EDNS0_LOCAL{Code: dns.EDNS0LOCALSTART, Data: []byte("abc")}
	sets := [][]dns.EDNS0{
		{subnet}, {subnet6}, {client, subnet}, {server}, {nsid, subnet}, {keepalive, padding}, {unknown, subnet, client}, {subnet6, nsid, server, padding}, nil,
	}
	return sets[i%len(sets)]
}
