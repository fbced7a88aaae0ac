package transfer

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"slices"

	"nearcast/scheduler/rr"
)

// What is remembered of a zone's past.
const (
	maxSteps       = 16
	maxStepsOctets = 4 << 20
)

// versions returns what a source has, with differences from what was before.
func versions(src Source, before map[string]*version) map[string]*version {
	zones := make(map[string]*version)
	for _, z := range src.Zones() {
		if len(z.SOA.Data) != 1 || len(z.Secondaries) == 0 {
			continue
		}
		v := &version{zone: z, source: src}
		if b := before[string(z.Name)]; b != nil {
			v.follow(b)
		}
		zones[string(z.Name)] = v
	}
	return zones
}

// follow sets how a version came to be from the one before.
func (v *version) follow(b *version) {
	switch {
	case v.zone.Serial() == b.zone.Serial():
		v.steps, v.octets = b.steps, b.octets
		return
	case !later(v.zone.Serial(), b.zone.Serial()):
		return // there is no way back
	}
	last, octets := difference(b, v)
	v.octets = octets
	if last == nil || last.octets > min(octets, maxStepsOctets) {
		return
	}
	v.steps = append(slices.Clone(b.steps), last)
	for total := sum(v.steps); len(v.steps) > maxSteps || total > maxStepsOctets; {
		total -= v.steps[0].octets
		v.steps = v.steps[1:]
	}
}

func sum(steps []*step) (octets int) {
	for _, s := range steps {
		octets += s.octets
	}
	return octets
}

// since returns the steps from a version, or nil if they are not known or longer than the whole.
func (v *version) since(serial uint32) []*step {
	for i, s := range v.steps {
		if (&Zone{SOA: s.from}).Serial() == serial {
			if sum(v.steps[i:]) > v.octets {
				return nil
			}
			return v.steps[i:]
		}
	}
	return nil
}

// difference finds out what has changed between two versions, and how long the later is. Both are walked twice: first
// for a number that stands for each set, then for those sets that only one has. For a million changes of a zone of a
// million names the chance that one is missed is below one in ten million.
func difference(a, b *version) (*step, int) {
	seed := maphash.MakeSeed()
	before, _ := marks(seed, a)
	after, octets := marks(seed, b)
	gone, came := except(before, after), except(after, before)
	if (len(gone)+len(came))*2 > len(before)+len(after) {
		return nil, octets
	}
	s := &step{from: a.zone.SOA, to: b.zone.SOA}
	s.removed, s.came = marked(seed, a, gone), marked(seed, b, came)
	s.withoutCommon()
	for _, list := range [][]record{s.removed, s.came} {
		for i := range list {
			s.octets += length(list[i].owner, &list[i].set)
		}
	}
	s.octets += 2 * length(a.zone.Name, &a.zone.SOA)
	return s, octets
}

// marks returns a number for each set of a zone, in order, and how long all are.
func marks(seed maphash.Seed, v *version) (all []uint64, octets int) {
	for owner, set := range v.source.Records(&v.zone) {
		all = append(all, mark(seed, owner, &set))
		octets += length(owner, &set)
	}
	slices.Sort(all)
	return all, octets
}

func mark(seed maphash.Seed, owner []byte, set *rr.Set) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	h.Write(owner) // owners and data cannot be taken for each other: both say where they end
	var b [8]byte
	binary.BigEndian.PutUint16(b[:], set.Type)
	binary.BigEndian.PutUint32(b[2:], set.TTL)
	for _, data := range set.Data {
		binary.BigEndian.PutUint16(b[6:], uint16(len(data))) //nolint:gosec // RDATA
		h.Write(b[:])
		h.Write(data)
	}
	return h.Sum64()
}

func length(owner []byte, set *rr.Set) (octets int) {
	for _, data := range set.Data {
		octets += len(owner) + 10 + len(data)
	}
	return octets
}

// except returns the members of one sorted list that another lacks.
func except(list, other []uint64) map[uint64]bool {
	only := make(map[uint64]bool)
	for _, m := range list {
		for len(other) > 0 && other[0] < m {
			other = other[1:]
		}
		if len(other) == 0 || other[0] != m {
			only[m] = true
		}
	}
	return only
}

// marked returns copies of the sets that have one of the numbers.
func marked(seed maphash.Seed, v *version, wanted map[uint64]bool) (found []record) {
	if len(wanted) == 0 {
		return nil
	}
	for owner, set := range v.source.Records(&v.zone) {
		if wanted[mark(seed, owner, &set)] {
			found = append(found, record{bytes.Clone(owner), copied(set)})
		}
	}
	return found
}

func copied(set rr.Set) rr.Set {
	data := make([][]byte, len(set.Data))
	for i, d := range set.Data {
		data[i] = bytes.Clone(d)
	}
	return rr.Set{Type: set.Type, TTL: set.TTL, Data: data}
}

// withoutCommon leaves records out that sets have before and after. A TTL is of a whole set: if it changes, all its records do.
func (s *step) withoutCommon() {
	type key struct {
		owner string
		kind  uint16
	}
	came := make(map[key]*rr.Set, len(s.came))
	for i := range s.came {
		came[key{string(s.came[i].owner), s.came[i].set.Type}] = &s.came[i].set
	}
	for i := range s.removed {
		old := &s.removed[i].set
		fresh := came[key{string(s.removed[i].owner), old.Type}]
		if fresh == nil || fresh.TTL != old.TTL {
			continue
		}
		kept := old.Data
		old.Data, fresh.Data = without(kept, fresh.Data), without(fresh.Data, kept)
	}
}

func without(data, other [][]byte) (left [][]byte) {
	for _, d := range data {
		if !slices.ContainsFunc(other, func(o []byte) bool { return bytes.Equal(o, d) }) {
			left = append(left, d)
		}
	}
	return left
}
