package fill

import "context"

// Reader is one reader of a fill. It is used by one goroutine.
type Reader[H any] struct {
	fill *Fill[H]
	at   *cursor
}

// attach adds a reader at the start of the body; nil if that is gone.
func (f *Fill[H]) attach() *Reader[H] {
	c := f.open()
	if c == nil {
		return nil
	}
	return &Reader[H]{fill: f, at: c}
}

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

// Skip passes over n octets before the first Next.
func (r *Reader[H]) Skip(n int64) {
	s := &r.fill.Stream
	s.mu.Lock()
	defer s.mu.Unlock()
	r.at.pos += n
	s.changed.Broadcast()
}

// Close gives the reader up. It may be called more than once.
func (r *Reader[H]) Close() { r.fill.shut(r.at) }
