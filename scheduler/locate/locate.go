package locate

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"

	"nearcast/cdn"
)

// None is the place of an address that no prefix matches.
const None = -1

// Place is where visitors of some prefixes are.
type Place struct {
	// Location is on earth.
	Location cdn.Location
	// ISP is the carrier; empty if unknown.
	ISP string
}

// Index finds places by address. The zero value knows no place.
//
// Nested prefixes are cut into disjoint ranges when the index is made. So a
// lookup is one binary search, and scopes of two answers never overlap unless they
// are equal, as RFC 7871 section 7.2.1 demands.
type Index struct {
	places []Place
	v4, v6 []span // sorted, disjoint, each covering its family whole; empty if it has no prefix
}

// span is a range of addresses that have the same place; it ends where the next begins.
type span struct {
	first netip.Addr
	place int
}

// New makes an index. Of two equal prefixes the later one counts.
func New(clients []cdn.ClientPrefix) (*Index, error) {
	x := new(Index)
	numbers := make(map[Place]int)
	var v4, v6 []rule
	for _, c := range clients {
		if !c.Prefix.IsValid() || c.Prefix.Addr().Is4In6() {
			return nil, cdn.Errorf(cdn.Invalid, "", "client prefix %q: want an IPv4 or IPv6 prefix such as 192.0.2.0/24", c.Prefix)
		}
		if err := checkLocation(c.Location); err != nil {
			return nil, cdn.Errorf(cdn.Invalid, "", "client prefix %s: %w", c.Prefix, err)
		}
		place := Place{c.Location, c.ISP}
		n, known := numbers[place]
		if !known {
			n = len(x.places)
			numbers[place] = n
			x.places = append(x.places, place)
		}
		if r := (rule{c.Prefix.Masked(), n}); c.Prefix.Addr().Is4() {
			v4 = append(v4, r)
		} else {
			v6 = append(v6, r)
		}
	}
	x.v4 = spans(netip.IPv4Unspecified(), v4)
	x.v6 = spans(netip.IPv6Unspecified(), v6)
	return x, nil
}

func checkLocation(l cdn.Location) error {
	if !(math.Abs(l.Latitude) <= 90) || !(math.Abs(l.Longitude) <= 180) { // written so that NaN fails
		return fmt.Errorf("latitude %v, longitude %v: want -90 to 90 and -180 to 180", l.Latitude, l.Longitude)
	}
	return nil
}

// Places returns all places; a place's number is its index. It must not be changed.
func (x *Index) Places() []Place { return x.places }

// Lookup returns the number of the place of an address, or [None], and the length
// of the shortest prefix around the address in which every address has that same
// place: the scope of an answer made for it. An IPv4 address may be mapped into
// IPv6. The scope is zero if the address's family has no prefixes at all.
func (x *Index) Lookup(addr netip.Addr) (place, scope int) {
	addr = addr.Unmap().WithZone("")
	table := x.v6
	if addr.Is4() {
		table = x.v4
	}
	if len(table) == 0 || !addr.IsValid() {
		return None, 0
	}
	i, exact := slices.BinarySearchFunc(table, addr, func(s span, a netip.Addr) int { return s.first.Compare(a) })
	if !exact {
		i-- // the first span begins at the family's lowest address, so that i was at least 1
	}
	var next netip.Addr
	if i+1 < len(table) {
		next = table[i+1].first
	}
	return table[i].place, widest(addr, table[i].first, next)
}

// widest returns the length of the shortest prefix that has addr and lies within
// [first, next); an invalid next is beyond the family's last address.
func widest(addr, first, next netip.Addr) int {
	for bits := range addr.BitLen() {
		p := netip.PrefixFrom(addr, bits).Masked()
		if p.Addr().Compare(first) >= 0 && (!next.IsValid() || last(p).Compare(next) < 0) {
			return bits
		}
	}
	return addr.BitLen()
}

// last returns the highest address of a prefix.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// rule is a prefix and the number of its place.
type rule struct {
	prefix netip.Prefix
	place  int
}

// spans cuts prefixes, which nest or are disjoint, into ranges. It walks them from
// the lowest address up, outer before inner, with those open at the moment on a stack.
func spans(lowest netip.Addr, rules []rule) []span {
	if len(rules) == 0 {
		return nil
	}
	slices.SortStableFunc(rules, func(a, b rule) int {
		return cmp.Or(a.prefix.Addr().Compare(b.prefix.Addr()), cmp.Compare(a.prefix.Bits(), b.prefix.Bits()))
	})
	out := []span{{lowest, None}}
	var open []rule
	shut := func(until netip.Addr) { // close what ends before until; invalid: everything
		for len(open) > 0 {
			end := last(open[len(open)-1].prefix).Next()
			if until.IsValid() && (!end.IsValid() || end.Compare(until) > 0) {
				return
			}
			open = open[:len(open)-1]
			outer := None
			if len(open) > 0 {
				outer = open[len(open)-1].place
			}
			if end.IsValid() {
				out = begin(out, span{end, outer})
			}
		}
	}
	for _, r := range rules {
		shut(r.prefix.Addr())
		out = begin(out, span{r.prefix.Addr(), r.place})
		open = append(open, r)
	}
	shut(netip.Addr{})
	return out
}

// begin appends a span. It replaces one that would be empty, and continues one
// with the same place, so that scopes are as wide as they can be.
func begin(out []span, s span) []span {
	if n := len(out); out[n-1].first == s.first {
		out = out[:n-1]
	}
	if n := len(out); n > 0 && out[n-1].place == s.place {
		return out
	}
	return append(out, s)
}
