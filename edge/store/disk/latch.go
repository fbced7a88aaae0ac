package disk

// latch is a lock for whoever may hold it while the disk takes its time. Unlike those of a [sync.Mutex], its waiters are known to wait
// to a test with a clock of its own.
type latch chan struct{}

func newLatch() latch { return make(latch, 1) }

// Lock takes it.
func (l latch) Lock() { l <- struct{}{} }

// Unlock gives it back.
func (l latch) Unlock() { <-l }
