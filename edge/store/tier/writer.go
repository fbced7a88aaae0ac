package tier

import (
	"sync"
	"sync/atomic"

	"nearcast/edge/store"
)

// writer takes to disk what has proven in memory that it is worth it. It does so on its own: those who learn of it hold the lock of
// another key.
type writer struct {
	waiting atomic.Int64 // octets in queue
	dropped atomic.Uint64
	done    sync.WaitGroup

	mu    sync.RWMutex // guards queue against being closed by stop while add sends
	queue chan candidate
}

// candidate is an object that is to be written, if nothing of its key has changed since.
type candidate struct {
	object  *store.Object
	version uint64
	gone    bool // it has left memory
	settled chan<- struct{}
}

// What may wait to be written.
const (
	maxCandidates = 4096
	maxWaiting    = 32 << 20 // octets
)

func (w *writer) start(s *Store) {
	queue := make(chan candidate, maxCandidates)
	w.queue = queue
	w.done.Go(func() {
		for c := range queue {
			if c.settled != nil {
				close(c.settled)
				continue
			}
			s.write(c)
			w.waiting.Add(-c.object.Size())
		}
	})
}

// stop writes what waits.
func (w *writer) stop() {
	w.mu.Lock()
	if w.queue != nil {
		close(w.queue)
		w.queue = nil
	}
	w.mu.Unlock()
	w.done.Wait()
}

// add has a candidate written. What there is no room for is counted and left.
func (w *writer) add(c candidate) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	size := c.object.Size()
	if w.waiting.Add(size) <= maxWaiting+size { // one is taken, however large it is
		select {
		case w.queue <- c:
			return
		default:
		}
	}
	w.waiting.Add(-size)
	w.dropped.Add(1)
}

// Settle waits until what has proven so far that it is worth it has been taken to disk.
func (s *Store) Settle() {
	w := &s.writer
	settled := make(chan struct{})
	w.mu.RLock()
	queue := w.queue
	if queue != nil {
		queue <- candidate{settled: settled} // the writer takes what is there without a lock of w's
	}
	w.mu.RUnlock()
	if queue != nil {
		<-settled
	}
}

func (s *Store) proven(o *store.Object) {
	if s.quiet() {
		return // it has another chance when it leaves
	}
	s.writer.add(candidate{object: o, version: s.stripe(o.Key).version.Load()})
}

func (s *Store) leaving(o *store.Object, proven bool) {
	if proven && o.Body.InMemory() && !s.quiet() {
		s.writer.add(candidate{object: o, version: s.stripe(o.Key).version.Load(), gone: true})
	}
}

// write takes a candidate to disk, if that lacks it, and tells memory where it is then.
func (s *Store) write(c candidate) {
	o := c.object
	st := s.stripe(o.Key)
	st.mu.Lock()
	defer st.mu.Unlock()
	if c.gone && st.version.Load() != c.version || !s.alive(o) { // memory cannot say any more what is the newest
		return
	}
	l := lookupOf(o)
	have := s.ram.Peek(l)
	if c.gone {
		if have == nil && !s.disk.Has(l) {
			s.disk.Add(o, l.Fields)
		}
		return
	}
	if have == nil || have.ID != o.ID {
		return
	}
	head := l
	head.Head = true
	if on := s.disk.Peek(head); on != nil && on.ID == have.ID {
		s.place(have, have)
		return
	}
	if kept, ok := s.disk.Add(have, l.Fields); ok {
		s.place(have, kept)
	}
}

// place puts what is on disk in the place of what is in memory, which is the same content: of a large body memory need not have more than
// where it is.
func (s *Store) place(have, kept *store.Object) {
	if extent := extentOf(kept); extent != nil && kept.Body.Len() > s.largest() {
		head := *kept
		head.Body = store.NewExtentBody(extent, kept.Body.Len())
		kept = &head
	}
	if kept != have {
		s.ram.Swap(have, kept)
	}
}
