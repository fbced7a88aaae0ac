package prefixtable

import (
	"iter"
	"net/netip"
)

// Merge puts one table over another: an address has the number that combine makes of its numbers in both, either of which may
// be [None]. It is called once for each range that has the same two numbers throughout, from the lowest address up.
func Merge(over, under *Table, combine func(over, under int32) int32) *Table {
	t := new(Table)
	t.setV4(merge(over.v4.spans(), under.v4.spans(), combine))
	t.setV6(merge(over.v6.spans(), under.v6.spans(), combine))
	return t
}

func (f *family4) spans() side {
	return side{len(f.first), func(i int) span { return span{address{0, uint64(f.first[i])}, f.number[i]} }}
}

func (f *family6) spans() side {
	return side{len(f.hi), func(i int) span { return span{address{f.hi[i], f.lo[i]}, f.number[i]} }}
}

// side is one of two families that are merged.
type side struct {
	n  int
	at func(int) span
}

// begins reports whether a range, the i-th of n, begins at an address or before.
func (s side) begins(i int, a address) bool { return i < s.n && !a.less(s.at(i).first) }

func merge(over, under side, combine func(over, under int32) int32) []span {
	if over.n == 0 && under.n == 0 {
		return nil
	}
	var r ranges
	top, bottom := int32(None), int32(None)
	for i, k := 0, 0; i < over.n || k < under.n; {
		var first address
		switch {
		case i == over.n:
			first = under.at(k).first
		case k == under.n || over.at(i).first.less(under.at(k).first):
			first = over.at(i).first
		default:
			first = under.at(k).first
		}
		if over.begins(i, first) {
			top, i = over.at(i).number, i+1
		}
		if under.begins(k, first) {
			bottom, k = under.at(k).number, k+1
		}
		r.begin(span{first, combine(top, bottom)})
	}
	return r.all
}

// Map returns the table with other numbers; None stays None. Ranges that become equal to their neighbours are joined.
func (t *Table) Map(number func(int32) int32) *Table {
	return Merge(t, new(Table), func(n, _ int32) int32 {
		if n == None {
			return None
		}
		return number(n)
	})
}

// Ranges returns the first address and the number of each range, IPv4 before IPv6, from the lowest up. A range ends where the
// next begins or with its family; that without prefixes has none.
func (t *Table) Ranges() iter.Seq2[netip.Addr, int] {
	return func(yield func(netip.Addr, int) bool) {
		for i, a := range t.v4.first {
			if !yield(netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)}), int(t.v4.number[i])) {
				return
			}
		}
		for i := range t.v6.hi {
			var b [16]byte
			for k := range 8 {
				b[k], b[8+k] = byte(t.v6.hi[i]>>(56-8*k)), byte(t.v6.lo[i]>>(56-8*k)) //nolint:gosec // an octet of it
			}
			if !yield(netip.AddrFrom16(b), int(t.v6.number[i])) {
				return
			}
		}
	}
}
