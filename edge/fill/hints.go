package fill

import (
	"context"
	"sync"
	"time"
)

// maxHints bounds what a source may say before its head.
const maxHints = 16

// hints is what a source says before its head, to those who wait for that.
type hints[H any] struct {
	mu   sync.Mutex // guards the following
	said []H
	more chan struct{} // closed and replaced when something is said
}

func (h *hints[H]) init() { h.more = make(chan struct{}) }

// after returns what was said behind the first n hints, and a channel that closes when there is more.
func (h *hints[H]) after(n int) ([]H, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.said[n:], h.more
}

// Hint tells those who wait for the head something before it, such as an interim
// response. It reports false if there have been too many, and drops it.
func (f *Fill[H]) Hint(hint H) bool {
	h := &f.hints
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.said) >= maxHints {
		return false
	}
	h.said = append(h.said, hint)
	close(h.more)
	h.more = make(chan struct{})
	return true
}

// Wait waits for the head, calls hint for each [Fill.Hint] meanwhile, and reports whether the head came
// before patience was over and ctx ended.
func (r *Reader[H]) Wait(ctx context.Context, patience <-chan time.Time, hint func(H)) bool {
	for heard := 0; ; {
		said, more := r.fill.hints.after(heard)
		for _, h := range said {
			hint(h)
		}
		heard += len(said)
		select {
		case <-r.fill.ready:
			return true
		case <-more:
		case <-patience:
			return false
		case <-ctx.Done():
			return false
		}
	}
}
