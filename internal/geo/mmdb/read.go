// Package mmdb reads and writes what is known of addresses in the MaxMind DB format: the City, Country, ASN and ISP databases of
// MaxMind (GeoLite2 and GeoIP2), those of others with the same fields, and our own.
//
// It works on octets in memory, not on files.
package mmdb

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"

	"nearcast/internal/geo"
	"nearcast/internal/prefixtable"
)

// stored is what is read of a record, whatever the schema: unknown fields are passed over.
type stored struct {
	Country struct {
		Code string `maxminddb:"iso_code"`
	} `maxminddb:"country"`
	Subdivisions []struct {
		Code  string `maxminddb:"iso_code"`
		Names names  `maxminddb:"names"`
	} `maxminddb:"subdivisions"`
	City struct {
		Names names `maxminddb:"names"`
	} `maxminddb:"city"`
	Location struct {
		Latitude  *float64 `maxminddb:"latitude"`
		Longitude *float64 `maxminddb:"longitude"`
	} `maxminddb:"location"`
	carrier
	// Traits is where GeoIP2 Enterprise has it.
	Traits carrier `maxminddb:"traits"`
}

type names struct {
	English string `maxminddb:"en"`
}

type carrier struct {
	ASN          uint32 `maxminddb:"autonomous_system_number"`
	Organization string `maxminddb:"autonomous_system_organization"`
	ISP          string `maxminddb:"isp"`
}

// record returns what a stored record says.
func (s *stored) record() (geo.Record, error) {
	r := geo.Record{Country: s.Country.Code, City: s.City.Names.English, ASN: s.ASN, ISP: s.name()}
	if len(s.Subdivisions) > 0 { // the first is the largest
		if d := s.Subdivisions[0]; d.Code != "" && r.Country != "" {
			r.Region = r.Country + "-" + d.Code
		} else {
			r.Region = d.Names.English
		}
	}
	if at := s.Location; at.Latitude != nil && at.Longitude != nil {
		r.Latitude, r.Longitude, r.Located = *at.Latitude, *at.Longitude, true
	}
	if r.ASN == 0 {
		r.ASN = s.Traits.ASN
	}
	if r.ISP == "" {
		r.ISP = s.Traits.name()
	}
	return r, r.Check()
}

// name returns the carrier's name: of an ASN database it is the organization's.
func (c *carrier) name() string {
	if c.ISP != "" {
		return c.ISP
	}
	return c.Organization
}

// Read reads a database. The error of one that is damaged, or has nothing that is known here, says so; no database makes it panic.
// What is returned does not refer to data.
func Read(data []byte) (d *geo.Database, err error) {
	defer func() {
		if p := recover(); p != nil { // one file that the library was not ready for must not end all schedulers at once
			d, err = nil, fmt.Errorf("not a MaxMind DB that can be read: %v", p)
		}
	}()
	reader, err := maxminddb.OpenBytes(data)
	if err != nil {
		return nil, fmt.Errorf("not a MaxMind DB that can be read: %w", err)
	}
	defer reader.Close() //nolint:errcheck // there is no file
	r := reading{reader: reader, size: len(data), known: make(map[uintptr]int32)}
	if err := r.all(); err != nil {
		return nil, err
	}
	if len(r.numbers.Records) == 0 {
		return nil, fmt.Errorf("a %q database has no country, place, ASN or ISP; want one like GeoLite2-City, -ASN or GeoIP2-ISP, or of nearcast geo build",
			reader.Metadata.DatabaseType)
	}
	built := time.Time{}
	if epoch := reader.Metadata.BuildEpoch; epoch > 0 && epoch < 1<<40 {
		built = reader.Metadata.BuildTime()
	}
	return &geo.Database{Table: r.table.Table(), Records: r.numbers.Records, Type: reader.Metadata.DatabaseType, Built: built}, nil
}

// reading is one run of [Read].
type reading struct {
	reader  *maxminddb.Reader
	size    int // of the database, in octets: it has fewer nodes
	table   prefixtable.Builder
	numbers geo.Numbers
	known   map[uintptr]int32 // number by where the record is
}

// all reads every network. A search tree of n nodes has n+1 leaves; one that comes to many more is none, and would not end.
func (r *reading) all() error {
	left := 4*min(r.reader.Metadata.NodeCount, uint(r.size)) + 1024
	for result := range r.reader.Networks(maxminddb.IncludeNetworksWithoutData()) {
		if left--; left == 0 {
			return errors.New("the database is damaged: its search tree is no tree")
		}
		if err := result.Err(); err != nil {
			return fmt.Errorf("the database is damaged: %w", err)
		}
		if !result.Found() {
			continue
		}
		n, err := r.number(result)
		if err == nil {
			err = r.add(result.Prefix(), n)
		}
		if err != nil {
			return fmt.Errorf("the database is damaged at %s: %w", result.Prefix(), err)
		}
	}
	return nil
}

func (r *reading) number(result maxminddb.Result) (int32, error) {
	if n, known := r.known[result.Offset()]; known {
		return n, nil
	}
	var s stored
	if err := result.Decode(&s); err != nil {
		return 0, err
	}
	record, err := s.record()
	if err != nil {
		return 0, err
	}
	n := r.numbers.Of(record)
	r.known[result.Offset()] = n
	return n, nil
}

// add adds a network. IPv4 is in ::/96; a network around that holds for both families.
func (r *reading) add(p netip.Prefix, n int32) error {
	if p.Addr().Is6() && p.Addr() == netip.IPv6Unspecified() && p.Bits() < 96 {
		if err := r.table.Add(netip.PrefixFrom(netip.IPv4Unspecified(), 0), n); err != nil {
			return err
		}
	}
	if p.Addr().Is4In6() { // nobody asks for them: they are taken for IPv4
		return nil
	}
	return r.table.Add(p, n)
}

// region splits a region into the code of a subdivision or, if it is none of the country, a name.
func region(r *geo.Record) (code, name string) {
	if code, ok := strings.CutPrefix(r.Region, r.Country+"-"); ok && r.Country != "" && code != "" {
		return code, ""
	}
	return "", r.Region
}
