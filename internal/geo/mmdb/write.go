package mmdb

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/inserter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"nearcast/internal/geo"
)

// Type is what the databases that [Write] makes call themselves. Their records have the fields of GeoIP2 City and GeoIP2 ISP.
const Type = "Nearcast-Geo"

// inner is where the format keeps IPv4 in the tree of IPv6.
const inner = "::/96"

// Write makes a database. Of nested prefixes the longest counts, of equal ones the later. A prefix of IPv6 within ::/96, or within
// ::ffff:0:0/96, is refused: readers take those addresses for IPv4.
func Write(entries []geo.Entry, built time.Time) ([]byte, error) {
	tree, err := mmdbwriter.New(mmdbwriter.Options{
		DatabaseType: Type, BuildEpoch: built.Unix(), Languages: []string{"en"},
		Description: map[string]string{"en": "what an operator knows of addresses"},
		// An operator's own networks may be reserved ones, and 6to4 is of the past.
		IncludeReservedNetworks: true, DisableIPv4Aliasing: true,
	})
	if err != nil {
		return nil, fmt.Errorf("making a database: %w", err)
	}
	// IPv6 goes first: what lies around the place of IPv4 would hide it.
	six, four := split(entries)
	room := geo.Entry{Prefix: netip.MustParsePrefix(inner)}
	for _, e := range slices.Concat(six, []geo.Entry{room}, four) {
		if err := insert(tree, e); err != nil {
			return nil, fmt.Errorf("adding %s: %w", e.Prefix, err)
		}
	}
	var out bytes.Buffer
	if _, err := tree.WriteTo(&out); err != nil {
		return nil, fmt.Errorf("writing a database: %w", err)
	}
	return out.Bytes(), nil
}

// split returns the entries of each family, the shortest prefixes first.
func split(entries []geo.Entry) (six, four []geo.Entry) {
	for _, e := range entries {
		if e.Prefix.Addr().Is4() {
			four = append(four, e)
		} else {
			six = append(six, e)
		}
	}
	for _, family := range [][]geo.Entry{six, four} {
		slices.SortStableFunc(family, func(a, b geo.Entry) int { return cmp.Compare(a.Prefix.Bits(), b.Prefix.Bits()) })
	}
	return six, four
}

func insert(tree *mmdbwriter.Tree, e geo.Entry) error {
	if p := e.Prefix; !p.IsValid() || p.Addr().Is4In6() || p.Bits() > 96 && netip.MustParsePrefix(inner).Overlaps(p) {
		return errors.New("the format has no place for it")
	}
	if e.Record == (geo.Record{}) {
		return tree.InsertFunc(network(e.Prefix), inserter.Remove)
	}
	return tree.Insert(network(e.Prefix), value(&e.Record))
}

func network(p netip.Prefix) *net.IPNet {
	p = p.Masked()
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// value returns a record in the fields of GeoIP2.
func value(r *geo.Record) mmdbtype.Map {
	m := mmdbtype.Map{}
	named := func(name string) mmdbtype.Map {
		return mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String(name)}}
	}
	if r.Country != "" {
		m["country"] = mmdbtype.Map{"iso_code": mmdbtype.String(r.Country)}
	}
	if code, name := region(r); code != "" {
		m["subdivisions"] = mmdbtype.Slice{mmdbtype.Map{"iso_code": mmdbtype.String(code)}}
	} else if name != "" {
		m["subdivisions"] = mmdbtype.Slice{named(name)}
	}
	if r.City != "" {
		m["city"] = named(r.City)
	}
	if r.Located {
		m["location"] = mmdbtype.Map{"latitude": mmdbtype.Float64(r.Latitude), "longitude": mmdbtype.Float64(r.Longitude)}
	}
	if r.ASN != 0 {
		m["autonomous_system_number"] = mmdbtype.Uint32(r.ASN)
	}
	if r.ISP != "" {
		m["isp"] = mmdbtype.String(r.ISP)
	}
	return m
}
