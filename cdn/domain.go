package cdn

import (
	"fmt"
	"net"
	"strings"
)

// Domain is a host name in normal form: lower case, no trailing dot, at least one
// label, at most 253 octets (RFC 1035 section 2.3.4). It is never an IP address.
// International names are written as A-labels (xn--...).
type Domain string

// ParseDomain parses a host name. Letter case and one trailing dot are
// normalised away; everything else must already be right.
func ParseDomain(s string) (Domain, error) {
	d, err := normaliseDomain(s)
	if err != nil {
		return "", Errorf(Invalid, "", "domain %q: %w", clip(s), err)
	}
	return d, nil
}

func normaliseDomain(s string) (Domain, error) {
	s = strings.TrimSuffix(s, ".")
	if s == "" {
		return "", fmt.Errorf("is empty")
	}
	if len(s) > 253 {
		return "", fmt.Errorf("has %d octets, at most 253 are allowed", len(s))
	}
	if net.ParseIP(s) != nil {
		return "", fmt.Errorf("is an IP address; a host name is needed")
	}
	s = asciiLower(s)
	last := ""
	for label := range strings.SplitSeq(s, ".") {
		if err := checkLabel(strings.ReplaceAll(label, "_", "-")); err != nil {
			return "", fmt.Errorf("label %q %w", clip(label), err)
		}
		last = label
	}
	// Browsers read "1.2.3" and "010.0.0.1" as IPv4 addresses; RFC 1123 section 2.1
	// tells the two apart by the last label.
	if strings.Trim(last, "0123456789") == "" {
		return "", fmt.Errorf("ends in a number, as only an IP address does")
	}
	return Domain(s), nil
}

// asciiLower maps A-Z only: a Unicode mapping could turn a foreign letter into
// an ASCII one and so make two different names one.
func asciiLower(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for j := i; j < len(b); j++ {
				if 'A' <= b[j] && b[j] <= 'Z' {
					b[j] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

// UnmarshalText implements [encoding.TextUnmarshaler] with [ParseDomain].
func (d *Domain) UnmarshalText(text []byte) error { return setName(d, text, ParseDomain) }

// Wire returns the name as messages of DNS have it: labels with their lengths in front, and the root's at the end (RFC 1035 section 3.1).
func (d Domain) Wire() []byte {
	wire := make([]byte, 0, len(d)+2)
	for label := range strings.SplitSeq(string(d), ".") {
		wire = append(append(wire, byte(len(label))), label...)
	}
	return append(wire, 0)
}

// Under returns the name that d has inside a zone: "www.shop.example" under
// "cdn.test" is "www.shop.example.cdn.test", the target of the site's CNAME.
func (d Domain) Under(zone Domain) Domain { return d + "." + zone }

// Within returns the part of d in front of zone and true, or false if d is
// neither zone itself (part "") nor below it.
func (d Domain) Within(zone Domain) (part Domain, ok bool) {
	if d == zone {
		return "", true
	}
	if rest, found := strings.CutSuffix(string(d), "."+string(zone)); found {
		return Domain(rest), true
	}
	return "", false
}
