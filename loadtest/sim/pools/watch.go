package pools

import (
	"slices"
	"sync"
	"syscall"
	"time"
)

// watch writes down who believes whom to be dead, and what is true.
type watch struct {
	found chan struct{} // capacity 1: all know of the death

	mu       sync.Mutex // guards the following
	nodes    int
	victim   int // -1: nobody is dead
	killedAt time.Time
	knows    map[int]bool
	latest   []time.Duration // for each node: when it learnt of the present death
	doubters []map[int]bool  // for each living node: who takes it for dead
	episodes []episode       // the present ones, by node

	first, every, last []time.Duration
	missed             int
	falseAny, falseAll int
}

// episode is a time in which a living node is taken for dead.
type episode struct{ most int }

func (w *watch) init(nodes int) {
	w.found = make(chan struct{}, 1)
	w.nodes, w.victim = nodes, -1
	w.doubters, w.episodes = make([]map[int]bool, nodes), make([]episode, nodes)
	for i := range w.doubters {
		w.doubters[i] = make(map[int]bool)
	}
}

// kill takes a node's power away.
func (w *watch) kill(n *node) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.found:
	default:
	}
	w.victim, w.killedAt, w.knows, w.latest = n.index, time.Now(), make(map[int]bool), nil
	n.host.Cut(true)
	for who := range w.doubters[n.index] {
		w.learns(who)
	}
}

// learns notes that a survivor knows of the death.
func (w *watch) learns(who int) {
	if who == w.victim || w.knows[who] {
		return
	}
	w.knows[who] = true
	w.latest = append(w.latest, time.Since(w.killedAt))
	if len(w.knows) == w.nodes-1 {
		w.found <- struct{}{}
	}
}

// bury ends a death: what was learnt of it is counted.
func (w *watch) bury() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.latest) < w.nodes-1 {
		w.missed++
	}
	if len(w.latest) > 0 {
		w.first = append(w.first, slices.Min(w.latest))
		w.last = append(w.last, slices.Max(w.latest))
		w.every = append(w.every, w.latest...)
	}
	clear(w.doubters[w.victim])
	w.victim = -1
}

// believes notes that one node has changed its mind about another.
func (w *watch) believes(who, about int, dead bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case who == w.victim: // whose belief is nobody's concern
	case about == w.victim && dead:
		w.learns(who)
	case about == w.victim: // it has not heard of the death yet
	case dead:
		w.doubters[about][who] = true
		e := &w.episodes[about]
		if e.most == 0 {
			w.falseAny++
		}
		if n := len(w.doubters[about]); n > e.most {
			if e.most = n; n == w.nodes-1 {
				w.falseAll++
			}
		}
	default:
		w.trusts(who, about)
	}
}

// trusts notes that a node no longer takes another for dead.
func (w *watch) trusts(who, about int) {
	delete(w.doubters[about], who)
	if len(w.doubters[about]) == 0 {
		w.episodes[about] = episode{}
	}
}

// forget drops what a process that has ended believed.
func (w *watch) forget(who int, believed []bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for about, dead := range believed {
		if dead {
			w.trusts(who, about)
		}
	}
}

func (w *watch) result() Result {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Result{first: w.first, every: w.every, last: w.last, Missed: w.missed, FalseAny: w.falseAny, FalseAll: w.falseAll}
}

// processorTime returns what this process has used.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
