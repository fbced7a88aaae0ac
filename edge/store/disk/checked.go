package disk

import (
	"sync"

	"nearcast/edge/store/disk/record"
)

// maxChecked bounds how many extents a disk remembers to have been checked.
const maxChecked = 8192

// checked remembers which extents have been checked a short while ago, so that what is asked for all the time is not read each time
// only to be checked.
type checked struct {
	mu    sync.Mutex // guards the following
	marks map[record.Place]mark
}

// mark says when an extent was checked.
type mark struct {
	at      int64 // Unix nanoseconds
	strange int64 // as in [segment]
}

// recall makes x as fresh as another extent of the same octets, and reports whether that is fresh. The segment's door must be held.
func (c *checked) recall(x *extent) bool {
	c.mu.Lock()
	m, ok := c.marks[x.place()]
	c.mu.Unlock()
	age := x.volume.store.now().UnixNano() - m.at
	if !ok || m.strange != x.strange.Load() || age < 0 || age >= int64(freshFor) {
		return false
	}
	x.verified.Store(m.at)
	return true
}

// note remembers that x has been checked.
func (c *checked) note(x *extent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.marks == nil || len(c.marks) >= maxChecked {
		c.marks = make(map[record.Place]mark)
	}
	c.marks[x.place()] = mark{at: x.verified.Load(), strange: x.strange.Load()}
}

func (x *extent) place() record.Place {
	return record.Place{Segment: x.segment.number, Unit: x.entry.Offset}
}
