package clientip_test

import (
	"net"
	"net/netip"
	"testing"

	"nearcast/internal/clientip"
)

func TestShare(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.7":           "192.0.2.7",
		"::ffff:192.0.2.7":    "192.0.2.7",
		"2001:db8:1:2:3::4":   "2001:db8:1:2::",
		"2001:db8:1:2:ffff::": "2001:db8:1:2::",
		"fe80::1%eth0":        "fe80::",
	} {
		if got := clientip.Share(netip.MustParseAddr(text)); got.String() != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
		remote := net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(text), 80))
		if got := clientip.Of(remote); got.String() != want {
			t.Errorf("of a connection from %s: got %s, want %s", text, got, want)
		}
	}
}

// TestNobody: what has no IP address is one client, and not a panic.
func TestNobody(t *testing.T) {
	for _, remote := range []net.Addr{nil, &net.UnixAddr{Name: "x"}, &net.TCPAddr{}} {
		if got := clientip.Of(remote); got.IsValid() {
			t.Errorf("%v: got %s", remote, got)
		}
	}
	if got := clientip.Share(netip.Addr{}); got.IsValid() {
		t.Errorf("got %s for no address", got)
	}
}

func TestText(t *testing.T) {
	for remote, want := range map[string]string{"192.0.2.7:80": "192.0.2.7", "[2001:db8::1]:80": "2001:db8::1", "pipe": "pipe", "": ""} {
		if got := clientip.Text(remote); got != want {
			t.Errorf("%q: got %q, want %q", remote, got, want)
		}
	}
}
