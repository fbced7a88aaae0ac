// Package lograte keeps a flood out of the log: of lines that say the same, one a second is written, which tells how many
// were not.
package lograte

import (
	"sync"
	"time"
)

// Limiter is for lines of one kind. Its zero value is ready, and it may be used by many at once.
type Limiter struct {
	mu      sync.Mutex // guards the following
	written time.Time  // when a line was last
	left    int        // out since
}

// Allow reports whether a line may be written now, and how many others have been left out since the last one.
func (l *Limiter) Allow(now time.Time) (others int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.written) < time.Second {
		l.left++
		return 0, false
	}
	others = l.left
	l.written, l.left = now, 0
	return others, true
}
