package ram

import "container/list"

// policy is S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction",
// SOSP 2023): newcomers wait in a small queue and are dropped from it unless they were
// used again, so that what is asked for once does not push out what is asked for often.
// A ghost list remembers who was dropped; a ghost that comes back goes to the main
// queue at once.
//
// It is not safe for concurrent use, except for entry.use.
type policy struct {
	budget      int64
	small, main queue
	ghosts      map[uint64]*list.Element // of ghostList, whose values are uint64
	ghostList   list.List
}

// queue is a FIFO of entries; the front is the oldest.
type queue struct {
	list  list.List
	bytes int64
}

// maxUses caps an entry's use counter: two bits are enough (section 4.1 there).
const maxUses = 3

func newPolicy(budget int64) *policy {
	return &policy{budget: budget, ghosts: make(map[uint64]*list.Element)}
}

// use counts a hit. It may be called without a lock: a lost count does no harm.
func (e *entry) use() {
	if n := e.uses.Load(); n < maxUses {
		e.uses.CompareAndSwap(n, n+1)
	}
}

// bytes is the memory of all entries.
func (p *policy) bytes() int64 { return p.small.bytes + p.main.bytes }

// moves are what a change made of the entries: those that proved to be asked for again, and those that must go. An entry
// may be in both.
type moves struct{ proven, victims []*entry }

// add takes in an entry and returns what that moves; the new one itself may have to go.
func (p *policy) add(e *entry) moves {
	var m moves
	if ghost, ok := p.ghosts[e.hash]; ok {
		p.forget(ghost)
		p.prove(e, &m)
	} else {
		p.push(&p.small, e)
	}
	p.makeRoom(&m)
	return m
}

// prove puts an entry into main, as one that has been asked for again.
func (p *policy) prove(e *entry, m *moves) {
	e.proven = true
	p.push(&p.main, e)
	m.proven = append(m.proven, e)
}

// grow books what an entry has become larger or smaller by, and returns what that moves.
func (p *policy) grow(e *entry, by int64) moves {
	var m moves
	if e.queue == nil {
		return m // it has just gone
	}
	e.cost += by
	e.queue.bytes += by
	p.makeRoom(&m)
	return m
}

func (p *policy) makeRoom(m *moves) {
	for p.bytes() > p.budget {
		m.victims = append(m.victims, p.evict(m))
	}
}

// remove forgets an entry; it reports false if it was not there (any more).
func (p *policy) remove(e *entry) bool {
	if e.queue == nil {
		return false
	}
	e.queue.list.Remove(e.element)
	e.queue.bytes -= e.cost
	e.queue, e.element = nil, nil
	return true
}

func (p *policy) push(q *queue, e *entry) {
	e.queue, e.element = q, q.list.PushBack(e)
	q.bytes += e.cost
}

// evict removes one entry. There must be one. Each step either returns or spends a
// use or moves an entry out of small for good, so it ends.
func (p *policy) evict(m *moves) *entry {
	for {
		if p.smallTurn() {
			e := p.pop(&p.small)
			if e.uses.Load() == 0 {
				p.haunt(e.hash)
				return e
			}
			e.uses.Store(0)
			p.prove(e, m)
			continue
		}
		e := p.pop(&p.main)
		n := e.uses.Load()
		if n == 0 {
			return e
		}
		e.uses.Store(n - 1)
		p.push(&p.main, e)
	}
}

// smallTurn reports whether the small queue gives the next victim. Its last entry is spared
// while main has any: it is the newcomer, and its readers are about to ask for it.
func (p *policy) smallTurn() bool {
	if p.main.list.Len() == 0 {
		return true
	}
	return p.small.list.Len() > 1 && p.small.bytes > p.budget/10
}

func (p *policy) pop(q *queue) *entry {
	e, ok := q.list.Front().Value.(*entry)
	if !ok {
		panic("ram: a queue holds something that is no entry") // only push fills it
	}
	p.remove(e)
	return e
}

// haunt remembers a dropped entry. There are at most as many ghosts as entries.
func (p *policy) haunt(hash uint64) {
	if _, ok := p.ghosts[hash]; ok {
		return
	}
	p.ghosts[hash] = p.ghostList.PushBack(hash)
	for p.ghostList.Len() > max(64, p.small.list.Len()+p.main.list.Len()) {
		p.forget(p.ghostList.Front())
	}
}

func (p *policy) forget(ghost *list.Element) {
	if hash, ok := p.ghostList.Remove(ghost).(uint64); ok {
		delete(p.ghosts, hash)
	}
}
