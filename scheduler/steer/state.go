package steer

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"strings"
	"time"

	"nearcast/cdn"
	"nearcast/scheduler/assign"
	"nearcast/scheduler/view"
)

// magic begins the state of a mapper. Then come a head in JSON, the groups of the route table, and the state of the controller, each preceded
// by its length in 4 octets, the lowest first.
const magic = "nearcast steer 1\n"

// MaxState is the most octets that a state may have.
const MaxState = 1 << 30

// head is what a mapper keeps beside its controller, and beside the table's groups, which are too many for JSON.
type head struct {
	Table   *cdn.RouteTable `json:"table"` // without its groups
	Steps   uint64          `json:"steps"`
	Made    cdn.Generation  `json:"made,omitempty"`
	Aged    time.Time       `json:"aged,omitzero"`
	Shrunk  time.Time       `json:"shrunk,omitzero"`
	Weight  float64         `json:"weight"`
	Classes string          `json:"classes,omitempty"`
	Frozen  string          `json:"frozen,omitempty"`
}

// State is all that the mapper remembers, for [Mapper.Adopt], and the version of its map. Before the first map there is none, and it fails.
func (m *Mapper) State() ([]byte, cdn.MapVersion, error) {
	if m.chart == nil || m.table == nil {
		return nil, cdn.MapVersion{}, cdn.Errorf(cdn.NotFound, "scheduler/steer", "there is no map yet: no route table has come")
	}
	table := *m.table
	table.Groups = nil
	text, err := json.Marshal(head{
		Table: &table, Steps: m.steps, Made: m.made, Aged: m.aged, Shrunk: m.shrunk, Weight: m.weight, Classes: m.classes, Frozen: m.chart.Frozen,
	})
	if err != nil {
		return nil, cdn.MapVersion{}, cdn.Errorf(cdn.Other, "scheduler/steer", "the route table cannot be written: %w", err)
	}
	b := appendPart([]byte(magic), func(b []byte) []byte { return append(b, text...) })
	b = appendPart(b, func(b []byte) []byte { return appendGroups(b, m.table.Groups) })
	b = appendPart(b, func(b []byte) []byte {
		b, err = m.ctl.AppendBinary(b)
		return b
	})
	return b, m.chart.Version, err
}

// appendPart appends what the function does, preceded by its length.
func appendPart(b []byte, part func([]byte) []byte) []byte {
	at := len(b)
	b = part(append(b, 0, 0, 0, 0))
	binary.LittleEndian.PutUint32(b[at:], uint32(len(b)-at-4)) //nolint:gosec // see MaxState
	return b
}

// Adopt makes the mapper go on where another was when it gave its state. What it is given it refuses unless a mapper of the same kind could have written
// it, and is then as before. It should have been configured like the other.
func (m *Mapper) Adopt(now time.Time, b []byte) error {
	if m.plan == nil {
		return refuse("there is no configuration yet: a map cannot be adopted before it")
	}
	rest, ok := strings.CutPrefix(string(b), magic)
	if !ok || len(b) > MaxState {
		return refuse("not the state of a mapper: it does not begin with %q", magic)
	}
	r := &reader{rest: rest}
	text, groups, controller := r.part(), r.part(), r.part()
	if r.failed || r.rest != "" {
		return refuse("the state is damaged: its parts are cut off, or there are more")
	}
	h, err := parseHead(text)
	if err != nil {
		return err
	}
	if h.Table.Groups, err = parseGroups(groups); err != nil {
		return err
	}
	if reason := disorder(h.Table); reason != "" {
		return refuse("the state's route table %s", reason)
	}
	if ahead := max(h.Table.At.Sub(now), h.Aged.Sub(now)); ahead > maxAhead {
		return refuse("the state is from the future, by %v: set the clocks", ahead.Round(time.Second))
	}
	ctl, err := assign.Restore(settings, []byte(controller))
	if err != nil {
		return err
	}
	m.take(now, h, ctl)
	return nil
}

// take makes what was adopted the mapper's own.
func (m *Mapper) take(now time.Time, h *head, ctl *assign.Controller) {
	known := m.table != nil && m.table.Epoch == h.Table.Epoch && m.table.Version == h.Table.Version
	if !known {
		m.received = h.Table.At // it may have been confirmed since, but not to us
	}
	m.ctl, m.table, m.steps, m.made, m.aged, m.shrunk = ctl, h.Table, h.Steps, h.Made, h.Aged, h.Shrunk
	m.weight, m.classes, m.refused, m.doubted, m.absurd = h.Weight, h.Classes, "", "", nil
	at := m.measured()
	if !m.aged.IsZero() {
		at = m.aged
	}
	m.active = m.plan.Policies.At(at, m.active)
	m.near, m.chart = nearby{}, nil
	m.index = view.NewIndex(m.plan, m.table.Groups, m.index)
	last := m.ctl.Last()
	last.Frozen = h.Frozen
	m.publish(now, &last)
}

