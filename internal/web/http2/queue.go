package http2

import (
	"cmp"
	"slices"
)

// queue is the streams that could send content if the connection's window allows, in the order of RFC 9218 section 10:
// those of a lower urgency value first. Of one urgency, those that are not incremental are served one after the other,
// in the order of their numbers, and those that are take turns; if there are both, every second turn is
// for the former, so that neither starves.
type queue struct {
	levels [maxUrgency + 1]level
	n      int
}

type level struct {
	ordered []*stream // by number
	ring    []*stream // the first is next
	turn    bool      // the ring's
}

// push adds a stream.
func (q *queue) push(st *stream) {
	st.queued = true
	q.n++
	l := &q.levels[st.priority.urgency]
	if st.priority.incremental {
		l.ring = append(l.ring, st)
		return
	}
	at, _ := slices.BinarySearchFunc(l.ordered, st.id, func(other *stream, id uint32) int { return cmp.Compare(other.id, id) })
	l.ordered = slices.Insert(l.ordered, at, st)
}

// remove takes a stream out, if it is in.
func (q *queue) remove(st *stream) {
	if !st.queued {
		return
	}
	st.queued = false
	q.n--
	l := &q.levels[st.priority.urgency]
	list := &l.ordered
	if st.priority.incremental {
		list = &l.ring
	}
	if at := slices.Index(*list, st); at >= 0 {
		*list = slices.Delete(*list, at, at+1)
	}
}

// next returns the stream whose turn it is, or nil. It stays in; a ring has moved on.
func (q *queue) next() *stream {
	if q.n == 0 {
		return nil
	}
	for i := range q.levels {
		if l := &q.levels[i]; len(l.ordered)+len(l.ring) > 0 {
			return l.next()
		}
	}
	return nil
}

func (l *level) next() *stream {
	l.turn = !l.turn
	if len(l.ring) == 0 || len(l.ordered) > 0 && !l.turn {
		return l.ordered[0]
	}
	st := l.ring[0]
	copy(l.ring, l.ring[1:])
	l.ring[len(l.ring)-1] = st
	return st
}
