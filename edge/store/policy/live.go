package policy

import (
	"slices"
	"sync/atomic"
)

// Handle is an entry of a [Live]. Handles are small numbers, 1 and up, and are used again: a user may keep what belongs to an entry in a slice
// under its handle. Zero is no entry.
type Handle uint32

// Event is what became of an entry.
type Event struct {
	// Handle of the entry. When Kind is Evicted it is invalid from the next call on.
	Handle Handle
	// Kind says what happened.
	Kind Kind
	// Proven is whether the entry had been asked for again: while it was here, or by coming back soon after it had gone.
	Proven bool
}

// Kind is of an [Event].
type Kind uint8

// Kinds of events.
const (
	// Evicted is an entry that must go for room.
	Evicted Kind = iota + 1
	// Promoted is one that has shown for the first time that it is asked for again. There is one such event, at most, in the life of an entry;
	// its Evicted may follow in the same row.
	Promoted
)

// Live is the policy that the RAM tier lives by: S3-FIFO, of which the small queue's share and how long the main queue keeps are moved to
// where the requests of late have most hits, in objects and in octets.
//
// S3-FIFO lets newcomers wait in a small queue and drops them from it unless they were used again, so that what is asked for once does not
// push out what is asked for often. Ghosts remember who was dropped, and a ghost that comes back goes to the main queue at once. Where
// nearly everything is asked for again soon and then never more, as with video, a large small queue is right; where there are favourites
// that last, a tiny one is. Which it is, shadows with every setting find out: see [Report].
//
// Its methods are not safe for concurrent use, except for Use beside any of them.
type Live struct {
	budget      int64
	slab        slab
	small, main queue
	ghosts      ghosts
	tuner       *tuner
	setting     setting
	counters    atomic.Pointer[[]*counterChunk] // grown by Add, read by Use
	events      []Event
}

// counterChunk has an entry's counter where the slab's chunk has the entry.
type counterChunk [chunkSize]atomic.Uint32

// An entry's counter is how often it was used, to maxUses (two bits are enough: section 4.1 of the paper), and whether its uses are shown
// to the tuner.
const (
	maxUses  = 3
	usesMask = 3
	watched  = 4
)

// NewLive returns a policy for entries of budget octets together, 1 to 2^53.
func NewLive(budget int64) *Live {
	p := &Live{budget: budget, small: queue{id: 1}, main: queue{id: 2}, ghosts: newGhosts(), tuner: newTuner(budget)}
	p.setting = p.tuner.setting()
	p.counters.Store(&[]*counterChunk{})
	return p
}

// Use counts a hit. It may be called at any time by anyone without a lock, for every handle that Add has ever returned: one for an entry that
// has just gone does no harm.
func (p *Live) Use(h Handle) {
	c := p.counter(uint32(h))
	n := c.Load()
	if n&usesMask < maxUses {
		c.CompareAndSwap(n, n+1) // a lost count does no harm
	}
	if n&watched != 0 {
		p.tuner.seen.add(uint32(h))
	}
}

func (p *Live) counter(n uint32) *atomic.Uint32 {
	return &(*p.counters.Load())[n>>chunkBits][n%chunkSize]
}

// Add takes in an entry of size octets (not negative) and returns its handle, and what that did to it and to others, in order. The new entry
// itself may be among the evicted: if it is larger than the budget, or would push out the whole small queue and is not known to be
// asked for again. The events are the caller's until the next call of a method but Use.
func (p *Live) Add(hash uint64, size int64) (Handle, []Event) {
	p.events = p.events[:0]
	p.tune()
	n := p.slab.take(hash, size)
	known := p.count(n, hash, size)
	switch {
	case size > p.budget:
		p.evicted(n)
	case p.ghosts.take(hash) || known:
		p.prove(n)
		p.slab.push(&p.main, n)
	case p.setting.share == 0:
		p.slab.push(&p.main, n)
	case p.setting.bypasses(size, p.budget) && p.Bytes()+size > p.budget:
		p.haunt(n)
		p.evicted(n)
	default:
		p.slab.push(&p.small, n)
	}
	p.makeRoom()
	return Handle(n), p.events
}

// count sets up a new entry's counter and shows the entry to the tuner. It reports whether the entry would be here, had the setting
// always been that of now: after a change that brings back what another setting has let go of.
func (p *Live) count(n uint32, hash uint64, size int64) (known bool) {
	if chunks := *p.counters.Load(); int(n>>chunkBits) >= len(chunks) {
		more := append(slices.Clip(chunks), new(counterChunk))
		p.counters.Store(&more)
	}
	flags := uint32(0)
	if p.tuner.samples(hash) {
		flags = watched
		known = p.tuner.access(hash, size)
		p.setting = p.tuner.setting()
	}
	p.counter(n).Store(flags)
	return known
}

