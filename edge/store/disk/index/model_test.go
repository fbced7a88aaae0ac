package index

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

// heap is memory that the race detector sees. Like the other, it is all zeros soon after it was dropped.
type heap struct{}

func (heap) take(octets int) (*region, error) {
	words := make([]uint64, octets/8)
	return &region{octets: unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), octets)}, nil
}

func (heap) back(*region, int, int) {}

func (heap) drop(r *region, from, to int) {
	for i := range bucketsOf(r)[from/bucketOctets : to/bucketOctets] {
		b := &bucketsOf(r)[from/bucketOctets+i]
		for j := range slots {
			b.store(j, 0, 0)
		}
	}
}

// short is memory of which there is no more while out is set.
type short struct {
	memory
	out atomic.Bool
}

func (s *short) take(octets int) (*region, error) {
	if s.out.Load() {
		return nil, errors.New("out of memory")
	}
	return s.memory.take(octets)
}

// model is what an index should hold.
type model map[Location]kept

type kept struct {
	hash uint64
	Entry
}

func (m model) find(hash uint64) []Entry {
	var found []Entry
	for _, k := range m {
		if k.hash == hash {
			found = append(found, k.Entry)
		}
	}
	return found
}

func sorted(entries []Entry) []Entry {
	slices.SortFunc(entries, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Segment, b.Segment), cmp.Compare(a.Offset, b.Offset))
	})
	return entries
}

// check compares all there is with the model.
func (m model) check(t *rapid.T, x *Index) {
	if x.Len() != len(m) {
		t.Fatalf("there are %d entries, want %d", x.Len(), len(m))
	}
	seen := model{}
	for hash, e := range x.All() {
		if _, ok := seen[e.Location]; ok {
			t.Fatalf("%v came twice", e.Location)
		}
		seen[e.Location] = kept{hash, e}
	}
	if !maps.Equal(seen, m) {
		t.Fatalf("all are\n%v, want\n%v", seen, m)
	}
	octets := int64(unsafe.Sizeof(*x))
	for i := range x.shards {
		if table := x.shards[i].table.Load(); table != nil {
			octets += int64(table.octets())
		}
	}
	if x.Bytes() != octets {
		t.Fatalf("it takes %d octets and says %d", octets, x.Bytes())
	}
}

// hashes are of several kinds: the good, and those that an index of good ones never sees.
var hashes = map[string]func(n uint64) uint64{
	"good":            func(n uint64) uint64 { return Hash([16]byte{}, string(little(n)), "") &^ (1<<32 - shards) },
	"of one shard":    func(n uint64) uint64 { return Hash([16]byte{}, string(little(n)), "") &^ 0xffffffff },
	"few":             func(n uint64) uint64 { return Hash([16]byte{}, string(little(n%7)), "") &^ 0xffffffff },
	"one, the first":  func(uint64) uint64 { return 0 },
	"one, the last":   func(uint64) uint64 { return 1<<64 - 1<<32 },
	"all at the end":  func(n uint64) uint64 { return (1<<32 - 1 - n%1000) << 32 },
	"all at one home": func(n uint64) uint64 { return (1<<31 + n%1000) << 32 },
}

func little(n uint64) []byte { return []byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)} }

func TestModel(t *testing.T) {
	for name, hash := range hashes {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { testModel(t, hash) })
		})
	}
}

