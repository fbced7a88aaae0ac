package dnsrecord

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// Owner returns the name of a record of a zone in wire form, in lower case: "www", "*.dev", "_acme-challenge.www", or "@" for the
// zone's own.
func Owner(origin, name string) ([]byte, error) {
	if name == "@" {
		return wireName(origin)
	}
	switch {
	case name == "":
		return nil, errors.New(`the name is empty; write "@" for the zone itself`)
	case strings.HasSuffix(name, "."):
		return nil, fmt.Errorf("name %s ends in a dot; names are relative to the zone %s", quote(name), origin)
	}
	rest := name
	if name == "*" {
		rest = ""
	} else if after, ok := strings.CutPrefix(name, "*."); ok {
		rest = after
	}
	for label := range strings.SplitSeq(rest, ".") {
		if label == "" && rest == "" {
			break
		}
		if err := checkLabel(label); err != nil {
			return nil, fmt.Errorf("name %s: %w", quote(name), err)
		}
	}
	wire, err := wireName(name + "." + origin)
	if err != nil {
		return nil, fmt.Errorf("name %s is too long under %s: a name has at most 253 octets", quote(name), origin)
	}
	return wire, nil
}

// checkLabel allows the letters of host names and the underscore.
func checkLabel(label string) error {
	if label == "" || len(label) > 63 {
		return fmt.Errorf("label %s has %d octets; 1 to 63 are allowed", quote(label), len(label))
	}
	for i := range len(label) {
		switch c := label[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		case c == '*':
			return errors.New("an asterisk stands alone as the first label")
		default:
			return fmt.Errorf("label %s has %q; letters, digits, hyphens and underscores are allowed", quote(label), rune(c))
		}
	}
	return nil
}

// wireName returns a domain name in wire form, in lower case. It has no escapes; a dot at the end makes no difference.
func wireName(s string) ([]byte, error) {
	s = strings.TrimSuffix(s, ".")
	if len(s) == 0 || len(s) > 253 {
		return nil, fmt.Errorf("name %s has %d octets; 1 to 253 are allowed", quote(s), len(s))
	}
	wire := make([]byte, 0, len(s)+2)
	for label := range strings.SplitSeq(lowerASCII(s), ".") {
		if label == "" || len(label) > 63 {
			return nil, fmt.Errorf("name %s has a label of %d octets; 1 to 63 are allowed", quote(s), len(label))
		}
		wire = append(wire, byte(len(label)))
		wire = append(wire, label...)
	}
	return append(wire, 0), nil
}

// Type returns the number of a type of records that a zone may have in its text.
func Type(s string) (uint16, error) {
	name := strings.ToUpper(s)
	code, known := dns.StringToType[name]
	if digits, ok := strings.CutPrefix(name, "TYPE"); !known && ok {
		n, err := strconv.ParseUint(digits, 10, 16)
		if err == nil && n > 0 {
			code, known = uint16(n), true
		}
	}
	switch {
	case !known:
		return 0, fmt.Errorf("type %s is not known; write TYPE and its number for one that is new (RFC 3597)", quote(s))
	case code == dns.TypeSOA, code == dns.TypeRRSIG, code == dns.TypeSIG, code == dns.TypeNSEC, code == dns.TypeNSEC3, code == dns.TypeNSEC3PARAM,
		code == dns.TypeDNSKEY, code == dns.TypeCDS, code == dns.TypeCDNSKEY, code == dns.TypeZONEMD, code == dns.TypeCSYNC:
		return 0, fmt.Errorf("records of type %s are made by the servers themselves", name)
	case code == dns.TypeDNAME:
		return 0, errors.New("records of type DNAME are not supported; write a CNAME for each name, or for *")
	case code == dns.TypeOPT, code >= 128 && code <= 255, code == dns.TypeNone, code == dns.TypeNULL:
		return 0, fmt.Errorf("type %s is for messages, no zone has such records", name)
	}
	return code, nil
}
