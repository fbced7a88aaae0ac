package rules

import (
	"net/netip"

	"nearcast/cdn"
	"nearcast/internal/geo"
	"nearcast/internal/prefixtable"
)

// Countries tells an address's country. It is immutable and safe for concurrent use; nil
// knows no country.
type Countries struct {
	codes []string
	table *prefixtable.Table // numbers of codes
	under *Countries         // asked for what is not in table; may be nil
}

// CompileCountries takes the countries of a fleet's client prefixes. A prefix without two
// upper-case letters for its country is as if it were not there.
func CompileCountries(fleet *cdn.Fleet) *Countries {
	c := new(Countries)
	numbers := make(map[string]int32)
	var entries []prefixtable.Entry
	for _, p := range fleet.Clients {
		if isCountry(p.Location.Country) && p.Prefix.IsValid() && !p.Prefix.Addr().Is4In6() {
			entries = append(entries, prefixtable.Entry{Prefix: p.Prefix, Number: c.number(numbers, p.Location.Country)})
		}
	}
	c.table, _ = prefixtable.New(entries) // fails for prefixes that are left out above
	return c
}

// CountriesOf takes the countries of a database; nil of none.
func CountriesOf(database *geo.Database) *Countries {
	if database == nil {
		return nil
	}
	c := new(Countries)
	numbers := make(map[string]int32)
	c.table = database.Table.Map(func(record int32) int32 {
		if code := database.Records[record].Country; isCountry(code) {
			return c.number(numbers, code)
		}
		return prefixtable.None
	})
	return c
}

// number returns the number of a country, which it gives it if it has none.
func (c *Countries) number(numbers map[string]int32, code string) int32 {
	n, known := numbers[code]
	if !known {
		n = int32(len(c.codes)) //nolint:gosec // of 26 * 26 at most
		numbers[code] = n
		c.codes = append(c.codes, code)
	}
	return n
}

func isCountry(s string) bool {
	return len(s) == 2 && 'A' <= s[0] && s[0] <= 'Z' && 'A' <= s[1] && s[1] <= 'Z'
}

// Over returns what c knows and, where it knows nothing, what under knows.
func (c *Countries) Over(under *Countries) *Countries {
	if c == nil {
		return under
	}
	return &Countries{codes: c.codes, table: c.table, under: under}
}

// Of returns the country of the longest prefix that has the address, or "".
func (c *Countries) Of(addr netip.Addr) string {
	for ; c != nil; c = c.under {
		if n, _ := c.table.Lookup(addr); n != prefixtable.None {
			return c.codes[n]
		}
	}
	return ""
}