func testModel(t *rapid.T, hash func(uint64) uint64) {
	mem := &short{memory: mapped{}}
	x, m, next := &Index{memory: mem}, model{}, uint64(0)
	defer x.Close()
	fresh := func() Location {
		next++
		return Location{Segment: uint32(next % 16), Offset: uint32(next / 16)}
	}
	some := func() kept { // that exists, or not
		if len(m) == 0 || rapid.IntRange(0, 9).Draw(t, "none") == 0 {
			return kept{hash(next), Entry{Location: Location{Segment: 20}}}
		}
		n := rapid.Uint64Range(1, next).Draw(t, "which")
		for range next { // the next one that is left
			if k, ok := m[Location{Segment: uint32(n % 16), Offset: uint32(n / 16)}]; ok {
				return k
			}
			n = n%next + 1
		}
		return kept{hash(next), Entry{Location: Location{Segment: 20}}}
	}
	insert := func() {
		k := kept{hash(next), Entry{Location: fresh(), Class: uint8(next), Flags: Flags(next), Expiry: Expiry(next)}}
		if x.Insert(k.hash, k.Entry) {
			m[k.Location] = k
		} else if !mem.out.Load() {
			t.Fatal("it was not inserted")
		}
	}
	agree := func(got, want bool) {
		if got != want {
			t.Fatalf("it was there: %t, want %t", got, want)
		}
	}
	t.Repeat(map[string]func(*rapid.T){
		"insert": func(*rapid.T) { insert() },
		"insert many": func(t *rapid.T) {
			for range rapid.IntRange(1, 400).Draw(t, "count") {
				insert()
			}
		},
		"remove": func(*rapid.T) {
			k := some()
			_, had := m[k.Location]
			delete(m, k.Location)
			agree(x.Remove(k.hash, k.Location), had)
			agree(x.Remove(k.hash, k.Location), false)
		},
		"remove many": func(t *rapid.T) {
			from, count := rapid.Uint64Range(0, next).Draw(t, "from"), rapid.Uint64Range(1, 400).Draw(t, "count")
			for n := from; n <= next && n < from+count; n++ {
				at := Location{Segment: uint32(n % 16), Offset: uint32(n / 16)}
				k, had := m[at]
				delete(m, at)
				agree(x.Remove(k.hash, at), had)
			}
		},
		"move": func(*rapid.T) {
			k, to := some(), fresh()
			_, had := m[k.Location]
			agree(x.Move(k.hash, k.Location, to, 9), had)
			agree(x.Move(k.hash, to, Location{Segment: MaxSegment + 1}, 9), false)
			if had {
				delete(m, k.Location)
				k.Location, k.Class, k.Frequency = to, 9, 0
				m[to] = k
			}
		},
		"replace": func(*rapid.T) {
			k, e := some(), Entry{Location: fresh(), Flags: Varies, Frequency: 1}
			_, had := m[k.Location]
			agree(x.Replace(k.hash, k.Location, e), had)
			if had {
				delete(m, k.Location)
				m[e.Location] = kept{k.hash, e}
			}
		},
		"touch": func(*rapid.T) {
			k := some()
			x.Touch(k.hash, k.Location)
			if _, had := m[k.Location]; had {
				k.Frequency = min(k.Frequency+1, MaxFrequency)
				m[k.Location] = k
			}
		},
		"set frequency": func(*rapid.T) {
			k := some()
			_, had := m[k.Location]
			agree(x.SetFrequency(k.hash, k.Location, 2), had)
			if had {
				k.Frequency = 2
				m[k.Location] = k
			}
		},
		"find": func(*rapid.T) {
			k := some()
			if got, want := sorted(x.Find(k.hash, nil)), sorted(m.find(k.hash)); !slices.Equal(got, want) {
				t.Fatalf("found %v, want %v", got, want)
			}
		},
		"remove segment": func(t *rapid.T) {
			if mem.out.Load() {
				return
			}
			segment, left := rapid.Uint32Range(0, 20).Draw(t, "segment"), len(m)
			maps.DeleteFunc(m, func(l Location, _ kept) bool { return l.Segment == segment })
			if got := x.RemoveSegment(segment); got != left-len(m) {
				t.Fatalf("%d were removed, want %d", got, left-len(m))
			}
		},
		"memory": func(*rapid.T) { mem.out.Store(!mem.out.Load()) },
		"clear":  func(*rapid.T) { x.Clear(); clear(m) },
		"":       func(t *rapid.T) { m.check(t, x) },
	})
}

func TestClosed(t *testing.T) {
	x, at := New(), Location{Segment: 1}
	x.Insert(1, Entry{Location: at})
	x.Close()
	x.Close()
	x.Touch(1, at)
	x.Clear()
	for range x.All() {
		t.Error("there is an entry")
	}
	if len(x.Find(1, nil)) > 0 || x.Insert(1, Entry{Location: at}) || x.Remove(1, at) || x.Move(1, at, at, 0) || x.Replace(1, at, Entry{}) ||
		x.SetFrequency(1, at, 1) || x.RemoveSegment(1) > 0 || x.Len() > 0 || x.octets.Load() != 0 {
		t.Error("something is left")
	}
}

func TestOutOfRange(t *testing.T) {
	x, good := New(), Location{MaxSegment, MaxOffset}
	x.Insert(1, Entry{Location: good})
	for _, bad := range []Location{{Segment: MaxSegment + 1}, {Offset: MaxOffset + 1}} {
		x.Touch(1, bad)
		if x.Insert(1, Entry{Location: bad}) || x.Remove(1, bad) || x.Move(1, good, bad, 0) || x.Replace(1, good, Entry{Location: bad}) {
			t.Errorf("%v was taken", bad)
		}
	}
	if got := x.Find(1, nil); len(got) != 1 || got[0] != (Entry{Location: good}) {
		t.Error(got)
	}
}
