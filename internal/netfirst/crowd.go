package netfirst

import "sync/atomic"

const (
	// crowded is how many are no crowd.
	crowded = 256
	// perTurn is how many of a crowd go on each time that the scheduler has looked at the network.
	perTurn = 8
)

// Crowd is work that begins slowly when there is much of it: thousands of requests that come at once and need more than memory would
// otherwise all stand in the scheduler's queue before the next request that needs nothing else.
type Crowd struct {
	yielder Yielder
	inside  atomic.Int32
	turns   chan struct{}
}

// NewCrowd returns one that is empty.
func NewCrowd() *Crowd { return &Crowd{turns: make(chan struct{}, perTurn)} }

// Enter begins a piece of work, which Leave ends. It waits a moment if there are many.
func (c *Crowd) Enter() {
	if c.inside.Add(1) <= crowded {
		return
	}
	c.turns <- struct{}{}
	c.yielder.Yield()
	<-c.turns
}

// Leave ends a piece of work.
func (c *Crowd) Leave() { c.inside.Add(-1) }
