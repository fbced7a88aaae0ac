// Package geo is what can be known of an IP address beforehand: where it is, and whose. Its subfolders read that from
// databases (mmdb), from the files that an operator writes by hand (source), and keep it current (watch).
//
// It is pure. It is not for what is measured, and knows nothing of who asks.
package geo

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"nearcast/internal/prefixtable"
)

// Record is what is known of some addresses. Each field may be unknown, which is its zero value. Records are comparable.
type Record struct {
	// Country is an ISO 3166-1 code of two capitals.
	Country string
	// Region is an ISO 3166-2 code such as DE-BY, or a name.
	Region string
	City   string
	// Latitude and Longitude are in degrees, north and east positive; they mean something only if Located is set.
	Latitude  float64
	Longitude float64
	Located   bool
	// ASN is the number of the autonomous system.
	ASN uint32
	// ISP is the carrier's name.
	ISP string
}

// Filled returns the record with what it leaves open taken from another one. What says where it is (country, region, city,
// coordinates) is taken as a whole: a city of one source with the country of another is nowhere.
func (r Record) Filled(from Record) Record {
	if r.Country == "" && r.Region == "" && r.City == "" && !r.Located {
		r.Country, r.Region, r.City = from.Country, from.Region, from.City
		r.Latitude, r.Longitude, r.Located = from.Latitude, from.Longitude, from.Located
	}
	if r.ASN == 0 {
		r.ASN = from.ASN
	}
	if r.ISP == "" {
		r.ISP = from.ISP
	}
	return r
}

// Entry is what is known of a prefix. The zero Record says that nothing is, whatever is known of a prefix around it.
type Entry struct {
	Prefix netip.Prefix
	Record Record
}

// Database is what is known of all addresses. It is immutable and safe for concurrent use.
type Database struct {
	// Table has the numbers of records.
	Table *prefixtable.Table
	// Records are all different, and none is the zero Record.
	Records []Record
	// Type is what the source calls itself, such as GeoLite2-City; empty for one that was put together.
	Type string
	// Built is when the source was made, of several the oldest; zero if unknown.
	Built time.Time
}

// Lookup returns what is known of an address, and the shortest prefix around it in which the same is known of every address.
// The prefix is invalid if the address is.
func (d *Database) Lookup(addr netip.Addr) (Record, netip.Prefix) {
	addr = addr.Unmap().WithZone("")
	n, length := d.Table.Lookup(addr)
	prefix, _ := addr.Prefix(length) // fails for no address only
	if n == prefixtable.None {
		return Record{}, prefix
	}
	return d.Records[n], prefix
}

// Numbers gives different records numbers, in the order in which they come first. The zero value is ready.
type Numbers struct {
	// Records are those that have got a number.
	Records []Record
	numbers map[Record]int32
}

// Of returns the record's number: [prefixtable.None] for the zero Record.
func (n *Numbers) Of(r Record) int32 {
	if r == (Record{}) {
		return prefixtable.None
	}
	if n.numbers == nil {
		n.numbers = make(map[Record]int32)
	}
	number, known := n.numbers[r]
	if !known {
		number = int32(len(n.Records)) //nolint:gosec // fewer than fit into memory
		n.numbers[r] = number
		n.Records = append(n.Records, r)
	}
	return number
}

// Merge puts databases together: each field of an address's record comes from the first that knows it, as [Record.Filled] says.
// Without any it returns nil.
func Merge(databases ...*Database) *Database {
	if len(databases) == 0 {
		return nil
	}
	all := databases[0]
	for _, d := range databases[1:] {
		all = merge(all, d)
	}
	return all
}

func merge(over, under *Database) *Database {
	var numbers Numbers
	type pair struct{ over, under int32 }
	made := make(map[pair]int32)
	table := prefixtable.Merge(over.Table, under.Table, func(o, u int32) int32 {
		n, known := made[pair{o, u}]
		if !known {
			n = numbers.Of(over.record(o).Filled(under.record(u)))
			made[pair{o, u}] = n
		}
		return n
	})
	built := over.Built
	if built.IsZero() || !under.Built.IsZero() && under.Built.Before(built) {
		built = under.Built
	}
	return &Database{Table: table, Records: numbers.Records, Built: built}
}

func (d *Database) record(n int32) Record {
	if n == prefixtable.None {
		return Record{}
	}
	return d.Records[n]
}

// maxText is the longest text of a record, in octets.
const maxText = 256

// Check refuses what cannot be: coordinates that are nowhere on earth, a country that is no code, texts that are too long or
// have control characters in them.
func (r *Record) Check() error {
	if r.Country != "" && !isCode(r.Country) {
		return fmt.Errorf("country %q: want two capitals, a code of ISO 3166-1 such as DE", clip(r.Country))
	}
	if !(math.Abs(r.Latitude) <= 90) || !(math.Abs(r.Longitude) <= 180) { // written so that NaN fails
		return fmt.Errorf("latitude %v, longitude %v: want -90 to 90 and -180 to 180", r.Latitude, r.Longitude)
	}
	for _, text := range [...]struct{ what, text string }{{"region", r.Region}, {"city", r.City}, {"isp", r.ISP}} {
		if err := CheckText(text.text); err != nil {
			return fmt.Errorf("%s %q: %w", text.what, clip(text.text), err)
		}
	}
	return nil
}

func isCode(s string) bool {
	return len(s) == 2 && 'A' <= s[0] && s[0] <= 'Z' && 'A' <= s[1] && s[1] <= 'Z'
}

// CheckText refuses what is no text of a record: too long, not UTF-8, or with control characters.
func CheckText(s string) error {
	if len(s) > maxText {
		return fmt.Errorf("%d octets are too long; at most %d", len(s), maxText)
	}
	if !utf8.ValidString(s) {
		return errors.New("it is not UTF-8")
	}
	if strings.ContainsFunc(s, unicode.IsControl) {
		return errors.New("it has control characters")
	}
	return nil
}

// clip shortens what is quoted in an error.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}
