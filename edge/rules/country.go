package rules

import (
	"net/netip"
	"slices"

	"nearcast/cdn"
)

// Countries tells an address's country. It is immutable and safe for concurrent use; nil
// knows no country.
type Countries struct {
	lengths []int // that prefixes have, IPv4 and IPv6 alike, longest first
	codes   map[netip.Prefix]country
}

// country is two upper-case letters.
type country [2]byte

// CompileCountries takes the countries of a fleet's client prefixes. A prefix without two
// upper-case letters for its country is as if it were not there.
func CompileCountries(fleet *cdn.Fleet) *Countries {
	c := &Countries{codes: make(map[netip.Prefix]country)}
	for _, p := range fleet.Clients {
		code, ok := parseCountry(p.Location.Country)
		if !ok || !p.Prefix.IsValid() {
			continue
		}
		if !slices.Contains(c.lengths, p.Prefix.Bits()) {
			c.lengths = append(c.lengths, p.Prefix.Bits())
		}
		c.codes[p.Prefix.Masked()] = code
	}
	slices.SortFunc(c.lengths, func(a, b int) int { return b - a })
	return c
}

func parseCountry(s string) (country, bool) {
	if len(s) != 2 || s[0] < 'A' || s[0] > 'Z' || s[1] < 'A' || s[1] > 'Z' {
		return country{}, false
	}
	return country{s[0], s[1]}, true
}

// Of returns the country of the longest prefix that has the address, or "".
func (c *Countries) Of(addr netip.Addr) string {
	if c == nil || !addr.IsValid() {
		return ""
	}
	addr = addr.Unmap().WithZone("")
	for _, bits := range c.lengths {
		p, err := addr.Prefix(bits)
		if err != nil {
			continue // longer than an IPv4 address
		}
		if code, ok := c.codes[p]; ok {
			return string(code[:])
		}
	}
	return ""
}
