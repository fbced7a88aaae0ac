package fairshare

import (
	"net/netip"
	"testing"
)

// hoard takes all that a client gets, and keeps it.
func hoard(p *Places, client netip.Addr, group string) (n int) {
	for {
		if _, ok := p.Take(client, group); !ok {
			return n
		}
		n++
	}
}

// Whoever takes as much as they may, and never lets go, leaves some to those who come next.
func TestClients(t *testing.T) {
	p := New(1024, 128)
	if n := hoard(p, netip.MustParseAddr("192.0.2.1"), ""); n < 50 || n > 128 {
		t.Errorf("the first has %d", n)
	}
	for i := range 64 {
		if n := hoard(p, netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), ""); n == 0 {
			t.Fatalf("the one after %d others gets none", i)
		}
	}
	if _, ok := p.Take(netip.MustParseAddr("203.0.113.7"), ""); !ok {
		t.Error("a visitor gets none")
	}
	if n := hoard(New(1024, 16), netip.MustParseAddr("192.0.2.1"), ""); n != 16 {
		t.Errorf("a client has %d of 16", n)
	}
	for _, none := range []*Places{New(0, 1), New(1, 0)} {
		if _, ok := none.Take(netip.Addr{}, ""); ok {
			t.Error("somebody gets a place that is not there")
		}
	}
}

// One customer with many addresses is not many customers.
func TestNetworks(t *testing.T) {
	p := New(1024, 128)
	for i := range 1 << 12 { // each /64 of a /48
		hoard(p, netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 1, byte(i >> 8), byte(i)}), "")
	}
	if p.Taken() > 128 {
		t.Errorf("one /48 has %d of 1024", p.Taken())
	}
	if _, ok := p.Take(netip.MustParseAddr("2001:db8:2::1"), ""); !ok {
		t.Error("a neighbour gets none")
	}
}

// What many clients want of one group leaves half to the others.
func TestGroups(t *testing.T) {
	p := New(1024, 128)
	for i := range 1 << 12 {
		hoard(p, netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}), "slow")
	}
	if p.Taken() != 512 {
		t.Errorf("one group has %d of 1024", p.Taken())
	}
	if _, ok := p.Take(netip.MustParseAddr("192.0.2.1"), "quick"); !ok {
		t.Error("another group gets none")
	}
}

// Who has let go is forgotten.
func TestForgotten(t *testing.T) {
	p := New(8, 8)
	for _, client := range []netip.Addr{{}, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")} {
		release, ok := p.Take(client, "a")
		if !ok {
			t.Fatal(client)
		}
		release()
	}
	if len(p.clients)+len(p.networks)+len(p.groups)+p.taken != 0 {
		t.Errorf("%+v", p)
	}
}
