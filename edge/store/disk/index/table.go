package index

import (
	"runtime"
	"sync/atomic"
	"unsafe"
)

const (
	slots        = 4  // entries in a bucket
	bucketOctets = 64 // a cache line
	pageBuckets  = pageOctets / bucketOctets
	leastTail    = 4 // buckets after the last home
)

// bucket is entries in no order, in one cache line: for each slot a place, and 16 bits in each of the words after that, so that the tags of
// all can be compared at once. Only who holds the shard's lock stores to one, but for the uses in a place word, which anybody counts by
// compare-and-swap; everybody else loads what may be half of a change, and finds that out by the shard's version.
type bucket struct {
	place  [slots]uint64
	low    uint64 // halves of the tags
	high   uint64
	expiry uint64
	bound  uint64 // of a full bucket its largest tag and 1, else 0: a search for a smaller tag ends here
}

const (
	lane  = 1<<16 - 1
	lanes = 0x0001_0001_0001_0001
)

func (b *bucket) load(j int) (name, place uint64) {
	at := j * 16
	low, high := atomic.LoadUint64(&b.low)>>at&lane, atomic.LoadUint64(&b.high)>>at&lane
	return (high<<16|low)<<tagAt | atomic.LoadUint64(&b.expiry)>>at&lane, atomic.LoadUint64(&b.place[j])
}

func (b *bucket) store(j int, name, place uint64) {
	setLane(&b.low, j, name>>tagAt&lane)
	setLane(&b.high, j, name>>(tagAt+16))
	setLane(&b.expiry, j, name&lane)
	atomic.StoreUint64(&b.place[j], place)
	bound := uint64(0)
	for k := range slots {
		n, p := b.load(k)
		if p == 0 {
			bound = 0
			break
		}
		bound = max(bound, n>>tagAt+1)
	}
	atomic.StoreUint64(&b.bound, bound)
}

func setLane(word *uint64, j int, to uint64) {
	at := j * 16
	atomic.StoreUint64(word, atomic.LoadUint64(word)&^(lane<<at)|to<<at)
}

func (b *bucket) clear(j int) { b.store(j, 0, 0) }

// match returns the highest bit of the lanes of those slots that have a tag, whose halves low and high have in every lane, or are empty and look
// like it.
func (b *bucket) match(low, high uint64) uint64 {
	differ := (atomic.LoadUint64(&b.low) ^ low) | (atomic.LoadUint64(&b.high) ^ high)
	return ^(differ&(lanes*(lane>>1)) + lanes*(lane>>1) | differ) & (lanes << 15)
}

// table is open addressing with linear probing over buckets, kept in the order of tags: an entry's home is in proportion to its tag; if its
// home is full, the entry with the largest tag there goes on to the next bucket. So each entry of a bucket has a tag not larger than any in
// the buckets after it, and an entry that is not at home has only full buckets between its home and itself. A search ends at the first bucket
// with room or with a larger tag, which keeps it short, hit or miss, where 7 slots of 8 are taken (Robin Hood hashing; Celis 1986). And a
// larger or smaller table is made by one pass in order.
//
// There is no way round from the end to the beginning: after the last home there are a few more buckets. When the last one
// is full, another table is due before anything can be inserted.
type table struct {
	first   unsafe.Pointer // the first of the buckets
	buckets []bucket
	homes   uint64
	region  *region // of buckets

	// While the table is being filled from another, tags smaller than moved are here, and the others in older.
	moved atomic.Uint64
	older atomic.Pointer[table]
}

const allMoved = 1 << 32

// newTable returns an empty table of so many homes and pages, that has memory for none of them.
func newTable(m memory, homes, pages int) (*table, error) {
	r, err := m.take(pages * pageOctets)
	if err != nil {
		return nil, err
	}
	b := bucketsOf(r)
	return &table{first: unsafe.Pointer(unsafe.SliceData(b)), buckets: b, homes: uint64(homes), region: r}, nil
}

// of returns the table that has a tag: t, or the older one.
func (t *table) of(tag uint32) *table {
	if t == nil || uint64(tag) < t.moved.Load() {
		return t
	}
	return t.older.Load() // nil, if all has moved meanwhile, which the version tells
}