// tune shows the tuner what was used.
func (p *Live) tune() {
	p.tuner.seen.drain(func(n uint32) {
		e := p.slab.at(n)
		switch {
		case e.queue == none: // it has gone
		case p.tuner.samples(e.hash):
			p.tuner.access(e.hash, e.size)
		default: // the sample is smaller than when it came
			c := p.counter(n)
			c.Store(c.Load() &^ watched)
		}
	})
}

// Grow books that an entry has become larger by that many octets (smaller, if negative; never below zero) and returns what that did to it and
// to others, as Add does. It returns nothing for an entry that has gone.
func (p *Live) Grow(h Handle, by int64) []Event {
	p.events = p.events[:0]
	if q := p.queueOf(h); q != nil {
		p.slab.resize(q, uint32(h), p.slab.at(uint32(h)).size+by)
		p.makeRoom()
	}
	return p.events
}

// Remove forgets an entry that was not evicted: it was purged, or replaced. It reports false if there is none (any more).
func (p *Live) Remove(h Handle) bool {
	q := p.queueOf(h)
	if q == nil {
		return false
	}
	hash := p.slab.at(uint32(h)).hash
	p.slab.remove(q, uint32(h))
	p.slab.give(uint32(h))
	if p.tuner.samples(hash) {
		p.tuner.remove(hash)
	}
	return true
}

// Len is the number of entries.
func (p *Live) Len() int { return p.small.count + p.main.count }

// Bytes is the size of all entries in octets. It never exceeds the budget after a call.
func (p *Live) Bytes() int64 { return p.small.bytes + p.main.bytes }

func (p *Live) queueOf(h Handle) *queue {
	if h == 0 || uint32(h) > p.slab.top {
		return nil
	}
	switch p.slab.at(uint32(h)).queue {
	case p.small.id:
		return &p.small
	case p.main.id:
		return &p.main
	}
	return nil
}

func (p *Live) makeRoom() {
	for p.Bytes() > p.budget {
		p.evicted(p.victim())
	}
}

// evicted tells of and gives back an entry that is in no queue.
func (p *Live) evicted(n uint32) {
	p.events = append(p.events, Event{Handle: Handle(n), Kind: Evicted, Proven: p.slab.at(n).note == proven})
	p.slab.give(n)
}

// proven is the note of an entry that has been asked for again.
const proven = 1

func (p *Live) prove(n uint32) {
	if e := p.slab.at(n); e.note != proven {
		e.note = proven
		p.events = append(p.events, Event{Handle: Handle(n), Kind: Promoted, Proven: true})
	}
}

// haunt remembers an entry that has to go.
func (p *Live) haunt(n uint32) {
	p.setting.haunt(&p.ghosts, p.slab.at(n), p.Len(), p.budget)
}

// victim takes one entry out of its queue. There must be one. Each step either returns or spends a use or moves an entry out of small for
// good, so it ends.
func (p *Live) victim() uint32 {
	for {
		q, enough := &p.main, uint8(1)
		if p.smallTurn() {
			q, enough = &p.small, p.setting.uses
		}
		n := q.front
		p.slab.remove(q, n)
		c := p.counter(n)
		word := c.Load()
		uses := uint8(word & usesMask)
		if uses > 0 {
			p.prove(n)
		}
		if uses < enough {
			if q == &p.small || p.slab.at(n).note != proven {
				p.haunt(n)
			}
			return n
		}
		left := uint8(0)
		if q == &p.main {
			left = min(uses, p.setting.rounds) - 1
		}
		c.Store(word&^usesMask | uint32(left))
		p.slab.push(&p.main, n)
	}
}

// smallTurn reports whether the small queue gives the next victim.
func (p *Live) smallTurn() bool {
	return p.main.count == 0 || p.small.count > 0 && p.small.bytes > p.setting.small(p.budget)
}

// Report tells how [Live] is set and what its shadows count.
type Report struct {
	// Small is the small queue's share of the budget: 0 to 1.
	Small float64
	// Rounds is how often, at most, an entry goes round in the main queue without being asked for again; Uses is how often it must be asked for
	// to come there from the small one.
	Rounds, Uses int
	// Ghosts is how many that had to go are remembered, as a multiple of those that are there: 1 and up.
	Ghosts int
	// Moves is how often the setting was changed.
	Moves int64
	// Sample is 1 in how many hashes the shadows see, Lost how many hits of theirs they have missed.
	Sample, Lost int64
	// Rivals are what other policies would have made of the sample, with a budget smaller by as much. Their ratios are what counts: whenever the
	// sample is halved, so is what was counted; the first is plain S3-FIFO but for the
	// bypass of large newcomers.
	Rivals []Rival
}

// Rival is a policy and what it has counted.
type Rival struct {
	Name  string
	Stats Stats
}

// Report returns what is so now.
func (p *Live) Report() Report { return p.tuner.report() }