func parseHead(text string) (*head, error) {
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	dec.DisallowUnknownFields()
	h := new(head)
	if err := dec.Decode(h); err != nil {
		return nil, refuse("the state's head is damaged: %w", err)
	}
	if dec.More() || h.Table == nil || h.Table.Base != 0 || len(h.Table.Groups) > 0 || !(h.Weight >= 0 && h.Weight <= 1) {
		return nil, refuse("the state's head is damaged: a mapper has not written it")
	}
	return h, nil
}

func refuse(format string, args ...any) error {
	return cdn.Errorf(cdn.Invalid, "scheduler/steer", format, args...)
}

// appendGroups writes groups: how many POPs, and their names; how many groups, and each one's name, demand and paths.
func appendGroups(b []byte, groups []*cdn.VisitorGroup) []byte {
	var names []cdn.POPName
	number := make(map[cdn.POPName]uint16)
	for _, g := range groups {
		for i := range g.Paths {
			if name := g.Paths[i].POP; len(names) < assign.MaxPOPs {
				if _, known := number[name]; !known {
					number[name] = uint16(len(names)) //nolint:gosec // fewer than MaxPOPs
					names = append(names, name)
				}
			}
		}
	}
	b = binary.LittleEndian.AppendUint16(b, uint16(len(names))) //nolint:gosec // likewise
	for _, name := range names {
		b = appendName(b, string(name))
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(groups))) //nolint:gosec // there are not so many
	for _, g := range groups {
		b = appendName(b, string(g.Name))
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(g.Octets))
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(g.Requests))
		paths := g.Paths[:min(len(g.Paths), 255)]
		b = append(b, byte(len(paths))) //nolint:gosec // at most 255
		for i := range paths {
			b = appendPath(b, number[paths[i].POP], &paths[i].Quality)
		}
	}
	return b
}

func appendName(b []byte, name string) []byte {
	b = binary.LittleEndian.AppendUint16(b, uint16(len(name))) //nolint:gosec // cut below
	return append(b, name[:len(name)&math.MaxUint16]...)
}

func appendPath(b []byte, pop uint16, q *cdn.Quality) []byte {
	b = binary.LittleEndian.AppendUint16(b, pop)
	for _, f := range [...]float32{q.R50, q.R90, q.Loss, q.Failures, q.N} {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
	}
	return binary.LittleEndian.AppendUint64(b, uint64(q.Measured)) //nolint:gosec // the bits
}

// parseGroups reads what appendGroups has written.
func parseGroups(text string) ([]*cdn.VisitorGroup, error) {
	r := &reader{rest: text}
	names := make([]cdn.POPName, r.uint16())
	for i := range names {
		names[i] = cdn.POPName(r.take(int(r.uint16())))
	}
	n := int(r.uint32())
	if r.failed || n > len(r.rest) {
		return nil, refuse("the state's groups are damaged: a mapper has not written them")
	}
	groups := make([]*cdn.VisitorGroup, 0, n)
	for len(groups) < n && !r.failed {
		g := &cdn.VisitorGroup{Name: cdn.GroupName(r.take(int(r.uint16())))}
		g.Octets, g.Requests = math.Float64frombits(r.uint64()), math.Float64frombits(r.uint64())
		count := int(r.take(1)[0])
		for range count {
			if r.failed {
				break
			}
			pop := int(r.uint16())
			if pop >= len(names) {
				r.failed = true
				break
			}
			g.Paths = append(g.Paths, cdn.Path{POP: names[pop], Quality: r.quality()})
		}
		groups = append(groups, g)
	}
	if r.failed || r.rest != "" {
		return nil, refuse("the state's groups are damaged: a mapper has not written them")
	}
	return groups, nil
}

// reader takes from the front; whatever it takes after a failure is zero.
type reader struct {
	rest   string
	failed bool
}

func (r *reader) take(n int) string {
	if r.failed || n > len(r.rest) {
		r.failed = true
		return "\x00\x00\x00\x00\x00\x00\x00\x00"[:min(n, 8)]
	}
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

func (r *reader) uint16() uint16 { return binary.LittleEndian.Uint16([]byte(r.take(2))) }
func (r *reader) uint32() uint32 { return binary.LittleEndian.Uint32([]byte(r.take(4))) }
func (r *reader) uint64() uint64 { return binary.LittleEndian.Uint64([]byte(r.take(8))) }
func (r *reader) part() string   { return r.take(int(r.uint32())) }

func (r *reader) float() float32 { return math.Float32frombits(r.uint32()) }

func (r *reader) quality() cdn.Quality {
	return cdn.Quality{
		R50: r.float(), R90: r.float(), Loss: r.float(), Failures: r.float(), N: r.float(), Measured: int64(r.uint64()), //nolint:gosec // the bits
	}
}
