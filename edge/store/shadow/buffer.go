package shadow

import (
	"sync"
	"unsafe"
)

// buffer is where requests wait for the goroutine that shows them to the models: those who ask must not wait for that.
type buffer struct {
	mu       sync.Mutex // guards the following
	requests []request
	lost     uint64
}

const (
	buffered = 4096         // may wait; what is more is lost, and counted
	enough   = buffered / 8 // make it worth waking somebody

	bufferMemory = 2 * buffered * int64(unsafe.Sizeof(request{})) // octets: one is filled while the other is read
)

// add reports whether somebody is to be woken.
func (b *buffer) add(r request) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.requests) == cap(b.requests) {
		b.lost++
		return false
	}
	b.requests = append(b.requests, r)
	return len(b.requests)%enough == 0
}

// swap returns what has come, and has the next put into an empty slice.
func (b *buffer) swap(empty []request) []request {
	b.mu.Lock()
	defer b.mu.Unlock()
	full := b.requests
	b.requests = empty
	return full
}

func (b *buffer) dropped() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lost
}
