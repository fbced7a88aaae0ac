package labtest

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Lookup asks the lab's scheduler over UDP. A subnet that is valid is sent as EDNS
// Client Subnet (RFC 7871).
func (l *Lab) Lookup(t testing.TB, name string, qtype uint16, subnet netip.Prefix) *dns.Msg {
	t.Helper()
	reply, err := l.ask(name, qtype, subnet)
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

func (l *Lab) ask(name string, qtype uint16, subnet netip.Prefix) (*dns.Msg, error) {
	m := new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype)
	m.SetEdns0(1232, false)
	if subnet.IsValid() {
		family := uint16(1)
		if subnet.Addr().Is6() {
			family = 2
		}
		m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_SUBNET{
			Code: dns.EDNS0SUBNET, Family: family, SourceNetmask: uint8(subnet.Bits()), Address: subnet.Addr().AsSlice(),
		})
	}
	client := dns.Client{Timeout: 5 * time.Second}
	reply, _, err := client.Exchange(m, l.DNS)
	if err != nil {
		return nil, fmt.Errorf("asking the scheduler for %s: %w", name, err)
	}
	return reply, nil
}

// Addresses returns the IPv4 addresses that DNS gives for a domain of a site.
func (l *Lab) Addresses(t testing.TB, domain string, subnet netip.Prefix) []netip.Addr {
	t.Helper()
	addrs, err := l.Resolve(domain, subnet)
	if err != nil {
		t.Fatal(err)
	}
	return addrs
}

// Resolve is Addresses for goroutines other than the test's, which may not end it.
func (l *Lab) Resolve(domain string, subnet netip.Prefix) ([]netip.Addr, error) {
	reply, err := l.ask(domain+"."+string(l.Zone), dns.TypeA, subnet)
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	for _, rr := range reply.Answer {
		if a, ok := rr.(*dns.A); ok {
			addr, _ := netip.AddrFromSlice(a.A.To4())
			addrs = append(addrs, addr)
		}
	}
	return addrs, nil
}
