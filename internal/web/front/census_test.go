package front

import (
	"net/netip"
	"testing"
)

// TestFair: clients that hold all they may leave some to those who come next, however many there are.
func TestFair(t *testing.T) {
	var c census
	lim := Limits{Connections: 20_000, PerClient: 2000, Fair: true}
	for i := range 100 {
		had := c.all
		for reason := ""; reason == ""; {
			_, reason = c.enter(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), lim)
		}
		if got := c.all - had; got == 0 || i < 5 && got != lim.PerClient {
			t.Fatalf("client %d gets %d connections", i, got)
		}
	}
	if _, reason := c.enter(netip.MustParseAddr("203.0.113.7"), lim); reason != "" {
		t.Errorf("a visitor is refused: %s", reason)
	}
}
