package geo_test

import (
	"net/netip"
	"testing"
	"time"

	"nearcast/internal/geo"
	"nearcast/internal/prefixtable"
)

func database(t *testing.T, built int64, records map[string]geo.Record) *geo.Database {
	t.Helper()
	var numbers geo.Numbers
	var entries []prefixtable.Entry
	for prefix, r := range records {
		entries = append(entries, prefixtable.Entry{Prefix: netip.MustParsePrefix(prefix), Number: numbers.Of(r)})
	}
	table, err := prefixtable.New(entries)
	if err != nil {
		t.Fatal(err)
	}
	return &geo.Database{Table: table, Records: numbers.Records, Built: time.Unix(built, 0)}
}

// Each field comes from the first database that knows it, but where something is comes from one of them.
func TestMerge(t *testing.T) {
	places := database(t, 200, map[string]geo.Record{
		"192.0.2.0/24":  {Country: "DE", Region: "DE-BY"},
		"10.0.0.0/8":    {Country: "FR", City: "Paris", Latitude: 48.9, Longitude: 2.4, Located: true},
		"2001:db8::/32": {Country: "NL", ISP: "own"},
	})
	carriers := database(t, 100, map[string]geo.Record{
		"192.0.2.0/25":    {ASN: 64500, ISP: "Example"},
		"10.128.0.0/9":    {ASN: 64501},
		"198.51.100.0/24": {Country: "JP", City: "Osaka"},
		"192.0.2.128/25":  {Country: "AT", City: "Wien", Located: true, Latitude: 48.2, Longitude: 16.4},
		"2001:db8::/33":   {ASN: 64502, ISP: "other"},
	})
	all := geo.Merge(places, carriers)
	for _, test := range []struct {
		addr   string
		want   geo.Record
		prefix string
	}{
		{"192.0.2.1", geo.Record{Country: "DE", Region: "DE-BY", ASN: 64500, ISP: "Example"}, "192.0.2.0/25"},
		{"192.0.2.200", geo.Record{Country: "DE", Region: "DE-BY"}, "192.0.2.128/25"},
		{"10.1.1.1", geo.Record{Country: "FR", City: "Paris", Latitude: 48.9, Longitude: 2.4, Located: true}, "10.0.0.0/9"},
		{"10.200.1.1", geo.Record{Country: "FR", City: "Paris", Latitude: 48.9, Longitude: 2.4, Located: true, ASN: 64501}, "10.128.0.0/9"},
		{"::ffff:198.51.100.7", geo.Record{Country: "JP", City: "Osaka"}, "198.51.100.0/24"},
		{"203.0.113.1", geo.Record{}, "200.0.0.0/5"},
		{"2001:db8::1%eth0", geo.Record{Country: "NL", ISP: "own", ASN: 64502}, "2001:db8::/33"},
	} {
		if got, prefix := all.Lookup(netip.MustParseAddr(test.addr)); got != test.want || prefix.String() != test.prefix {
			t.Errorf("%s: %+v in %s, want %+v in %s", test.addr, got, prefix, test.want, test.prefix)
		}
	}
	if !all.Built.Equal(time.Unix(100, 0)) {
		t.Errorf("built at %v, want the older one's time", all.Built)
	}
	if _, prefix := all.Lookup(netip.Addr{}); prefix.IsValid() {
		t.Errorf("no address is in %s", prefix)
	}
	if geo.Merge() != nil || geo.Merge(places) != places {
		t.Error("nothing, or one database, is put together to something else")
	}
}
