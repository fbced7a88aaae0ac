// Package dnsrecord reads resource records from their text, as it stands in zone files (RFC 1035 section 5), into wire form.
//
// It reads one record at a time and knows nothing of zones; what may stand beside what is for others.
package dnsrecord

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// MaxData is how many octets the data of a record may have, as text.
const MaxData = 16 << 10

// Record is a resource record in wire form.
type Record struct {
	// Owner is the record's name, in lower case.
	Owner []byte
	// Type is its type.
	Type uint16
	// Data is its RDATA, uncompressed and canonical (RFC 4034 section 6.2).
	Data []byte
	// Target is the name that a record of type NS or CNAME leads to, in lower case and wire form; nil for others.
	Target []byte
}

// Parse reads a record. The origin is the zone's name; name is relative to it, or "@". Names in data that do not end in a dot are relative
// to the origin. Types that the servers of a zone make themselves, such as SOA and RRSIG, are refused.
func Parse(origin, name, typ, data string) (Record, error) {
	owner, err := Owner(origin, name)
	if err != nil {
		return Record{}, err
	}
	code, err := Type(typ)
	if err != nil {
		return Record{}, err
	}
	if err := checkData(data); err != nil {
		return Record{}, err
	}
	rr, err := parseLine(origin, strings.ToUpper(typ), data)
	if err != nil {
		return Record{}, err
	}
	if rr.Header().Rrtype != code {
		return Record{}, fmt.Errorf("data of type %s is read as that of a %s", clip(typ), dns.TypeToString[rr.Header().Rrtype])
	}
	if err := checkAddress(rr); err != nil {
		return Record{}, err
	}
	r := Record{Owner: owner, Type: code}
	if r.Data, err = pack(rr); err != nil {
		return Record{}, err
	}
	if code == dns.TypeNS || code == dns.TypeCNAME {
		r.Target = r.Data
	}
	return r, nil
}

// parseLine reads the record as a line of a zone file, whose owner is the origin.
func parseLine(origin, typ, data string) (dns.RR, error) {
	p := dns.NewZoneParser(strings.NewReader("@ 0 IN "+typ+" "+data+"\n"), dns.Fqdn(origin), "")
	rr, ok := p.Next()
	if err := p.Err(); err != nil {
		return nil, fmt.Errorf("%s %s: %s", typ, quote(data), explain(err))
	}
	if !ok || rr == nil {
		return nil, fmt.Errorf("%s %s: there is no data", typ, quote(data))
	}
	if _, more := p.Next(); more || p.Err() != nil {
		return nil, fmt.Errorf("%s %s: is more than one record", typ, quote(data))
	}
	return rr, nil
}

// explain is what the parser says, without the place, which is that of a line of our making.
func explain(err error) string {
	text := strings.TrimPrefix(strings.TrimSpace(err.Error()), "dns: ")
	text, _, _ = strings.Cut(text, " at line:")
	if pe, ok := errors.AsType[*dns.ParseError](err); ok && pe != nil {
		text = strings.TrimSuffix(text, ":")
	}
	return clip(text)
}

// checkData refuses what the parser would take for more, or less, than a record's data.
func checkData(data string) error {
	switch {
	case strings.TrimSpace(data) == "":
		return errors.New("the data is empty")
	case len(data) > MaxData:
		return fmt.Errorf("the data has %d octets, at most %d are allowed", len(data), MaxData)
	}
	quoted := false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c < ' ' && c != '\t' || c == 0x7f:
			return fmt.Errorf("%s has the control character %U", quote(data), rune(c))
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case (c == ';' || c == '(' || c == ')') && !quoted:
			return fmt.Errorf("%s has %q, which starts a comment or a second line in a zone file; put quotes around the text", quote(data), rune(c))
		}
	}
	if quoted {
		return fmt.Errorf("%s has a quote that is not closed", quote(data))
	}
	return nil
}

// checkAddress refuses addresses that the parser takes but nobody means.
func checkAddress(rr dns.RR) error {
	var ip []byte
	switch r := rr.(type) {
	case *dns.A:
		ip = r.A.To4()
	case *dns.AAAA:
		ip = r.AAAA.To16()
	default:
		return nil
	}
	addr, ok := netip.AddrFromSlice(ip)
	if !ok || addr.IsUnspecified() || addr.IsMulticast() || addr.Is4In6() {
		return fmt.Errorf("address %s is not the address of a machine", addr)
	}
	return nil
}

// pack returns the RDATA, with names in lower case where the canonical form has them so.
func pack(rr dns.RR) ([]byte, error) {
	lowerNames(rr)
	buf := make([]byte, dns.Len(rr)+64)
	end, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return nil, fmt.Errorf("cannot be written as a record: %s", explain(err))
	}
	const header = 11 // the owner was the origin, whose length is not known here; type, class, TTL and length are ten octets after it
	_, start, err := dns.UnpackDomainName(buf[:end], 0)
	if err != nil {
		return nil, fmt.Errorf("cannot be written as a record: %s", explain(err))
	}
	start += header - 1
	if end-start > 0xffff || end < start {
		return nil, errors.New("is longer than a record may be")
	}
	return append([]byte(nil), buf[start:end]...), nil
}

// lowerNames follows RFC 4034 section 6.2, point 3, as RFC 6840 section 5.1 has mended it.
func lowerNames(rr dns.RR) {
	lower := func(names ...*string) {
		for _, n := range names {
			*n = lowerASCII(*n)
		}
	}
	switch r := rr.(type) {
	case *dns.NS:
		lower(&r.Ns)
	case *dns.CNAME:
		lower(&r.Target)
	case *dns.PTR:
		lower(&r.Ptr)
	case *dns.MX:
		lower(&r.Mx)
	case *dns.SRV:
		lower(&r.Target)
	case *dns.RP:
		lower(&r.Mbox, &r.Txt)
	case *dns.AFSDB:
		lower(&r.Hostname)
	case *dns.RT:
		lower(&r.Host)
	case *dns.KX:
		lower(&r.Exchanger)
	case *dns.NAPTR:
		lower(&r.Replacement)
	case *dns.PX:
		lower(&r.Map822, &r.Mapx400)
	case *dns.MINFO:
		lower(&r.Rmail, &r.Email)
	case *dns.MB:
		lower(&r.Mb)
	case *dns.MG:
		lower(&r.Mg)
	case *dns.MR:
		lower(&r.Mr)
	}
}

func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

func quote(s string) string { return fmt.Sprintf("%q", clip(s)) }

func clip(s string) string {
	if len(s) <= 80 {
		return s
	}
	return strings.ToValidUTF8(s[:80], "") + "..."
}
