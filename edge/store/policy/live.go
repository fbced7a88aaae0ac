package policy

import "sync/atomic"

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
	// Promoted is one that has shown for the first time that it is asked for again. There is one such event, at most, in the life of an entry.
	Promoted
)

// maxUses caps an entry's use counter: two bits are enough (section 4.1 of the paper on S3-FIFO).
const maxUses = 3

// Live is the policy that the RAM tier lives by.
//
// Its methods are not safe for concurrent use, except for Use beside any of them.
type Live struct {
	budget      int64
	slab        slab
	small, main queue
	ghosts      ghosts
	setting     setting
	tuner       *tuner
	uses        atomic.Pointer[[]*useChunk] // grown by Add, read by Use
	events      []Event
}

const chunkBits = 12

type useChunk [1 << chunkBits]atomic.Uint32

const provenNote = 1

// NewLive returns a policy for entries of budget octets together; budget must be positive.
func NewLive(budget int64) *Live {
	p := &Live{budget: budget, slab: newSlab(), small: queue{id: 1}, main: queue{id: 2}, ghosts: newGhosts(), tuner: newTuner(budget)}
	p.setting = p.tuner.setting()
	p.uses.Store(&[]*useChunk{})
	return p
}

// Use counts a hit. It may be called at any time by anyone without a lock: one for an entry that has just gone does no harm.
func (p *Live) Use(h Handle) {
	c := p.counter(h)
	n := c.Load()
	if n&usesMask < maxUses {
		c.CompareAndSwap(n, n+1) // a lost count does no harm
	}
	if n&sampled != 0 {
		p.tuner.seen.add(uint32(h))
	}
}

const (
	usesMask = 3
	sampled  = 4 // in an entry's counter: its hits are shown to the tuner
)

func (p *Live) counter(h Handle) *atomic.Uint32 {
	chunks := *p.uses.Load()
	return &chunks[h>>chunkBits][h&(1<<chunkBits-1)]
}

// Add takes in an entry of size octets (not negative) and returns its handle, and what that did to it and to others, in order. The new entry
// itself may be among the evicted. The events are the caller's until the next call of a method but Use.
func (p *Live) Add(hash uint64, size int64) (Handle, []Event) {
	p.events = p.events[:0]
	p.tune()
	n := p.slab.take(hash, size)
	p.counters(n)
	flags := uint32(0)
	if p.tuner.samples(hash) {
		flags = sampled
		p.tuner.access(hash, size)
		p.setting = p.tuner.setting()
	}
	p.counter(Handle(n)).Store(flags)
	if size > p.budget {
		p.events = append(p.events, Event{Handle: Handle(n), Kind: Evicted})
		p.slab.give(n)
		return Handle(n), p.events
	}
	switch {
	case p.ghosts.take(hash):
		p.prove(n)
		p.slab.push(&p.main, n)
	case p.setting.share == 0:
		p.slab.push(&p.main, n)
	default:
		p.slab.push(&p.small, n)
		if p.Bytes() > p.budget && size > p.budget*p.setting.share/1000*Knobs.Large/100 {
			p.slab.remove(&p.small, n)
			p.ghosts.add(hash, size, max(64, p.Len()), p.budget)
			p.events = append(p.events, Event{Handle: Handle(n), Kind: Evicted})
			p.slab.give(n)
			return Handle(n), p.events
		}
	}
	p.makeRoom()
	return Handle(n), p.events
}

// tune shows the tuner what was hit.
func (p *Live) tune() {
	p.tuner.seen.drain(func(n uint32) {
		e := &p.slab.nodes[n]
		switch {
		case e.queue == none: // it has gone
		case p.tuner.samples(e.hash):
			p.tuner.access(e.hash, e.size)
		default: // fewer are sampled by now
			c := p.counter(Handle(n))
			c.Store(c.Load() & usesMask)
		}
	})
}

// counters makes sure that there is a counter for a handle.
func (p *Live) counters(n uint32) {
	chunks := *p.uses.Load()
	if int(n>>chunkBits) < len(chunks) {
		return
	}
	more := append(chunks[:len(chunks):len(chunks)], new(useChunk))
	p.uses.Store(&more)
}

// Grow books that an entry has become larger by that many octets (smaller, if negative) and returns what that did to it and to others, as
// Add does.
func (p *Live) Grow(h Handle, by int64) []Event {
	p.events = p.events[:0]
	if q := p.queueOf(h); q != nil {
		p.slab.resize(q, uint32(h), p.slab.nodes[h].size+by)
		p.makeRoom()
	}
	return p.events
}

// Remove forgets an entry; it reports false if there is none (any more).
func (p *Live) Remove(h Handle) bool {
	q := p.queueOf(h)
	if q == nil {
		return false
	}
	p.slab.remove(q, uint32(h))
	p.slab.give(uint32(h))
	return true
}

// Len is the number of entries.
func (p *Live) Len() int { return p.small.count + p.main.count }

// Bytes is the size of all entries in octets.
func (p *Live) Bytes() int64 { return p.small.bytes + p.main.bytes }

func (p *Live) queueOf(h Handle) *queue {
	if h == 0 || int(h) >= len(p.slab.nodes) {
		return nil
	}
	switch p.slab.nodes[h].queue {
	case p.small.id:
		return &p.small
	case p.main.id:
		return &p.main
	}
	return nil
}

func (p *Live) makeRoom() {
	for p.Bytes() > p.budget {
		n := p.evict()
		e := &p.slab.nodes[n]
		p.events = append(p.events, Event{Handle: Handle(n), Kind: Evicted, Proven: e.note&provenNote != 0})
		p.slab.give(n)
	}
}

// prove notes that an entry has been asked for again.
func (p *Live) prove(n uint32) {
	if e := &p.slab.nodes[n]; e.note&provenNote == 0 {
		e.note |= provenNote
		p.events = append(p.events, Event{Handle: Handle(n), Kind: Promoted, Proven: true})
	}
}

// evict takes one entry out of its queue. There must be one. Each step either returns or spends a use or moves an entry out of small for
// good, so it ends.
func (p *Live) evict() uint32 {
	for {
		small := p.smallTurn()
		q := &p.main
		if small {
			q = &p.small
		}
		n := q.front
		p.slab.remove(q, n)
		c := p.counter(Handle(n))
		word := c.Load()
		uses := word & usesMask
		if uses > 0 {
			p.prove(n)
		}
		if uses == 0 || small && uses < uint32(p.setting.uses) {
			e := p.slab.nodes[n]
			if small || p.setting.share == 0 && uses == 0 && e.note&provenNote == 0 {
				p.ghosts.add(e.hash, e.size, max(64, p.Len()), p.budget)
			}
			return n
		}
		if small {
			uses = 0
		} else {
			uses = min(uses, uint32(p.setting.rounds)) - 1
		}
		c.Store(word&^usesMask | uses)
		p.slab.push(&p.main, n)
	}
}

// smallTurn reports whether the small queue gives the next victim.
func (p *Live) smallTurn() bool {
	if p.main.count == 0 {
		return true
	}
	return p.small.count > 0 && p.small.bytes > p.budget*p.setting.share/1000
}
