package prefixtable

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// Entry is a prefix and its number.
type Entry struct {
	Prefix netip.Prefix
	// Number is [None] or more: None is what hides a prefix around it.
	Number int32
}

// New makes a table. Of nested prefixes the longest counts, of equal ones the later. Bits behind a prefix's length do not
// matter. An invalid prefix, and one of IPv4 mapped into IPv6, is an error. The entries are not changed.
func New(entries []Entry) (*Table, error) {
	sorted := make([]Entry, len(entries))
	for i, e := range entries {
		if !e.Prefix.IsValid() || e.Prefix.Addr().Is4In6() {
			return nil, fmt.Errorf("prefix %q: want an IPv4 or IPv6 prefix such as 192.0.2.0/24", e.Prefix)
		}
		sorted[i] = Entry{e.Prefix.Masked(), e.Number}
	}
	slices.SortStableFunc(sorted, func(a, b Entry) int {
		return cmp.Or(a.Prefix.Addr().Compare(b.Prefix.Addr()), cmp.Compare(a.Prefix.Bits(), b.Prefix.Bits()))
	})
	var b Builder
	for _, e := range sorted {
		if err := b.Add(e.Prefix, e.Number); err != nil {
			return nil, err
		}
	}
	return b.Table(), nil
}

// Builder makes a table of prefixes that come in order: by address, and of those that begin at the same address the
// shorter first. IPv4 and IPv6 are ordered apart. The zero value is ready.
type Builder struct {
	v4, v6 ranges
}

// Add adds a prefix. It fails for one that is invalid, has bits behind its length, or is out of order.
func (b *Builder) Add(p netip.Prefix, number int32) error {
	if !p.IsValid() || p.Addr().Is4In6() || p != p.Masked() {
		return fmt.Errorf("prefix %q: want one of IPv4 or IPv6 without bits behind its length", p)
	}
	f := &b.v6
	if p.Addr().Is4() {
		f = &b.v4
	}
	if !f.add(wide(p.Addr()), p.Addr().BitLen()-p.Bits(), number) {
		return fmt.Errorf("prefix %s comes after one that it should come before", p)
	}
	return nil
}

// Table returns what has been added. The builder must not be used after that.
func (b *Builder) Table() *Table {
	t := new(Table)
	b.v4.close(address{0, 1<<32 - 1})
	b.v6.close(address{^uint64(0), ^uint64(0)})
	t.setV4(b.v4.all)
	t.setV6(b.v6.all)
	return t
}

func (t *Table) setV4(all []span) {
	if len(all) == 0 {
		return
	}
	t.v4.first, t.v4.number = make([]uint32, len(all)), make([]int32, len(all))
	for i, r := range all {
		t.v4.first[i], t.v4.number[i] = uint32(r.first.lo), r.number //nolint:gosec // of IPv4
	}
	t.v4.index()
}

func (t *Table) setV6(all []span) {
	if len(all) == 0 {
		return
	}
	t.v6.hi, t.v6.lo, t.v6.number = make([]uint64, len(all)), make([]uint64, len(all)), make([]int32, len(all))
	for i, r := range all {
		t.v6.hi[i], t.v6.lo[i], t.v6.number[i] = r.first.hi, r.first.lo, r.number
	}
}

// span is a range of addresses with the same number; it ends where the next begins.
type span struct {
	first  address
	number int32
}

// ranges cuts the prefixes of a family.
type ranges struct {
	all  []span
	open []nested // prefixes that have begun and not ended, from the outermost
	last nested   // the newest one
}

type nested struct {
	first, last address
	number      int32
}

// add begins a prefix at an address. It reports false if the prefix is out of order.
func (r *ranges) add(first address, openBits int, number int32) bool {
	p := nested{first, first.last(openBits), number}
	if len(r.all) > 0 && (p.first.less(r.last.first) || p.first == r.last.first && r.last.last.less(p.last)) {
		return false
	}
	if len(r.all) == 0 {
		r.all = append(r.all, span{number: None})
	}
	for n := len(r.open); n > 0 && r.open[n-1].last.less(first); n-- {
		r.end()
	}
	r.begin(span{first, number})
	r.open = append(r.open, p)
	r.last = p
	return true
}

// end ends the innermost prefix.
func (r *ranges) end() {
	n := len(r.open) - 1
	after := span{r.open[n].last.after(), None}
	if n > 0 {
		after.number = r.open[n-1].number
	}
	r.open = r.open[:n]
	r.begin(after)
}

// close ends all prefixes but those that end with their family.
func (r *ranges) close(highest address) {
	for n := len(r.open); n > 0 && r.open[n-1].last != highest; n-- {
		r.end()
	}
}

// begin appends a range. It replaces one that would be empty, and goes on with one that has the same number.
func (r *ranges) begin(s span) {
	if n := len(r.all); n > 0 && r.all[n-1].first == s.first {
		r.all = r.all[:n-1]
	}
	if n := len(r.all); n > 0 && r.all[n-1].number == s.number {
		return
	}
	r.all = append(r.all, s)
}
