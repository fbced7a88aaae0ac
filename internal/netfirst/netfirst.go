// Package netfirst lets work that can wait stand back behind whoever the network has something for.
//
// Go's scheduler looks at the network when a processor has nothing else to run, or after 10 ms. A thousand strangers who
// all want their hands shaken keep a processor busy for as long as there are any, and those whose requests have arrived meanwhile
// are not even known to be waiting. [runtime.Gosched] does not help: it is a place behind those that are known.
package netfirst

import (
	"os"
	"runtime"
	"sync"
	"syscall"
)

// Yielder is a place to stand back. It has two file descriptors, which go with it. The zero value is usable.
type Yielder struct {
	once sync.Once
	r, w *os.File // a pipe; nil if there was none to be had
	raw  syscall.RawConn
	try  func(fd uintptr) bool // see poll
	said bool                  // belongs to whoever polls
	buf  [1]byte               // likewise

	mu      sync.Mutex // guards what follows
	polling chan struct{}
}

// Yield returns when the scheduler has looked at the network since it was called, and whoever was found there has had their turn.
// All who call it meanwhile return together.
func (y *Yielder) Yield() {
	y.once.Do(y.open)
	if y.raw == nil {
		runtime.Gosched()
		return
	}
	y.mu.Lock()
	done := y.polling
	if done != nil {
		y.mu.Unlock()
		<-done
		runtime.Gosched()
		return
	}
	done = make(chan struct{})
	y.polling = done
	y.mu.Unlock()
	y.poll()
	y.mu.Lock()
	y.polling = nil
	y.mu.Unlock()
	close(done)
	runtime.Gosched() // behind those who were found together with us
}

func (y *Yielder) open() {
	r, w, err := os.Pipe()
	if err != nil {
		return // no file descriptor is left
	}
	raw, err := r.SyscallConn()
	if err != nil {
		r.Close() //nolint:errcheck // as if there were none
		w.Close() //nolint:errcheck // as above
		return
	}
	y.r, y.w, y.raw = r, w, raw
	y.try = y.tryRead
}

// poll waits for an octet of our own to come in from the network poller.
func (y *Yielder) poll() {
	y.said = false
	if y.raw.Read(y.try) != nil {
		runtime.Gosched()
	}
}

// tryRead sends the octet when it is called first, which is after the poller was told to wait for it; and takes it
// when the poller says that it is there.
func (y *Yielder) tryRead(fd uintptr) bool {
	if !y.said {
		y.said = true
		_, err := y.w.Write(y.buf[:])
		return err != nil
	}
	n, err := syscall.Read(int(fd), y.buf[:]) //nolint:gosec // a file descriptor
	return n > 0 || err != syscall.EAGAIN
}
