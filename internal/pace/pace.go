// Package pace tells a client that is slow from one that sends next to nothing to hold what it has.
package pace

import "time"

// Pace is how fast something comes. Only the time spent waiting for it counts, so that whoever is slow to ask for more
// makes no client look slow. Its zero value is a beginning. It is not for concurrent use.
type Pace struct {
	octets int64
	waited time.Duration
}

// Add counts octets that came after a wait.
func (p *Pace) Add(octets int, waited time.Duration) {
	p.octets += int64(octets)
	p.waited += waited
}

// Patience is how long to wait for more: no longer than a stall may take, and than it takes until the client, once it has
// been waited for longer than a stall in all, is slower than minRate octets a second on average.
func (p *Pace) Patience(stall time.Duration, minRate int) time.Duration {
	const most = float64(1 << 62) // or it would not fit, after 9 GB at 1 octet a second
	earned := time.Duration(min(most, float64(p.octets)/float64(minRate)*float64(time.Second)))
	return min(stall, max(0, stall+earned-p.waited))
}
