package mmdb_test

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
	"pgregory.net/rapid"

	"nearcast/internal/geo"
	"nearcast/internal/geo/mmdb"
)

var munich = geo.Record{Country: "DE", Region: "DE-BY", City: "München", Latitude: 48.14, Longitude: 11.58, Located: true, ASN: 64500, ISP: "Beispielnetz"}

func entry(prefix string, r geo.Record) geo.Entry {
	return geo.Entry{Prefix: netip.MustParsePrefix(prefix), Record: r}
}

func write(t *testing.T, entries ...geo.Entry) []byte {
	t.Helper()
	data, err := mmdb.Write(entries, time.Unix(1_700_000_000, 0))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func read(t *testing.T, data []byte) *geo.Database {
	t.Helper()
	d, err := mmdb.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// What is written is read again, the longest prefix of each address.
func TestRoundTrip(t *testing.T) {
	named := geo.Record{Country: "DE", Region: "Bavaria"}
	d := read(t, write(t,
		entry("10.1.0.0/16", munich), entry("10.0.0.0/8", geo.Record{Country: "FR"}), entry("10.1.2.0/24", geo.Record{}),
		entry("0.0.0.0/1", named), entry("192.0.2.1/32", geo.Record{ASN: 1<<32 - 1}),
		entry("::/0", geo.Record{Country: "AQ"}), entry("2001:db8::/32", geo.Record{ISP: "six"}),
	))
	if d.Type != "Nearcast-Geo" || d.Built.Unix() != 1_700_000_000 {
		t.Errorf("%q of %v", d.Type, d.Built)
	}
	for _, test := range []struct {
		addr   string
		want   geo.Record
		prefix string
	}{
		{"10.1.1.1", munich, "10.1.0.0/23"},
		{"10.1.2.3", geo.Record{}, "10.1.2.0/24"},
		{"10.2.0.1", geo.Record{Country: "FR"}, "10.2.0.0/15"},
		{"1.1.1.1", named, "0.0.0.0/5"},
		{"192.0.2.1", geo.Record{ASN: 1<<32 - 1}, "192.0.2.1/32"},
		{"203.0.113.1", geo.Record{}, "200.0.0.0/5"},
		{"2001:db8::1", geo.Record{ISP: "six"}, "2001:db8::/32"},
		{"2a00::1", geo.Record{Country: "AQ"}, "2800::/5"},
	} {
		if got, prefix := d.Lookup(netip.MustParseAddr(test.addr)); got != test.want || prefix.String() != test.prefix {
			t.Errorf("%s: %+v in %s, want %+v in %s", test.addr, got, prefix, test.want, test.prefix)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	for _, prefix := range []string{"::a00:0/104", "::ffff:10.0.0.0/104"} {
		if _, err := mmdb.Write([]geo.Entry{entry(prefix, munich)}, time.Time{}); err == nil || !strings.Contains(err.Error(), prefix) {
			t.Errorf("%s: error %v", prefix, err)
		}
	}
}

// theirs makes a database as MaxMind does, with one record.
func theirs(t *testing.T, kind, network string, version int, record mmdbtype.Map) []byte {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: kind, IPVersion: version})
	if err != nil {
		t.Fatal(err)
	}
	_, n, err := net.ParseCIDR(network)
	if err != nil {
		t.Fatal(err)
	}
	if err := tree.Insert(n, record); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := tree.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

type (
	object = mmdbtype.Map
	text   = mmdbtype.String
)

// city is a record with the fields of GeoLite2-City that matter, and some of the others.
func city() object {
	return object{
		"continent": object{"code": text("EU"), "geoname_id": mmdbtype.Uint32(6255148)},
		"country":   object{"iso_code": text("DE"), "geoname_id": mmdbtype.Uint32(2921044), "names": object{"en": text("Germany"), "de": text("Deutschland")}, "is_in_european_union": mmdbtype.Bool(true)},
		"subdivisions": mmdbtype.Slice{
			object{"iso_code": text("BY"), "names": object{"en": text("Bavaria")}}, object{"iso_code": text("OB")},
		},
		"city":               object{"names": object{"de": text("München"), "en": text("Munich")}},
		"location":           object{"accuracy_radius": mmdbtype.Uint16(20), "latitude": mmdbtype.Float64(48.14), "longitude": mmdbtype.Float64(11.58), "time_zone": text("Europe/Berlin")},
		"registered_country": object{"iso_code": text("US")},
	}
}

// The schemas of MaxMind are understood, in trees of IPv4 alone as well.
func TestSchemas(t *testing.T) {
	for _, test := range []struct {
		kind    string
		version int
		record  object
		want    geo.Record
	}{
		{"GeoLite2-City", 6, city(), geo.Record{Country: "DE", Region: "DE-BY", City: "Munich", Latitude: 48.14, Longitude: 11.58, Located: true}},
		{"GeoIP2-Country", 6, object{"country": object{"iso_code": text("JP")}, "registered_country": object{"iso_code": text("US")}}, geo.Record{Country: "JP"}},
		{"GeoLite2-ASN", 4, object{"autonomous_system_number": mmdbtype.Uint32(1221), "autonomous_system_organization": text("Telstra")}, geo.Record{ASN: 1221, ISP: "Telstra"}},
		{
			"GeoIP2-ISP", 6,
			object{"autonomous_system_number": mmdbtype.Uint32(1221), "autonomous_system_organization": text("Telstra Pty"), "isp": text("Telstra Internet"), "organization": text("x")},
			geo.Record{ASN: 1221, ISP: "Telstra Internet"},
		},
		{"GeoIP2-Enterprise", 6, object{"traits": object{"autonomous_system_number": mmdbtype.Uint32(7), "isp": text("seven")}}, geo.Record{ASN: 7, ISP: "seven"}},
	} {
		t.Run(test.kind, func(t *testing.T) {
			d := read(t, theirs(t, test.kind, "1.1.1.0/24", test.version, test.record))
			got, prefix := d.Lookup(netip.MustParseAddr("1.1.1.7"))
			if got != test.want || prefix.String() != "1.1.1.0/24" || d.Type != test.kind {
				t.Errorf("%+v in %s of %s, want %+v", got, prefix, d.Type, test.want)
			}
			if got, _ := d.Lookup(netip.MustParseAddr("1.1.2.7")); got != (geo.Record{}) {
				t.Errorf("a neighbour is in %+v", got)
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	good := write(t, entry("10.0.0.0/8", munich), entry("2001:db8::/32", munich))
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"empty":     {nil, "not a MaxMind DB"},
		"no mmdb":   {[]byte("prefix,country\n10.0.0.0/8,DE\n"), "not a MaxMind DB"},
		"cut":       {good[:len(good)/2], "not a MaxMind DB"},
		"headless":  {good[len(good)/2:], ""},
		"zeroed":    {append(make([]byte, 200), good[200:]...), "damaged"},
		"unknown":   {theirs(t, "GeoIP2-Anonymous-IP", "1.1.1.0/24", 6, object{"is_anonymous": mmdbtype.Bool(true)}), "GeoIP2-Anonymous-IP"},
		"country":   {theirs(t, "x", "1.1.1.0/24", 6, object{"country": object{"iso_code": text("Germany")}}), "1.1.1.0/24: country"},
		"latitude":  {theirs(t, "x", "1.1.1.0/24", 6, object{"location": object{"latitude": mmdbtype.Float64(91), "longitude": mmdbtype.Float64(0)}}), "latitude 91"},
		"wrongtype": {theirs(t, "x", "1.1.1.0/24", 6, object{"country": text("DE")}), "1.1.1.0/24"},
	} {
		t.Run(name, func(t *testing.T) {
			if d, err := mmdb.Read(test.data); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v and %v, want one with %q", err, d, test.want)
			}
		})
	}
}

// TestReadNoTree: a search tree whose every node leads twice to the next one has 2^128 leaves; it is refused at once.
func TestReadNoTree(t *testing.T) {
	good := write(t, entry("2001:db8::/128", munich), entry("2001:db8::1/128", geo.Record{Country: "FR"}))
	d := bytes.Clone(good)
	const size = 7 // octets of a node with records of 28 bits
	for node := range 120 {
		next := byte(node + 1)
		copy(d[node*size:], []byte{0, 0, next, 0, 0, 0, next})
	}
	if _, err := mmdb.Read(d); err == nil || !strings.Contains(err.Error(), "no tree") {
		t.Errorf("error %v", err)
	}
}

// TestModel: what is read of a written database is the longest match.
func TestModel(t *testing.T) {
	addr := rapid.Custom(func(t *rapid.T) netip.Addr {
		low := rapid.Byte().Draw(t, "low")
		if rapid.Bool().Draw(t, "six") {
			return netip.AddrFrom16([16]byte{0x20, low, 7: low, 15: low})
		}
		return netip.AddrFrom4([4]byte{10, low, 0, low})
	})
	rapid.Check(t, func(t *rapid.T) {
		entries := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) geo.Entry {
			a := addr.Draw(t, "addr")
			p := netip.PrefixFrom(a, rapid.IntRange(0, a.BitLen()).Draw(t, "bits")).Masked()
			return geo.Entry{Prefix: p, Record: geo.Record{Country: rapid.SampledFrom([]string{"", "DE", "FR"}).Draw(t, "country")}}
		}), 0, 12).Draw(t, "entries")
		data, err := mmdb.Write(append(entries, entry("198.51.100.0/24", munich)), time.Unix(1, 0)) // never empty
		if err != nil {
			t.Fatal(err)
		}
		d, err := mmdb.Read(data)
		if err != nil {
			t.Fatal(err)
		}
		a := addr.Draw(t, "a")
		best, want := -1, ""
		for _, e := range entries {
			if e.Prefix.Contains(a) && e.Prefix.Bits() >= best {
				best, want = e.Prefix.Bits(), e.Record.Country
			}
		}
		if got, _ := d.Lookup(a); got.Country != want {
			t.Fatalf("%s is in %q, want %q", a, got.Country, want)
		}
	})
}

// FuzzRead: whatever is done to a database, reading it ends, with an error or with records that can be.
func FuzzRead(f *testing.F) {
	seed, err := mmdb.Write([]geo.Entry{entry("10.0.0.0/8", munich), entry("10.1.0.0/16", geo.Record{Country: "FR"}), entry("2001:db8::/32", geo.Record{ASN: 1, ISP: "x"})}, time.Unix(1, 0))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed, 0, byte(0))
	f.Add(seed[:len(seed)-9], 40, byte(255))
	f.Add(seed[900:], 3, byte(1))
	f.Fuzz(func(t *testing.T, data []byte, at int, flip byte) {
		if at >= 0 && at < len(data) {
			data = bytes.Clone(data)
			data[at] ^= flip
		}
		began := time.Now()
		d, err := mmdb.Read(data)
		if took := time.Since(began); took > 2*time.Second {
			t.Fatalf("%d octets take %v", len(data), took)
		}
		if err != nil {
			return
		}
		for _, r := range d.Records {
			if err := r.Check(); err != nil {
				t.Errorf("%+v: %v", r, err)
			}
		}
		d.Lookup(netip.MustParseAddr("10.1.2.3"))
		d.Lookup(netip.MustParseAddr("2001:db8::1"))
	})
}

// BenchmarkRead reads a database with as many networks as one of cities has for a fifth of the world.
func BenchmarkRead(b *testing.B) {
	var entries []geo.Entry
	for i := range uint32(1_000_000) {
		x := i * 2654435761
		r := geo.Record{Country: "DE", City: "city " + string(rune('a'+x%26)), Latitude: float64(x%1800)/10 - 90, Longitude: float64(x % 170), Located: true}
		entries = append(entries, geo.Entry{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(x >> 24), byte(x >> 16), byte(x >> 8)}), 24), Record: r})
	}
	data, err := mmdb.Write(entries, time.Unix(1, 0))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		d, err := mmdb.Read(data)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(d.Table.Len()), "ranges")
		b.ReportMetric(float64(len(d.Records)), "records")
	}
}
