package dnssec

import (
	"bytes"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"nearcast/scheduler/rr"
)

const (
	// CacheOctets bounds the memory of signatures that are at hand, whatever is asked for.
	CacheOctets = 32 << 20
	// ways is in how many places the signatures of a set can be.
	ways = 8
	// rows times ways is how many sets can be at hand: of usual sizes as many as CacheOctets have room for.
	rows = CacheOctets / 512 / ways
	// overhead is about what an entry takes beside the octets it holds.
	overhead = 160
)

// cache has the signatures of sets. Readers take no lock. A set can be in the ways of one row, by its hash; what was asked for again since it came stays
// rather than what was not, so that a flood of names that are asked for once takes only each other's place.
type cache struct {
	seed maphash.Seed
	rows []row

	signed, failed, evicted atomic.Uint64

	mu      sync.Mutex // guards writing rows, and the following
	octets  int
	entries int
	hand    int // the row from which the next is forgotten if octets are too many
}

type row [ways]atomic.Pointer[entry]

// entry is a set, to compare with, and its signatures. Only used changes. What is looked at first is together.
type entry struct {
	hash   uint64
	by     *key
	window window
	ttl    uint32
	typ    uint16
	zone   uint8       // octets of the zone's name, which is the end of owner
	used   atomic.Bool // since it came, or since all of the row were

	text       []byte // owner, and the RDATA of each record behind its length
	signatures [][]byte
	octets     int
}

func newCache() *cache { return &cache{seed: maphash.MakeSeed(), rows: make([]row, rows)} }

func newEntry(by *key, w window, zone, owner []byte, set *rr.Set, signatures [][]byte) *entry {
	size := len(owner)
	for _, data := range set.Data {
		size += 2 + len(data)
	}
	e := &entry{by: by, window: w, typ: set.Type, ttl: set.TTL, zone: uint8(len(zone)), text: append(make([]byte, 0, size), owner...), signatures: signatures}
	e.octets = overhead + size
	for _, data := range set.Data {
		e.text = append(append(e.text, byte(len(data)>>8), byte(len(data))), data...)
	}
	for _, s := range signatures {
		e.octets += 24 + len(s)
	}
	return e
}

// is reports whether the entry is of this set, signed by this key.
func (e *entry) is(by *key, zone, owner []byte, set *rr.Set) bool {
	if e.by != by || e.typ != set.Type || e.ttl != set.TTL || int(e.zone) != len(zone) || !bytes.HasPrefix(e.text, owner) {
		return false
	}
	rest := e.text[len(owner):]
	for _, data := range set.Data {
		if len(rest) < 2+len(data) || int(rest[0])<<8|int(rest[1]) != len(data) || !bytes.Equal(rest[2:2+len(data)], data) {
			return false
		}
		rest = rest[2+len(data):]
	}
	return len(rest) == 0
}

// find returns what is known of a set, or nil.
func (c *cache) find(hash uint64, by *key, zone, owner []byte, set *rr.Set) *entry {
	r := &c.rows[hash>>6%rows]
	for i := range r {
		e := r[i].Load()
		if e != nil && e.hash == hash && e.is(by, zone, owner, set) {
			if !e.used.Load() {
				e.used.Store(true)
			}
			return e
		}
	}
	return nil
}

// put remembers an entry, in the place of an older one of the same set if there is one.
func (c *cache) put(hash uint64, e *entry) {
	e.hash = hash
	c.mu.Lock()
	defer c.mu.Unlock()
	r := &c.rows[hash>>6%rows]
	i, old := r.place(hash)
	if old != nil && old.hash != hash {
		c.evicted.Add(1)
	}
	c.set(&r[i], e)
	for ; c.octets > CacheOctets; c.hand = (c.hand + 1) % rows {
		c.sweep(&c.rows[c.hand], e)
	}
}

// place chooses the way for a set, and says what is there: where it is, an empty one, or the oldest that was not used since it came.
func (r *row) place(hash uint64) (way int, old *entry) {
	way = -1
	for i := range r {
		e := r[i].Load()
		switch {
		case e != nil && e.hash == hash:
			return i, e
		case e == nil:
			if way < 0 || old != nil {
				way, old = i, nil
			}
		case !e.used.Load() && (way < 0 || old != nil && e.window.inception < old.window.inception):
			way, old = i, e
		}
	}
	if way >= 0 {
		return way, old
	}
	for i := range r {
		r[i].Load().used.Store(false)
	}
	way = int(hash % ways)
	return way, r[way].Load()
}

// sweep forgets what was not used in a row, but not what has just come. Callers hold mu.
func (c *cache) sweep(r *row, keep *entry) {
	for i := range r {
		e := r[i].Load()
		if e != nil && e != keep && !e.used.Swap(false) {
			c.evicted.Add(1)
			c.set(&r[i], nil)
		}
	}
}

// set puts an entry, or nil, where another one may be. Callers hold mu.
func (c *cache) set(at *atomic.Pointer[entry], e *entry) {
	if old := at.Load(); old != nil {
		c.octets -= old.octets
		c.entries--
	}
	if e != nil {
		c.octets += e.octets
		c.entries++
	}
	at.Store(e)
}

func (c *cache) stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Stats{Signed: c.signed.Load(), Failed: c.failed.Load(), Evicted: c.evicted.Load(), Entries: c.entries, Octets: c.octets}
}
