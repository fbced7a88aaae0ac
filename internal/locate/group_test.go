package locate_test

import (
	"net/netip"
	"testing"

	"nearcast/cdn"
	"nearcast/internal/locate"
)

func TestNetwork(t *testing.T) {
	for addr, want := range map[string]string{
		"203.0.113.9":        "203.0.113.0/24",
		"::ffff:203.0.113.9": "203.0.113.0/24",
		"2001:db8:1:2:3::4":  "2001:db8:1::/48",
		"fe80::1%eth0":       "fe80::/48",
	} {
		got, ok := locate.Network(netip.MustParseAddr(addr))
		if !ok || got.String() != want {
			t.Errorf("Network(%s) = %v %v, want %s", addr, got, ok, want)
		}
		if back, ok := locate.NetworkOf(locate.NetworkGroup(got)); !ok || back != got {
			t.Errorf("NetworkOf(NetworkGroup(%v)) = %v %v", got, back, ok)
		}
	}
	if _, ok := locate.Network(netip.Addr{}); ok {
		t.Error("no address has a network")
	}
	for _, other := range []cdn.GroupName{"place -/DE", "net 203.0.113.9/24", "net ::ffff:203.0.113.0/120", "net 203.0.113.0", "net 2001:DB8::/48", ""} {
		if got, ok := locate.NetworkOf(other); ok {
			t.Errorf("%q is taken for the network %v", other, got)
		}
	}
}

func TestPlaceGroup(t *testing.T) {
	munich := cdn.Location{Latitude: 48.137, Longitude: 11.575, Country: "DE"}
	for want, p := range map[cdn.GroupName]locate.Place{
		"place AS64500/DE/BY/Munich":   {ASN: 64500, ISP: "transit-a", Location: munich, Region: "BY", City: "Munich", Coordinates: locate.Given},
		"place transit-a/DE/48.1,11.6": {ISP: "transit-a", Location: munich, Region: "BY", Coordinates: locate.Given},
		"place -/DE/BY":                {Location: cdn.Location{Country: "DE"}, Region: "BY", Coordinates: locate.Guessed},
		"place \uFFFD/DE":              {ISP: "\xff\xfe", Location: cdn.Location{Country: "DE"}},
		"place -/DE":                   {Location: cdn.Location{Country: "DE"}},
	} {
		if got := p.Group(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