func (t *table) home(tag uint32) int { return int(uint64(tag) * t.homes >> 32) }

func (t *table) octets() int { return len(t.region.octets) }

// room is how many entries it may hold before it must grow.
func (t *table) room() int { return int(t.homes) * slots * 7 / 8 }

// full reports whether an insertion may run over the end.
func (t *table) full() bool {
	last := &t.buckets[len(t.buckets)-1]
	for j := range last.place {
		if atomic.LoadUint64(&last.place[j]) == 0 {
			return false
		}
	}
	return true
}

// pair returns the home of a tag and the bucket after it: there are some after the last home.
func (t *table) pair(tag uint32) *[2]bucket {
	return (*[2]bucket)(unsafe.Add(t.first, uint64(tag)*t.homes>>32*bucketOctets))
}

// find appends the entries with a tag. It may be called without a lock, and then what it returns is to be trusted only if the version did
// not change.
func (t *table) find(tag uint32, dst []Entry) []Entry {
	if t == nil {
		return dst
	}
	for i := t.home(tag); i < len(t.buckets); i++ {
		b := &t.buckets[i]
		for j := range slots {
			if name, place := b.load(j); tagOf(name) == tag && place != 0 {
				dst = append(dst, unpack(name, place))
			}
		}
		if bound := atomic.LoadUint64(&b.bound); bound == 0 || bound > uint64(tag)+1 {
			break
		}
	}
	runtime.KeepAlive(t) // and with it the region
	return dst
}

// locate returns where the entry with a tag and location is. Without a lock it may fail to find it, or find where it just was.
func (t *table) locate(tag uint32, location uint64) (i, j int, ok bool) {
	if t == nil {
		return 0, 0, false
	}
	for i = t.home(tag); i < len(t.buckets); i++ {
		b := &t.buckets[i]
		for j = range slots {
			if name, place := b.load(j); tagOf(name) == tag && place&locationMask == location && place != 0 {
				return i, j, true
			}
		}
		if bound := atomic.LoadUint64(&b.bound); bound == 0 || bound > uint64(tag)+1 {
			break
		}
	}
	return 0, 0, false
}

// insert adds an entry. The table must not be full.
func (t *table) insert(name, place uint64) {
	for i := t.home(tagOf(name)); ; i++ {
		b, largest, largestTag := &t.buckets[i], -1, tagOf(name)
		for j := range slots {
			n, p := b.load(j)
			if p == 0 {
				b.store(j, name, place)
				return
			}
			if tagOf(n) > largestTag {
				largest, largestTag = j, tagOf(n)
			}
		}
		if largest >= 0 {
			n, p := b.load(largest)
			b.store(largest, name, place)
			name, place = n, p
		}
	}
}

// remove empties a slot, and has those that went past it for want of room come back.
func (t *table) remove(i, j int) {
	for ; i+1 < len(t.buckets); i++ {
		next := &t.buckets[i+1]
		least := next.least()
		if least < 0 {
			break
		}
		name, place := next.load(least)
		if t.home(tagOf(name)) > i {
			break
		}
		t.buckets[i].store(j, name, place)
		j = least
	}
	t.buckets[i].clear(j)
}

// least returns the slot with the smallest tag, or -1.
func (b *bucket) least() int {
	least, leastTag := -1, uint32(0)
	for j := range slots {
		if n, p := b.load(j); p != 0 && (least < 0 || tagOf(n) < leastTag) {
			least, leastTag = j, tagOf(n)
		}
	}
	return least
}

// words are an entry's.
type words struct{ name, place uint64 }

// sorted returns the entries, in dst, in the order of their tags.
func (b *bucket) sorted(dst *[slots]words) []words {
	count := 0
	for j := range slots {
		name, place := b.load(j)
		if place == 0 {
			continue
		}
		k := count
		for ; k > 0 && tagOf(dst[k-1].name) > tagOf(name); k-- {
			dst[k] = dst[k-1]
		}
		dst[k] = words{name, place}
		count++
	}
	return dst[:count]
}
