package locate_test

import (
	"math"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"nearcast/cdn"
	"nearcast/internal/locate"
)

// client is a prefix whose place is told by its country alone.
func client(prefix, country string) cdn.ClientPrefix {
	return cdn.ClientPrefix{Prefix: netip.MustParsePrefix(prefix), Location: cdn.Location{Country: country}}
}

func index(t *testing.T, clients ...cdn.ClientPrefix) *locate.Index {
	t.Helper()
	x, err := locate.New(clients, nil)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func country(x *locate.Index, place int) string {
	if place == locate.None {
		return ""
	}
	return x.Places()[place].Location.Country
}

func TestLookup(t *testing.T) {
	nested := index(t,
		client("10.0.0.0/8", "DE"), client("10.1.0.0/16", "FR"), client("10.1.2.0/24", "DE"),
		client("192.0.2.128/25", "JP"), client("2001:db8::/32", "SG"))
	everywhere := index(t, client("0.0.0.0/0", "US"))
	edges := index(t, client("0.0.0.0/8", "AA"), client("255.0.0.0/8", "ZZ"), client("255.255.255.255/32", "YY"))
	for _, test := range []struct {
		name        string
		index       *locate.Index
		addr        string
		wantCountry string
		wantScope   int
	}{
		{"inner", nested, "10.1.2.3", "DE", 24},
		{"middle", nested, "10.1.3.3", "FR", 24},  // 10.1.2.0/23 has two places
		{"wider", nested, "10.1.128.1", "FR", 17}, // but this half has one
		{"outer", nested, "10.2.0.1", "DE", 15},   // 10.0.0.0/14 has two places
		{"outerwide", nested, "10.200.0.1", "DE", 9},
		{"half", nested, "192.0.2.200", "JP", 25},
		{"otherhalf", nested, "192.0.2.1", "", 25},
		{"nowhere", nested, "203.0.113.9", "", 5},
		{"mapped", nested, "::ffff:10.1.2.3", "DE", 24},
		{"six", nested, "2001:db8:1::1", "SG", 32},
		{"sixnowhere", nested, "2001:db9::1", "", 32},
		{"zone", nested, "2001:db8::1%eth0", "SG", 32},
		{"all", everywhere, "198.51.100.1", "US", 0},
		{"nofamily", everywhere, "2001:db8::1", "", 0},
		{"lowest", edges, "0.0.0.0", "AA", 8},
		{"highest", edges, "255.255.255.255", "YY", 32},
		{"nexttohighest", edges, "255.255.255.254", "ZZ", 32},
		{"zero", new(locate.Index), "10.0.0.1", "", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			place, scope := test.index.Lookup(netip.MustParseAddr(test.addr))
			if got := country(test.index, place); got != test.wantCountry || scope != test.wantScope {
				t.Errorf("%s is in %q with scope %d, want %q with %d", test.addr, got, scope, test.wantCountry, test.wantScope)
			}
		})
	}
	if place, scope := nested.Lookup(netip.Addr{}); place != locate.None || scope != 0 {
		t.Errorf("no address is at place %d with scope %d", place, scope)
	}
}

// Equal places share a number, of equal prefixes the later counts, and bits of an
// address beyond its prefix do not matter.
func TestMerge(t *testing.T) {
	x := index(t, client("10.0.0.0/9", "FR"), client("10.0.0.0/9", "DE"), client("10.128.1.1/9", "DE"))
	place, scope := x.Lookup(netip.MustParseAddr("10.0.0.1"))
	if country(x, place) != "DE" || scope != 8 {
		t.Errorf("got %q with scope %d, want DE with 8", country(x, place), scope)
	}
}

func TestInvalid(t *testing.T) {
	for _, test := range []struct {
		name   string
		client cdn.ClientPrefix
	}{
		{"none", cdn.ClientPrefix{}},
		{"mapped", client("::ffff:10.0.0.0/104", "DE")},
		{"latitude", cdn.ClientPrefix{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Location: cdn.Location{Latitude: 91}}},
		{"longitude", cdn.ClientPrefix{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Location: cdn.Location{Longitude: -181}}},
		{"nan", cdn.ClientPrefix{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Location: cdn.Location{Latitude: math.NaN()}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := locate.New([]cdn.ClientPrefix{test.client}, nil); cdn.KindOf(err) != cdn.Invalid {
				t.Errorf("error %v, want one of kind invalid", err)
			}
		})
	}
}

// linear is the longest match, found by looking at every prefix.
func linear(clients []cdn.ClientPrefix, addr netip.Addr) string {
	best, country := -1, ""
	for _, c := range clients {
		if c.Prefix.Contains(addr) && c.Prefix.Bits() >= best {
			best, country = c.Prefix.Bits(), c.Location.Country
		}
	}
	return country
}

// addrs draws addresses from a small part of the space, so that prefixes nest.
func addrs(six bool) *rapid.Generator[netip.Addr] {
	return rapid.Custom(func(t *rapid.T) netip.Addr {
		low := rapid.Byte().Draw(t, "low")
		high := rapid.SampledFrom([]byte{0, 10, 255}).Draw(t, "high")
		if six {
			return netip.AddrFrom16([16]byte{high, 7: low, 15: low})
		}
		return netip.AddrFrom4([4]byte{high, low, 0, low})
	})
}

// The index agrees with a search through all prefixes, and a scope is as wide as it
// can be while every address in it has the same place.
func TestOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		six := rapid.Bool().Draw(t, "six")
		addr := addrs(six)
		bits := 32
		if six {
			bits = 128
		}
		clients := rapid.SliceOf(rapid.Custom(func(t *rapid.T) cdn.ClientPrefix {
			return cdn.ClientPrefix{
				Prefix:   netip.PrefixFrom(addr.Draw(t, "addr"), rapid.IntRange(0, bits).Draw(t, "bits")),
				Location: cdn.Location{Country: rapid.SampledFrom([]string{"DE", "FR", "JP"}).Draw(t, "country")},
			}
		})).Draw(t, "clients")
		x, err := locate.New(clients, nil)
		if err != nil {
			t.Fatal(err)
		}
		a, b := addr.Draw(t, "a"), addr.Draw(t, "b")
		place, scope := x.Lookup(a)
		if got, want := country(x, place), linear(clients, a); got != want {
			t.Fatalf("%s is in %q, want %q", a, got, want)
		}
		around := netip.PrefixFrom(a, scope).Masked()
		if around.Contains(b) {
			otherPlace, otherScope := x.Lookup(b)
			if otherPlace != place || otherScope != scope {
				t.Fatalf("%s and %s share the scope %s but not the answer", a, b, around)
			}
		}
	})
}
