package assign

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"time"
)

// stateMagic begins the state of a controller. Then come the last map, preceded by its length; the slot; the POPs; and the groups.
const stateMagic = "nearcast map state 2\n"

// AppendBinary appends all that the controller remembers, for [Restore]: a scheduler that starts anew, or that was cut off, goes on from it as if it had seen
// everything itself. It has about 150 octets for each group. Before the first step there is nothing to remember, and it fails.
func (c *Controller) AppendBinary(b []byte) ([]byte, error) {
	if c.table == nil {
		return b, refuse("no state before the first step")
	}
	b = append(b, stateMagic...)
	size := len(b)
	b, err := c.last.Map.AppendBinary(append(b, 0, 0, 0, 0))
	if err != nil {
		return b, err
	}
	binary.LittleEndian.PutUint32(b[size:], uint32(len(b)-size-4))
	b = binary.LittleEndian.AppendUint64(b, uint64(c.slot))
	for p := range c.pops {
		b = binary.LittleEndian.AppendUint16(b, c.place[p])
		b = c.table.pops[p].append(b)
		b = c.pops[p].append(b)
	}
	for g, d := range c.table.demand {
		b = append(b, bit(c.table.strict[g]))
		b = appendFloats(b, d.used, d.average, d.last)
		b = appendChoices(b, c.table.row(g))
	}
	return b, nil
}

func (r *popRow) append(b []byte) []byte {
	return appendChoices(appendFloats(append(b, byte(r.state)), r.capacity), r.near)
}

func (s *popState) append(b []byte) []byte {
	b = appendFloats(b, s.factor, s.ideal, s.planned, s.expected, s.leaving, s.load)
	b = append(b, bit(s.warming))
	return appendTime(appendTime(b, s.since), s.downed)
}

func appendFloats(b []byte, list ...float64) []byte {
	for _, f := range list {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
	}
	return b
}

func appendChoices(b []byte, list []choice) []byte {
	b = binary.LittleEndian.AppendUint16(b, uint16(len(list)))
	for _, c := range list {
		b = binary.LittleEndian.AppendUint64(b, uint64(c))
	}
	return b
}

// appendTime has no time as 0, which would be 1970.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.LittleEndian.AppendUint64(b, 0)
	}
	return binary.LittleEndian.AppendUint64(b, uint64(t.UnixNano()))
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// Restore makes a controller that goes on where another was when it wrote its state, by [Controller.AppendBinary]; it should have the same settings. What it is given it
// refuses unless a controller could have written it. Until its next step the reports of its results are empty.
func Restore(s Settings, b []byte) (*Controller, error) {
	rest, ok := strings.CutPrefix(string(b), stateMagic)
	if !ok {
		return nil, refuse("not the state of a controller: it does not begin with %q", stateMagic)
	}
	r := &reader{rest: rest}
	m, err := ParseMap([]byte(r.take(r.count(len(rest)))))
	if err != nil {
		return nil, err
	}
	c := NewController(s)
	c.last.Map = m
	c.slot = int64(r.uint64())
	c.readPOPs(r, m.names)
	c.readGroups(r)
	if r.failed || r.rest != "" {
		return nil, refuse("the state is damaged: a controller has not written it")
	}
	return c, nil
}

// readPOPs makes the table, without groups.
func (c *Controller) readPOPs(r *reader, n *names) {
	c.table = &table{names: n, pops: make([]popRow, len(n.pops))}
	c.place, c.pops = make([]uint16, len(n.pops)), make([]popState, len(n.pops))
	seen := make([]bool, len(n.pops))
	for p := range n.pops {
		c.place[p] = r.uint16()
		if int(c.place[p]) >= len(seen) || seen[c.place[p]] {
			r.failed = true
			return
		}
		seen[c.place[p]] = true
		c.table.pops[p] = popRow{state: State(r.take(1)[0]), capacity: r.float(maxAmount), near: r.choices(len(n.pops), len(n.pops))}
		c.pops[p] = popState{
			factor:   r.float(1),
			ideal:    r.float(1),
			planned:  r.float(maxSum),
			expected: r.float(maxSum),
			leaving:  r.float(maxSum),
			load:     r.load(),
			warming:  r.bit(),
			since:    r.time(),
			downed:   r.time(),
		}
		if row, s := &c.table.pops[p], &c.pops[p]; row.state > Down || row.capacity < minCapacity || min(s.factor, s.ideal) < lowestFactor {
			r.failed = true
		}
	}
}

func (c *Controller) readGroups(r *reader) {
	t := c.table
	n := len(t.names.groups)
	t.demand, t.count, t.strict = make([]demand, n), make([]uint8, n), make([]bool, n)
	t.choices = make([]choice, n*MaxCandidates)
	for g := 0; g < n && !r.failed; g++ {
		t.strict[g] = r.bit()
		t.demand[g] = demand{r.float(maxAmount), r.float(maxAmount), r.float(maxAmount)}
		row := r.choices(MaxCandidates, len(t.pops))
		t.count[g] = uint8(copy(t.choices[g*MaxCandidates:], row))
		r.failed = r.failed || len(row) == 0
	}
}

func (r *reader) uint16() uint16 { return binary.LittleEndian.Uint16([]byte(r.take(2))) }
func (r *reader) uint64() uint64 { return binary.LittleEndian.Uint64([]byte(r.take(8))) }

func (r *reader) bit() bool {
	b := r.take(1)[0]
	r.failed = r.failed || b > 1
	return b == 1
}

// float takes a number from 0 to most.
func (r *reader) float(most float64) float64 {
	f := math.Float64frombits(r.uint64())
	if !(f >= 0) || f > most {
		r.failed = true
		return 0
	}
	return f
}

// load takes a utilisation, which may be unknown.
func (r *reader) load() float64 {
	f := math.Float64frombits(r.uint64())
	r.failed = r.failed || f < 0 || f > MaxLoad
	return f
}

func (r *reader) time() time.Time {
	if n := int64(r.uint64()); n != 0 {
		return time.Unix(0, n)
	}
	return time.Time{}
}

// choices takes a list of so many at most, in order, each of one of so many POPs.
func (r *reader) choices(most, pops int) []choice {
	n := int(r.uint16())
	if r.failed || n > most || 8*n > len(r.rest) {
		r.failed = true
		return nil
	}
	list := make([]choice, n)
	for i := range list {
		list[i] = choice(r.uint64())
		if list[i].pop() >= pops || list[i].cost() > MaxCost*1000 || has(list[:i], list[i].pop()) {
			r.failed = true
		}
	}
	r.failed = r.failed || !slices.IsSorted(list)
	return list
}
