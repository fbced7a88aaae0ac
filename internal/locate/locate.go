package locate

import (
	"fmt"
	"math"
	"net/netip"

	"nearcast/cdn"
	"nearcast/internal/geo"
	"nearcast/internal/prefixtable"
)

// None is the place of an address that nothing is known of.
const None = prefixtable.None

// Place is where visitors of some prefixes are.
type Place struct {
	// Location is on earth. Its country may be known when its coordinates are not.
	Location cdn.Location
	// Coordinates says what the coordinates of Location are worth.
	Coordinates Coordinates
	// Region is an ISO 3166-2 code or a name, and City a name; empty if unknown.
	Region, City string
	// ASN is the visitor's autonomous system; zero if unknown.
	ASN uint32
	// ISP is the carrier; empty if unknown.
	ISP string
}

// Coordinates are what is known of a place's latitude and longitude.
type Coordinates uint8

// What coordinates may be.
const (
	Unknown Coordinates = iota // they mean nothing
	Guessed                    // the middle of other places in the same city, region or country
	Given                      // they are the place's own
)

// Index finds places by address. It is immutable and safe for concurrent use; the zero value knows no place.
//
// A lookup is one binary search in disjoint ranges, without allocations. So scopes of two answers never overlap unless they are
// equal, as RFC 7871 section 7.2.1 demands.
type Index struct {
	places []Place
	table  prefixtable.Table
}

// New makes an index. What the longest client prefix that has an address says counts; what it leaves open (country, ISP, AS) is
// taken from the database, which may be nil. Of two equal prefixes the later one counts.
func New(clients []cdn.ClientPrefix, database *geo.Database) (*Index, error) {
	var fleet geo.Numbers
	entries := make([]prefixtable.Entry, len(clients))
	for i, c := range clients {
		if !c.Prefix.IsValid() || c.Prefix.Addr().Is4In6() {
			return nil, cdn.Errorf(cdn.Invalid, "", "client prefix %q: want an IPv4 or IPv6 prefix such as 192.0.2.0/24", c.Prefix)
		}
		if err := checkLocation(c.Location); err != nil {
			return nil, cdn.Errorf(cdn.Invalid, "", "client prefix %s: %w", c.Prefix, err)
		}
		entries[i] = prefixtable.Entry{Prefix: c.Prefix, Number: fleet.Of(geo.Record{
			Country: c.Location.Country, Latitude: c.Location.Latitude, Longitude: c.Location.Longitude, Located: true, ISP: c.ISP,
		})}
	}
	table, err := prefixtable.New(entries)
	if err != nil {
		return nil, cdn.Errorf(cdn.Invalid, "", "client %w", err)
	}
	if database == nil {
		database = &geo.Database{Table: new(prefixtable.Table)}
	}
	records, table := join(fleet.Records, table, database)
	return &Index{places: places(records), table: *table}, nil
}

// join puts what the fleet says over what the database says.
func join(fleet []geo.Record, over *prefixtable.Table, database *geo.Database) ([]geo.Record, *prefixtable.Table) {
	var numbers geo.Numbers
	type pair struct{ over, under int32 }
	made := make(map[pair]int32)
	table := prefixtable.Merge(over, database.Table, func(o, u int32) int32 {
		n, known := made[pair{o, u}]
		if known {
			return n
		}
		var r geo.Record
		if u != None {
			r = database.Records[u]
		}
		if o != None {
			r = override(fleet[o], r)
		}
		n = numbers.Of(r)
		made[pair{o, u}] = n
		return n
	})
	return numbers.Records, table
}

// override returns the fleet's record with what it leaves open. The database's city and region are not taken: they are
// where the fleet says that the visitor is not.
func override(fleet, database geo.Record) geo.Record {
	country := fleet.Country
	if country == "" {
		country = database.Country
	}
	fleet = fleet.Filled(database)
	fleet.Country = country
	return fleet
}

// places turns records into places.
func places(records []geo.Record) []Place {
	all := make([]Place, len(records))
	middles := middlesOf(records)
	for i := range records {
		r := &records[i]
		p := Place{Location: cdn.Location{Country: r.Country}, Region: r.Region, City: r.City, ASN: r.ASN, ISP: r.ISP}
		if r.Located {
			p.Location.Latitude, p.Location.Longitude, p.Coordinates = r.Latitude, r.Longitude, Given
		} else if m, ok := middles.of(r); ok {
			p.Location.Latitude, p.Location.Longitude, p.Coordinates = m.Latitude, m.Longitude, Guessed
		}
		all[i] = p
	}
	return all
}

func checkLocation(l cdn.Location) error {
	if !(math.Abs(l.Latitude) <= 90) || !(math.Abs(l.Longitude) <= 180) { // written so that NaN fails
		return fmt.Errorf("latitude %v, longitude %v: want -90 to 90 and -180 to 180", l.Latitude, l.Longitude)
	}
	return nil
}

// Places returns all places; a place's number is its index. It must not be changed.
func (x *Index) Places() []Place { return x.places }

// Ranges returns how many disjoint ranges of addresses the index has.
func (x *Index) Ranges() int { return x.table.Len() }

// Lookup returns the number of the place of an address, or [None], and the length
// of the shortest prefix around the address in which every address has that same
// place: the scope of an answer made for it. An IPv4 address may be mapped into
// IPv6. The scope is zero if the address's family has no prefixes at all.
func (x *Index) Lookup(addr netip.Addr) (place, scope int) { return x.table.Lookup(addr) }
