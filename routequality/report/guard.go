package report

import (
	"container/list"
	"sync"
	"time"
)

// Guard tells what is new from what was heard before, or has been overtaken. Its methods may be called from any goroutine.
type Guard struct {
	most   int
	forget time.Duration

	mu      sync.Mutex               // guards the following
	senders map[string]*list.Element // of *heard
	order   *list.List               // the least recently heard in front
}

// heard is the newest report of a sender.
type heard struct {
	from        string
	incarnation int64
	seq         uint64
	at          time.Time
}

// NewGuard returns a guard that remembers so many senders, at least one, and each for so long after its last report. It has to forget:
// a machine whose clock was set back, or whose name was given to another, would be refused for ever.
func NewGuard(most int, forget time.Duration) *Guard {
	return &Guard{most: max(1, most), forget: forget, senders: make(map[string]*list.Element), order: list.New()}
}

// Accept reports whether a report is newer than all others of its sender, and remembers it if so. With too many senders the
// one who was silent longest is forgotten.
func (g *Guard) Accept(now time.Time, from string, incarnation int64, seq uint64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	news := heard{from: from, incarnation: incarnation, seq: seq, at: now}
	if e, ok := g.senders[from]; ok {
		last := e.Value.(*heard) //nolint:errcheck // nothing else is in the list
		older := incarnation < last.incarnation || incarnation == last.incarnation && seq <= last.seq
		if older && now.Sub(last.at) < g.forget {
			return false
		}
		*last = news
		g.order.MoveToBack(e)
		return true
	}
	if len(g.senders) >= g.most {
		oldest := g.order.Front()
		delete(g.senders, g.order.Remove(oldest).(*heard).from) //nolint:errcheck // nothing else is in the list
	}
	g.senders[from] = g.order.PushBack(&news)
	return true
}

// Len returns how many senders are remembered.
func (g *Guard) Len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.senders)
}
