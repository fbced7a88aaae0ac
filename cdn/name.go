package cdn

import (
	"fmt"
	"strings"
)

// Names of things. Each is a DNS label in lower case: letters, digits and inner
// hyphens, 1 to 63 octets, so that every one of them can stand in a host name,
// a file name and a metric label without quoting.
type (
	// SiteName names a site within the CDN.
	SiteName string
	// NodeName names one node; unique within the fleet.
	NodeName string
	// POPName names a point of presence.
	POPName string
	// RegionName names a region: the POPs that share regional (L2) nodes.
	RegionName string
)

// ParseSiteName parses a site's name.
func ParseSiteName(s string) (SiteName, error) { return parseName[SiteName]("site name", s) }

// ParseNodeName parses a node's name.
func ParseNodeName(s string) (NodeName, error) { return parseName[NodeName]("node name", s) }

// ParsePOPName parses a POP's name.
func ParsePOPName(s string) (POPName, error) { return parseName[POPName]("POP name", s) }

// ParseRegionName parses a region's name.
func ParseRegionName(s string) (RegionName, error) { return parseName[RegionName]("region name", s) }

// UnmarshalText implements [encoding.TextUnmarshaler] with [ParseSiteName].
func (n *SiteName) UnmarshalText(text []byte) error { return setName(n, text, ParseSiteName) }

// UnmarshalText implements [encoding.TextUnmarshaler] with [ParseNodeName].
func (n *NodeName) UnmarshalText(text []byte) error { return setName(n, text, ParseNodeName) }

// UnmarshalText implements [encoding.TextUnmarshaler] with [ParsePOPName].
func (n *POPName) UnmarshalText(text []byte) error { return setName(n, text, ParsePOPName) }

// UnmarshalText implements [encoding.TextUnmarshaler] with [ParseRegionName].
func (n *RegionName) UnmarshalText(text []byte) error { return setName(n, text, ParseRegionName) }

func setName[T ~string](dst *T, text []byte, parse func(string) (T, error)) error {
	v, err := parse(string(text))
	if err == nil {
		*dst = v
	}
	return err
}

func parseName[T ~string](what, s string) (T, error) {
	if err := checkLabel(s); err != nil {
		return "", Errorf(Invalid, "", "%s %q: %w", what, clip(s), err)
	}
	return T(s), nil
}

// checkLabel reports why s is not a lower-case LDH label (RFC 1123 section 2.1,
// RFC 5890 section 2.3.1), or nil.
func checkLabel(s string) error {
	switch {
	case s == "":
		return fmt.Errorf("is empty")
	case len(s) > 63:
		return fmt.Errorf("has %d octets, at most 63 are allowed", len(s))
	case s[0] == '-' || s[len(s)-1] == '-':
		return fmt.Errorf("starts or ends with a hyphen")
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return fmt.Errorf("has %q; only a-z, 0-9 and inner hyphens are allowed", rune(c))
		}
	}
	return nil
}

// clip shortens s for an error message, so that hostile input cannot flood a log.
func clip(s string) string {
	if len(s) <= 80 {
		return s
	}
	return strings.ToValidUTF8(s[:80], "") + "..."
}
