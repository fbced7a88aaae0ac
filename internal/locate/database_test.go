package locate_test

import (
	"math"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"nearcast/cdn"
	"nearcast/internal/geo"
	"nearcast/internal/locate"
	"nearcast/internal/prefixtable"
)

// fataler is a test or a property.
type fataler interface {
	Helper()
	Fatal(args ...any)
}

func database(t fataler, entries ...geo.Entry) *geo.Database {
	t.Helper()
	var numbers geo.Numbers
	prefixes := make([]prefixtable.Entry, len(entries))
	for i, e := range entries {
		prefixes[i] = prefixtable.Entry{Prefix: e.Prefix, Number: numbers.Of(e.Record)}
	}
	table, err := prefixtable.New(prefixes)
	if err != nil {
		t.Fatal(err)
	}
	return &geo.Database{Table: table, Records: numbers.Records}
}

func known(prefix string, r geo.Record) geo.Entry {
	return geo.Entry{Prefix: netip.MustParsePrefix(prefix), Record: r}
}

// What the fleet says goes before what the database says, which fills what the fleet leaves open.
func TestDatabase(t *testing.T) {
	berlin := geo.Record{Country: "DE", City: "Berlin", Latitude: 52.5, Longitude: 13.4, Located: true, ASN: 64500, ISP: "Telekom"}
	d := database(t,
		known("10.0.0.0/8", berlin), known("10.9.0.0/16", geo.Record{ASN: 64501}),
		known("198.51.100.0/24", geo.Record{Country: "DE", City: "Berlin", ISP: "x"}), // a geofeed: no coordinates
		known("198.51.101.0/24", geo.Record{Country: "DE", Region: "DE-HH", City: "Hamburg"}),
		known("203.0.113.0/24", geo.Record{Country: "JP"}))
	at := func(latitude, longitude float64, country string) cdn.Location {
		return cdn.Location{Latitude: latitude, Longitude: longitude, Country: country}
	}
	x, err := locate.New([]cdn.ClientPrefix{
		{Prefix: netip.MustParsePrefix("10.1.0.0/16"), Location: at(48, 11, "AT")},
		{Prefix: netip.MustParsePrefix("10.2.0.0/16"), Location: at(48, 11, ""), ISP: "ours"},
		{Prefix: netip.MustParsePrefix("192.0.2.0/24"), Location: at(1, 2, "")},
	}, d)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		addr  string
		want  locate.Place
		scope int
	}{
		{"10.200.0.1", locate.Place{Location: at(52.5, 13.4, "DE"), Coordinates: locate.Given, City: "Berlin", ASN: 64500, ISP: "Telekom"}, 9},
		{"10.1.2.3", locate.Place{Location: at(48, 11, "AT"), Coordinates: locate.Given, ASN: 64500, ISP: "Telekom"}, 16},
		{"10.2.2.3", locate.Place{Location: at(48, 11, "DE"), Coordinates: locate.Given, ASN: 64500, ISP: "ours"}, 16},
		{"10.9.2.3", locate.Place{ASN: 64501}, 16},
		{"192.0.2.1", locate.Place{Location: at(1, 2, ""), Coordinates: locate.Given}, 24},
		{"198.51.100.1", locate.Place{Location: at(52.5, 13.4, "DE"), Coordinates: locate.Guessed, City: "Berlin", ISP: "x"}, 24},
		{"198.51.101.1", locate.Place{Location: at(50.256, 12.143, "DE"), Coordinates: locate.Guessed, Region: "DE-HH", City: "Hamburg"}, 24},
		{"203.0.113.1", locate.Place{Location: at(0, 0, "JP")}, 24},
	} {
		t.Run(test.addr, func(t *testing.T) {
			place, scope := x.Lookup(netip.MustParseAddr(test.addr))
			if place == locate.None {
				t.Fatal("nothing is known")
			}
			got := x.Places()[place]
			got.Location.Latitude, got.Location.Longitude = math.Round(got.Location.Latitude*1000)/1000, math.Round(got.Location.Longitude*1000)/1000
			if got != test.want || scope != test.scope {
				t.Errorf("scope %d, want %d (-want +got):\n%s", scope, test.scope, cmp.Diff(test.want, got))
			}
		})
	}
	if place, scope := x.Lookup(netip.MustParseAddr("2001:db8::1")); place != locate.None || scope != 0 {
		t.Errorf("of IPv6 nothing is known, but place %d with scope %d", place, scope)
	}
}

func TestMiddle(t *testing.T) {
	for _, test := range []struct {
		name string
		of   []cdn.Location
		want cdn.Location
		ok   bool
	}{
		{"none", nil, cdn.Location{}, false},
		{"one", []cdn.Location{{Latitude: 10, Longitude: 20}}, cdn.Location{Latitude: 10, Longitude: 20}, true},
		{"over the date line", []cdn.Location{{Longitude: 170}, {Longitude: -170}}, cdn.Location{Longitude: 180}, true},
		{"on opposite sides", []cdn.Location{{Longitude: 0}, {Longitude: 180}}, cdn.Location{}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, ok := locate.Middle(test.of)
			if ok != test.ok || got.Kilometres(test.want) > 0.001 {
				t.Errorf("%+v, %v", got, ok)
			}
		})
	}
}

