package fill

import (
	"context"
	"time"
)

// Reader is one reader of a fill. It is used by one goroutine.
type Reader[H any] struct {
	fill *Fill[H]
	at   *cursor
}

// attach adds a reader at an offset of the body; nil if that is gone or far away.
func (f *Fill[H]) attach(at int64) *Reader[H] {
	c := f.open(at)
	if c == nil {
		return nil
	}
	return &Reader[H]{fill: f, at: c}
}

// Fork returns another reader at the same place, for another goroutine; nil if the octets are gone.
func (r *Reader[H]) Fork() *Reader[H] { return r.fill.attach(r.At()) }

// Ready is closed when the head is known.
func (r *Reader[H]) Ready() <-chan struct{} { return r.fill.ready }

// Head returns the head. It must not be called before Ready is closed.
func (r *Reader[H]) Head() H { return r.fill.head }

// Next waits for the next octets of the body, in order. They must not be written to.
// After the last it returns io.EOF if the body is complete, or why it is not.
func (r *Reader[H]) Next(ctx context.Context) ([]byte, error) {
	return r.fill.next(ctx, r.at)
}

// Pending reports whether Next would return at once.
func (r *Reader[H]) Pending() bool {
	s := &r.fill.Stream
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done || s.end > r.at.pos
}

// StartAt puts the reader at an offset of the body, before its first Next, and reports whether that
// can be had: whether it is not gone and not further away than [Stream.Near] allows.
func (r *Reader[H]) StartAt(at int64) bool {
	s := &r.fill.Stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.reachesLocked(at) {
		return false
	}
	r.at.pos = at
	s.changed.Broadcast()
	return true
}

// At returns the offset of the octet that Next begins with.
func (r *Reader[H]) At() int64 {
	s := &r.fill.Stream
	s.mu.Lock()
	defer s.mu.Unlock()
	return r.at.pos
}

// Close gives the reader up. It may be called more than once.
func (r *Reader[H]) Close() {
	f := r.fill
	if f.shut(r.at) && !f.ask.Background && !f.headKnown() {
		time.AfterFunc(f.group.limits.Patience, f.abandon)
	}
}
