package source

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"nearcast/internal/geo"
)

// column is what one field of each line means.
type column struct {
	name string
	hint string
	read func(l *line, text string) error // nil: it means nothing. The error goes on after the name
}

const columnNames = "prefix, country, region, city, latitude, longitude, asn and isp"

// csvColumns are those that a header can name.
func csvColumns() map[string]column {
	return map[string]column{
		"prefix":    {hint: prefixHint, read: (*line).prefix},
		"country":   {hint: countryHint, read: (*line).country},
		"region":    {read: text(func(r *geo.Record) *string { return &r.Region })},
		"city":      {read: text(func(r *geo.Record) *string { return &r.City })},
		"latitude":  {hint: "degrees, -90 to 90, north is positive", read: (*line).latitude},
		"longitude": {hint: "degrees, -180 to 180, east is positive", read: (*line).longitude},
		"asn":       {hint: "a number from 1 to 4294967295, AS in front of it or not", read: (*line).asn},
		"isp":       {read: text(func(r *geo.Record) *string { return &r.ISP })},
	}
}

// geofeedColumns are those of RFC 8805 section 2.1.1; what is in the fifth, a postal code, is not to be used.
func geofeedColumns() []column {
	return []column{
		{name: "prefix", hint: prefixHint, read: (*line).prefix},
		{name: "country", hint: countryHint, read: (*line).country},
		{name: "region", hint: "the code of a subdivision of the country in ISO 3166-2, such as DE-BY", read: (*line).subdivision},
		{name: "city", read: text(func(r *geo.Record) *string { return &r.City })},
		{name: "postal code"},
	}
}

const (
	prefixHint  = "an IPv4 or IPv6 prefix such as 192.0.2.0/24, or an address"
	countryHint = "a code of ISO 3166-1 with two letters, such as DE"
)

// line is a line that is being read.
type line struct {
	reader    *reader
	fields    []string
	entry     geo.Entry
	latGiven  bool
	longGiven bool
	wrong     bool
}

// end checks what can be known only when all fields are read, and keeps the entry.
func (l *line) end() {
	r := l.reader
	at, _ := r.csv.FieldPos(0)
	switch {
	case l.latGiven != l.longGiven && !l.wrong:
		l.mistake("latitude", "longitude", "there is only one of latitude and longitude", "give both or none")
		return
	case !l.entry.Prefix.IsValid() && !l.wrong:
		r.mistake(len(l.fields)-1, "the line has no prefix", prefixHint)
		return
	}
	if !l.entry.Prefix.IsValid() {
		return
	}
	if before, dup := r.seen[l.entry.Prefix]; dup {
		l.mistake("prefix", "prefix", fmt.Sprintf("prefix %s is already on line %d", l.entry.Prefix, before), "keep one")
		return
	}
	r.seen[l.entry.Prefix] = at
	if l.wrong {
		return
	}
	l.entry.Record.Located = l.latGiven
	l.entry.Record = cloned(l.entry.Record)
	r.entries = append(r.entries, l.entry)
}

// mistake notes one at the first of two columns that the line has.
func (l *line) mistake(column, other, message, hint string) {
	at := 0
	for i, c := range l.reader.columns {
		if i < len(l.fields) && (c.name == column || c.name == other) {
			at = i
			break
		}
	}
	l.reader.mistake(at, message, hint)
}

// cloned lets go of the line that the texts are parts of.
func cloned(r geo.Record) geo.Record {
	r.Country, r.Region, r.City, r.ISP = strings.Clone(r.Country), strings.Clone(r.Region), strings.Clone(r.City), strings.Clone(r.ISP)
	return r
}

func (l *line) prefix(text string) error {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		addr, addrErr := netip.ParseAddr(text)
		if addrErr != nil {
			return fmt.Errorf("%q is not one", clip(text))
		}
		if addr.Zone() != "" {
			return fmt.Errorf("%q has a zone", clip(text))
		}
		p = netip.PrefixFrom(addr, addr.BitLen())
	}
	switch {
	case p != p.Masked():
		return fmt.Errorf("%s has bits behind its length; write %s", p, p.Masked())
	case p.Addr().Is4In6(), p.Addr().Is6() && p.Bits() > 96 && p.Overlaps(netip.MustParsePrefix("::/96")):
		return fmt.Errorf("%s is IPv4 in the form of IPv6; write it as IPv4", p)
	}
	l.entry.Prefix = p
	return nil
}

// country takes ZZ, which ISO 3166 leaves to its users, for unknown, as its users do.
func (l *line) country(text string) error {
	code := strings.ToUpper(text)
	if code == "" || code == "ZZ" {
		return nil
	}
	r := geo.Record{Country: code}
	if r.Check() != nil {
		return fmt.Errorf("%q is no code", clip(text))
	}
	l.entry.Record.Country = code
	return nil
}

// subdivision reads a region that has to be a code.
func (l *line) subdivision(text string) error {
	if text == "" {
		return nil
	}
	code := strings.ToUpper(text)
	country, part, ok := strings.Cut(code, "-")
	switch {
	case !ok || len(country) != 2 || part == "" || len(part) > 3:
		return fmt.Errorf("%q is no code", clip(text))
	case country != l.entry.Record.Country && !l.wrong:
		return fmt.Errorf("%s is not in the country %q", code, l.entry.Record.Country)
	}
	l.entry.Record.Region = code
	return nil
}

func (l *line) latitude(text string) (err error) {
	l.entry.Record.Latitude, l.latGiven, err = degrees(text, 90)
	return err
}

func (l *line) longitude(text string) (err error) {
	l.entry.Record.Longitude, l.longGiven, err = degrees(text, 180)
	return err
}

func degrees(text string, most float64) (d float64, given bool, err error) {
	if text == "" {
		return 0, false, nil
	}
	d, err = strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, true, fmt.Errorf("%q is not a number", clip(text))
	}
	if !(d >= -most && d <= most) { // written so that NaN fails
		return 0, true, fmt.Errorf("%s is out of range", clip(text))
	}
	return d, true, nil
}

func (l *line) asn(text string) error {
	if text == "" {
		return nil
	}
	digits := text
	if len(text) > 2 && strings.EqualFold(text[:2], "AS") {
		digits = text[2:]
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || n == 0 {
		return fmt.Errorf("%q is not the number of an autonomous system", clip(text))
	}
	l.entry.Record.ASN = uint32(n)
	return nil
}

// text reads a text into a field of the record.
func text(field func(*geo.Record) *string) func(*line, string) error {
	return func(l *line, text string) error {
		if err := geo.CheckText(text); err != nil {
			return fmt.Errorf("%q: %w", clip(text), err)
		}
		*field(&l.entry.Record) = text
		return nil
	}
}
