package source_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"nearcast/internal/geo"
	"nearcast/internal/geo/source"
)

func entry(prefix string, r geo.Record) geo.Entry {
	return geo.Entry{Prefix: netip.MustParsePrefix(prefix), Record: r}
}

func TestRead(t *testing.T) {
	munich := geo.Record{Country: "DE", Region: "DE-BY", City: "München", Latitude: 48.14, Longitude: 11.58, Located: true, ASN: 64500, ISP: "Beispiel, Netz"}
	for _, test := range []struct {
		name, text string
		want       []geo.Entry
	}{
		{
			"csv", "prefix,country,region,city,latitude,longitude,asn,isp\n198.51.100.0/24,DE,DE-BY,München,48.14,11.58,64500,\"Beispiel, Netz\"\n",
			[]geo.Entry{entry("198.51.100.0/24", munich)},
		},
		{
			"columns in another order, some left out, BOM and CRLF", "\xef\xbb\xbf# ours\r\nASN, Prefix ,isp\r\nAS64500,2001:db8::/32, x \r\n\r\n,192.0.2.1,\r\n",
			[]geo.Entry{entry("2001:db8::/32", geo.Record{ASN: 64500, ISP: "x"}), entry("192.0.2.1/32", geo.Record{})},
		},
		{"short line", "prefix,country,city\n10.0.0.0/8,fr\n", []geo.Entry{entry("10.0.0.0/8", geo.Record{Country: "FR"})}},
		{"at zero", "prefix,latitude,longitude\n10.0.0.0/8,0,0\n", []geo.Entry{entry("10.0.0.0/8", geo.Record{Located: true})}},
		{
			"geofeed", "# IPv4\n192.0.2.0/25,US,US-AL,Birmingham,35201\n192.0.2.5,US,us-al,,\n2001:db8::/32,PL,,,02784\n198.51.100.0/24,,,,\n203.0.113.0/24,ZZ\n203.0.113.7\n192.0.2.128/25,JP,JP-13,東京,,more,and more\n",
			[]geo.Entry{
				entry("192.0.2.0/25", geo.Record{Country: "US", Region: "US-AL", City: "Birmingham"}), entry("192.0.2.5/32", geo.Record{Country: "US", Region: "US-AL"}),
				entry("2001:db8::/32", geo.Record{Country: "PL"}), entry("198.51.100.0/24", geo.Record{}), entry("203.0.113.0/24", geo.Record{}),
				entry("203.0.113.7/32", geo.Record{}), entry("192.0.2.128/25", geo.Record{Country: "JP", Region: "JP-13", City: "東京"}),
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := source.Read("x.csv", []byte(test.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// Every mistake of a file is told, with its place.
func TestMistakes(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []string // how each line begins
	}{
		{"empty", "", []string{"x:1:1: there is no prefix"}},
		{"only a header", "prefix,country\n# none\n", []string{"x:1:1: there is no prefix"}},
		{"header", "prefix,land,country,country\n10.0.0.0/8,x,DE,DE\n", []string{`x:1:8: column "land" is not known`, `x:1:21: column "country" comes twice`}},
		{"no prefix", "network,country\n10.0.0.0/8,DE\n", []string{`x:1:1: column "network"`, `x:1:1: the header has no column "prefix"`}},
		{"nothing", "prefix\n10.0.0.0/8\n", []string{"x:1:1: the header has no column beside prefix"}},
		{"half a place", "prefix,latitude\n10.0.0.0/8,1\n", []string{"x:1:1: the header has only one of latitude and longitude"}},
		{
			"all kinds", "prefix,country,latitude,longitude,asn,isp\n" +
				"10.0.0.1/8,DE,1,1,1,x\n" + // 2
				"300.0.0.0/8,DEU,91,east,0,x\n" + // 3
				",DE,1,1,1,x\n" + // 4
				"10.2.0.0/16,DE,1,,1,x\n" + // 5
				"10.3.0.0/16,DE,1,1,1,x,y\n" + // 6
				"10.4.0.0/16,DE,NaN,1,AS,x\n" + // 7
				"::ffff:10.0.0.0/104,,,,,\n" + // 8
				"10.5.0.0/16,,,,,\n" + // 9
				"10.5.0.0/16,,,,4294967296,\n" + // 10
				"10.6.0.0/16,,,,,\"x\"y\n" + // 11
				"10.7.0.0/16,,,,,x\x00\n" + // 12
				"10.8.0.0/16,,,,,\xff\n", // 13
			[]string{
				"x:2:1: prefix 10.0.0.1/8 has bits behind its length; write 10.0.0.0/8",
				`x:3:1: prefix "300.0.0.0/8" is not one`, `x:3:13: country "DEU" is no code`, `x:3:17: latitude 91 is out of range`, `x:3:20: longitude "east" is not a number`, `x:3:25: asn "0" is not`,
				"x:4:1: prefix \"\" is not one", "x:5:16: there is only one of latitude and longitude", "x:6:24: there are 7 fields", "x:7:16: latitude NaN is out of range", `x:7:22: asn "AS" is not`,
				"x:8:1: prefix ::ffff:10.0.0.0/104 is IPv4", "x:10:1: prefix 10.5.0.0/16 is already on line 9", "x:10:16: asn", "x:11:19: the quotes are wrong", `x:12:17: isp "x\x00": it has control`, `x:13:17: isp "\xff": it is not UTF-8`,
			},
		},
		{
			"geofeed", "10.0.0.0/8,Germany\n10.1.0.0/16,DE,Bavaria\n10.2.0.0/16,DE,AT-9\n10.3.0.0/16,DE,DE-BY," + strings.Repeat("x", 300) + "\n::/97,DE\n",
			[]string{`x:1:12: country "Germany" is no code`, `x:2:16: region "Bavaria" is no code`, `x:3:16: region AT-9 is not in the country "DE"`, `x:4:22: city "xxx`, "x:5:1: prefix ::/97 is IPv4"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := source.Read("x", []byte(test.text))
			got := strings.Split(fmt.Sprint(err), "\n")
			for i, want := range test.want {
				if i >= len(got) || !strings.HasPrefix(got[i], want) {
					t.Fatalf("mistake %d is not %q:\n%v", i, want, err)
				}
			}
			if len(got) > len(test.want) {
				t.Errorf("more than %d mistakes:\n%v", len(test.want), err)
			}
		})
	}
}

// TestManyMistakes: a wrong column does not fill the terminal for a million lines.
func TestManyMistakes(t *testing.T) {
	_, err := source.Read("x", []byte("prefix,country\n"+strings.Repeat("10.0.0.0/33,DE\n", 5000)))
	ms, ok := errors.AsType[source.Mistakes](err)
	if !ok || len(ms) != 1001 || !strings.HasPrefix(ms[1000].String(), "x:1001:1: the rest of the file was not read") {
		t.Errorf("%d mistakes, the last is %v", len(ms), ms[len(ms)-1])
	}
}

// Of a prefix that is in two files, the later counts, with what only the earlier knows.
func TestJoin(t *testing.T) {
	got := source.Join(
		[]geo.Entry{entry("10.0.0.0/8", geo.Record{Country: "DE", City: "Berlin", ISP: "a"}), entry("10.1.0.0/16", geo.Record{ASN: 1})},
		[]geo.Entry{entry("10.0.0.0/8", geo.Record{Country: "FR", ASN: 2}), entry("10.0.0.0/9", geo.Record{ISP: "c"})},
	)
	want := []geo.Entry{
		entry("10.0.0.0/8", geo.Record{Country: "FR", ASN: 2, ISP: "a"}), entry("10.1.0.0/16", geo.Record{ASN: 1}), entry("10.0.0.0/9", geo.Record{ISP: "c"}),
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// FuzzRead: whatever a file has in it, there are entries that can be stored, or mistakes with places.
func FuzzRead(f *testing.F) {
	f.Add([]byte("prefix,country,region,city,latitude,longitude,asn,isp\n198.51.100.0/24,DE,DE-BY,München,48.14,11.58,64500,\"Beispiel, Netz\"\n"))
	f.Add([]byte("# IPv4\n192.0.2.0/25,US,US-AL,Birmingham,35201\n2001:db8::/32,PL,,,02784\n"))
	f.Add([]byte("prefix,latitude\n\"\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		entries, err := source.Read("x", text)
		if err != nil {
			ms, ok := errors.AsType[source.Mistakes](err)
			if !ok || len(ms) == 0 {
				t.Fatalf("%T %v", err, err)
			}
			for _, m := range ms {
				if m.File != "x" || m.Line < 1 || m.Column < 1 || m.Message == "" {
					t.Fatalf("%+v", m)
				}
			}
			return
		}
		for _, e := range entries {
			if err := e.Record.Check(); err != nil || e.Prefix != e.Prefix.Masked() || e.Prefix.Addr().Is4In6() {
				t.Fatalf("%+v: %v", e, err)
			}
		}
	})
}