// The index agrees with searches through all prefixes of the fleet and of the database, and scopes are equal or disjoint.
// That none could be shorter is tested with the ranges, in package prefixtable.
func TestDatabaseOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		six := rapid.Bool().Draw(t, "six")
		addr := addrs(six)
		prefix := rapid.Custom(func(t *rapid.T) netip.Prefix {
			a := addr.Draw(t, "addr")
			return netip.PrefixFrom(a, rapid.IntRange(0, a.BitLen()).Draw(t, "bits"))
		})
		countries := rapid.SampledFrom([]string{"", "DE", "FR"})
		clients := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) cdn.ClientPrefix {
			return cdn.ClientPrefix{Prefix: prefix.Draw(t, "prefix"), Location: cdn.Location{Country: countries.Draw(t, "country")}}
		}), 0, 6).Draw(t, "clients")
		entries := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) geo.Entry {
			return geo.Entry{Prefix: prefix.Draw(t, "prefix"), Record: geo.Record{Country: countries.Draw(t, "country"), ASN: uint32(rapid.IntRange(0, 1).Draw(t, "asn"))}}
		}), 0, 6).Draw(t, "entries")
		x, err := locate.New(clients, database(t, entries...))
		if err != nil {
			t.Fatal(err)
		}
		a, b := addr.Draw(t, "a"), addr.Draw(t, "b")
		place, scope := x.Lookup(a)
		if got, want := summary(x, place), model(clients, entries, a); got != want {
			t.Fatalf("%s is %+v, want %+v", a, got, want)
		}
		around := netip.PrefixFrom(a, scope).Masked()
		other, otherScope := x.Lookup(b)
		if around.Contains(b) && (other != place || otherScope != scope) {
			t.Fatalf("%s and %s share the scope %s but not the answer", a, b, around)
		}
		if !around.Contains(b) && netip.PrefixFrom(b, otherScope).Overlaps(around) {
			t.Fatalf("the scopes /%d of %s and /%d of %s overlap", scope, a, otherScope, b)
		}
	})
}

// facts are what the model knows.
type facts struct {
	country string
	asn     uint32
	given   bool
}

func summary(x *locate.Index, place int) facts {
	if place == locate.None {
		return facts{}
	}
	p := x.Places()[place]
	return facts{p.Location.Country, p.ASN, p.Coordinates == locate.Given}
}

func model(clients []cdn.ClientPrefix, entries []geo.Entry, addr netip.Addr) (f facts) {
	best := -1
	for _, e := range entries {
		if e.Prefix.Contains(addr) && e.Prefix.Bits() >= best {
			best, f.country, f.asn = e.Prefix.Bits(), e.Record.Country, e.Record.ASN
		}
	}
	best = -1
	own := ""
	for _, c := range clients {
		if c.Prefix.Contains(addr) && c.Prefix.Bits() >= best {
			best, own, f.given = c.Prefix.Bits(), c.Location.Country, true
		}
	}
	if own != "" {
		f.country = own
	}
	return f
}

// large returns a database as large as one of cities: n networks of IPv4, /24 to /20, in 60,000 places.
func large(t fataler, n int) *geo.Database {
	entries := make([]geo.Entry, n)
	for i := range entries {
		x := uint32(i) * 2654435761
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(x >> 24), byte(x >> 16), byte(x >> 8)}), 24-int(x%5)).Masked()
		place := x % 60_000
		entries[i] = geo.Entry{Prefix: p, Record: geo.Record{Country: "DE", ASN: place%5000 + 1, Latitude: float64(place%180) - 90, Longitude: float64(place % 179), Located: true}}
	}
	return database(t, entries...)
}

func TestLookupAllocatesNothing(t *testing.T) {
	x, err := locate.New(nil, large(t, 20_000))
	if err != nil {
		t.Fatal(err)
	}
	a := netip.MustParseAddr("203.0.113.77")
	if n := testing.AllocsPerRun(100, func() { x.Lookup(a) }); n != 0 {
		t.Errorf("a lookup allocates %v times", n)
	}
}

func BenchmarkLookup(b *testing.B) {
	x, err := locate.New(nil, large(b, 1_000_000))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(x.Ranges()), "ranges")
	b.ReportAllocs()
	i := uint32(0)
	for b.Loop() {
		i += 2654435761
		x.Lookup(netip.AddrFrom4([4]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}))
	}
}

// BenchmarkNew is what a change of the fleet's clients costs.
func BenchmarkNew(b *testing.B) {
	d := large(b, 1_000_000)
	clients := []cdn.ClientPrefix{client("10.0.0.0/8", "DE"), client("2001:db8::/32", "FR")}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := locate.New(clients, d); err != nil {
			b.Fatal(err)
		}
	}
}
