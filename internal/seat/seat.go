package seat

import (
	"context"
	"io"
	"net/netip"
	"sync/atomic"
	"time"
)

// Seat is a connection's. Its methods may be called by many at once, and do nothing for nil, which is no seat.
type Seat struct {
	leaf   node // guarded by the room's mu; its rank is what was known of the following
	room   *Room
	conn   io.Closer
	client netip.Addr
	kind   kind  // guarded by the room's mu
	state  state // likewise

	asked  atomic.Bool  // a whole question, once
	parked atomic.Bool  // filed among those that are being answered: the end is to be told
	under  atomic.Int32 // questions that are being answered
	waits  atomic.Bool  // it has been the client's turn since the first of them came: something was to move, or there was another
	moved  atomic.Int64 // when a question came, or something of an answer went, last: since the room was opened
	gone   atomic.Int64 // octets since then
}

// state is what has become of a seat.
type state int

const (
	taken  state = iota
	lost         // to another; its connection is being closed
	vacant       // nobody's
)

// Begin says that a whole question has come, and is being answered. End has to follow, unless Leave does.
func (s *Seat) Begin(now time.Time) {
	if s == nil {
		return
	}
	first := s.under.Load() == 0
	if s.waits.Load() == first {
		s.waits.Store(!first) // who asks for more before it is answered takes little
	}
	s.touch(first, now)
	s.under.Add(1)
	if !s.asked.Load() && s.asked.CompareAndSwap(false, true) {
		s.room.refile(s)
	}
}

// touch says that something has happened. If it is little it counts as if it was a while ago: who has few seats is not stuck by that, and who has many is.
func (s *Seat) touch(all bool, now time.Time) {
	at := s.room.clock(now)
	if all {
		s.gone.Store(0)
		s.moved.Store(at)
		return
	}
	at -= int64(s.room.limits.Stuck) / little
	for before := s.moved.Load(); before < at && !s.moved.CompareAndSwap(before, at); before = s.moved.Load() {
	}
}

// Move says that so many octets of an answer, or of a question's content, have gone their way: none when it is the client's turn
// for the first time, to take something or to send it.
func (s *Seat) Move(now time.Time, octets int64) {
	if s == nil {
		return
	}
	if !s.waits.Load() {
		s.waits.Store(true)
	}
	if octets > 0 {
		s.touch(s.gone.Add(octets) >= Worth, now)
	}
}

// Worth is how many octets have to go their way for an answer to count as one that moves; fewer are collected.
const Worth = 16 << 10

// little is which part of Stuck nothing has moved for whom little moves.
const little = 5

// Hold says that the connection is used for something else from now on, of which the room does not know whether it moves. It is kept.
func (s *Seat) Hold() {
	if s != nil {
		s.under.Add(1)
		s.moved.Store(never)
	}
}

// never is a time that does not come.
const never = 1 << 62

// End says that a question has been answered.
func (s *Seat) End(now time.Time) {
	if s == nil {
		return
	}
	s.touch(s.under.Load() == 1, now)
	if s.under.Add(-1) == 0 && s.parked.CompareAndSwap(true, false) {
		s.room.refile(s)
	}
}

// Patience is how long a connection may be idle that is allowed so long while there is room: less than half of that when few seats are left, a fifth when hardly any are.
func (s *Seat) Patience(normal time.Duration) time.Duration {
	if s == nil {
		return normal
	}
	total, open := s.room.limits.Total, int(s.room.open.Load())
	switch left := total - open; {
	case left < total/16:
		return normal / 5
	case left < total/4:
		return normal * 2 / 5
	}
	return normal
}

// Leave gives the seat up. It must be called once the connection is over, be it that another has got the seat. To call it again does nothing.
func (s *Seat) Leave() {
	if s != nil {
		s.room.leave(s)
	}
}

type contextKey struct{}

// With returns a context for a connection that has a seat.
func With(ctx context.Context, s *Seat) context.Context {
	return context.WithValue(ctx, contextKey{}, s)
}

// Of returns the seat of a context of [With], or one made from it; nil if there is none.
func Of(ctx context.Context) *Seat {
	s, _ := ctx.Value(contextKey{}).(*Seat)
	return s
}
