package relay

import (
	"net/netip"
	"testing"
)

// Whoever takes as much as they may, and never lets go, leaves some to those who come next, be they a dozen or one customer with many addresses.
func TestSlotsAreShared(t *testing.T) {
	hoard := func(s *slots, client netip.Addr) (n int) {
		for {
			if _, ok := s.take(client); !ok {
				return n
			}
			n++
		}
	}
	s := newSlots(1024, 128)
	if n := hoard(s, netip.MustParseAddr("192.0.2.1")); n < 50 || n > 128 {
		t.Errorf("the first has %d", n)
	}
	for i := range 64 {
		if n := hoard(s, netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})); n == 0 {
			t.Fatalf("the one after %d others gets none", i)
		}
	}
	if _, ok := s.take(netip.MustParseAddr("203.0.113.7")); !ok {
		t.Error("a visitor gets none")
	}

	s = newSlots(1024, 128)
	for i := range 1 << 12 { // each /64 of a /48
		hoard(s, netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 1, byte(i >> 8), byte(i)}))
	}
	if s.count() > 128 {
		t.Errorf("one /48 has %d of 1024", s.count())
	}
	release, ok := s.take(netip.MustParseAddr("2001:db8:2::1"))
	if !ok {
		t.Fatal("a neighbour gets none")
	}
	release()
	if len(s.of) == 0 || len(s.wide) != 1 {
		t.Errorf("%d networks are remembered", len(s.wide))
	}
}

// Who has let go is forgotten.
func TestSlotsAreForgotten(t *testing.T) {
	s := newSlots(8, 8)
	for _, text := range []string{"192.0.2.1", "2001:db8::1"} {
		release, ok := s.take(netip.MustParseAddr(text))
		if !ok {
			t.Fatal(text)
		}
		release()
	}
	if len(s.of)+len(s.wide)+s.running != 0 {
		t.Errorf("%+v", s)
	}
}
