package assign

import (
	"encoding/binary"
	"strings"

	"nearcast/cdn"
)

// The form of a map in octets: this line; then how many POPs, and their names; how many groups, and their IDs; and the groups' rows. Numbers
// have 2 or 4 octets, the lowest first; strings are preceded by their length in one. There is one form for each map.
const magic = "nearcast map 1\n"

// AppendBinary appends the map in the form that [ParseMap] reads. It never fails.
func (m *Map) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(m.names.pops)))
	for _, name := range m.names.pops {
		b = append(append(b, byte(len(name))), name...)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(m.rows)))
	for _, id := range m.names.groups {
		b = append(append(b, byte(len(id))), id...)
	}
	for g := range m.rows {
		b = m.rows[g].append(b)
	}
	return b, nil
}

// ParseMap reads a map from what [Map.AppendBinary] has written. It refuses everything else.
func ParseMap(b []byte) (*Map, error) {
	rest, ok := strings.CutPrefix(string(b), magic)
	if !ok {
		return nil, refuse("not a map: it does not begin with %q", magic)
	}
	r := reader{rest: rest}
	n := &names{}
	for range r.count(MaxPOPs) {
		n.pops = append(n.pops, cdn.POPName(r.name()))
	}
	for range r.count(len(rest)) {
		n.groups = append(n.groups, r.name())
	}
	if r.failed || len(n.pops) == 0 || len(n.groups) == 0 || !ascending(n.pops) || !ascending(n.groups) {
		return nil, refuse("the map is damaged: its names are cut off, missing, or not in order")
	}
	m := &Map{names: n, rows: make([]shareRow, len(n.groups))}
	for g := range m.rows {
		if m.rows[g] = r.row(len(n.pops)); r.failed {
			return nil, refuse("the map is damaged: at group %q", n.groups[g])
		}
	}
	if r.rest != "" {
		return nil, refuse("the map is damaged: %d octets too many", len(r.rest))
	}
	return m, nil
}

// reader takes from the front; whatever it takes after a failure is zero.
type reader struct {
	rest   string
	failed bool
}

func (r *reader) take(n int) string {
	if r.failed || n > len(r.rest) {
		r.failed = true
		return strings.Repeat("\x00", min(n, 8))
	}
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

// count takes a number of things, of which each has an octet at least.
func (r *reader) count(most int) int {
	n := int(binary.LittleEndian.Uint32([]byte(r.take(4))))
	if n > most || n > len(r.rest) {
		r.failed = true
	}
	if r.failed {
		return 0
	}
	return n
}

func (r *reader) name() string { return r.take(int(r.take(1)[0])) }

// row takes a row, which must be one that could have been made.
func (r *reader) row(pops int) (row shareRow) {
	row.n = r.take(1)[0]
	if row.n > MaxShares {
		r.failed = true
		return shareRow{}
	}
	sum := 0
	for i := range row.n {
		b := []byte(r.take(4))
		s := Share{binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:])}
		twice := false
		for _, o := range row.shares[:i] {
			twice = twice || o.POP == s.POP
		}
		if twice || int(s.POP) >= pops || i > 0 && !before(row.shares[i-1], s) || s.Weight == 0 && i != row.n-1 {
			r.failed = true
		}
		sum += int(s.Weight)
		row.shares[i] = s
	}
	if row.n > 0 && sum != Whole {
		r.failed = true
	}
	return row
}

// ascending reports whether names are in order, none twice and none empty.
func ascending[S ~string](names []S) bool {
	for i, name := range names {
		if name == "" || i > 0 && name <= names[i-1] {
			return false
		}
	}
	return true
}
