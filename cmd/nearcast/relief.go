package main

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"nearcast/cdn"
	"nearcast/edge/shed"
)

const (
	reliefTick     = time.Second
	reliefEvery    = 5 * time.Second // while the node is busy
	reliefPatience = 3 * time.Second // with a scheduler
	reliefAge      = time.Minute     // what is older helps nobody
	reliefFrom     = 0.75            // utilisation from which on it is worth knowing who would help
)

// reliever is a scheduler's API, as [apiclient.Client] asks it.
type reliever interface {
	Relief(ctx context.Context, pop cdn.POPName) (*cdn.Relief, error)
	URL() string
}

// relief keeps known who helps a busy node: it asks the schedulers, but only while the node is about to need it.
type relief struct {
	pop        cdn.POPName
	schedulers []reliever
	load       func() cdn.NodeLoad
	loads      func() map[cdn.NodeName]float64 // of the nodes of the POP
	log        *slog.Logger

	current atomic.Pointer[shed.Relief]
	asked   time.Time // last answer
	at      int       // which of the schedulers answered last; of ask only
}

// Now returns who helps, or nil while nobody is known.
func (k *relief) Now() *shed.Relief { return k.current.Load() }

// Run asks until ctx ends. How busy others are is brought up to date every second, whether schedulers answer or not.
func (k *relief) Run(ctx context.Context) error {
	tick := time.NewTicker(reliefTick)
	defer tick.Stop()
	var answer *cdn.Relief
	answers, asking := make(chan *cdn.Relief, 1), false
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case a := <-answers:
			if asking = false; a != nil {
				hold(a)
				answer, k.asked = a, time.Now()
			}
		case now := <-tick.C:
			load := k.load()
			if !asking && load.Utilisation() >= reliefFrom && now.Sub(k.asked) >= reliefEvery {
				asking = true
				wg.Go(func() { answers <- k.ask(ctx) })
			}
			k.current.Store(k.join(answer, now))
		}
	}
}

// ask asks the schedulers one after the other until one answers, first the one that did so last.
func (k *relief) ask(ctx context.Context) *cdn.Relief {
	for range k.schedulers {
		if a := k.askOne(ctx, k.schedulers[k.at]); a != nil {
			return a
		}
		k.at = (k.at + 1) % len(k.schedulers)
	}
	return nil
}

func (k *relief) askOne(ctx context.Context, s reliever) *cdn.Relief {
	ctx, cancel := context.WithTimeout(ctx, reliefPatience)
	defer cancel()
	a, err := s.Relief(ctx, k.pop)
	if err != nil {
		k.log.DebugContext(ctx, "asking a scheduler who would help this POP", "url", s.URL(), "error", err)
		return nil
	}
	return a
}

// join puts together what is known; without any answer of late the POP's own nodes can still help each other.
func (k *relief) join(answer *cdn.Relief, now time.Time) *shed.Relief {
	r := &shed.Relief{Loads: k.loads()}
	if answer == nil || now.Sub(k.asked) >= reliefAge {
		return r
	}
	r.Default, r.Groups, r.Bound = answer.Default, answer.Groups, len(answer.Stay) > 0
	return r
}

// hold has the groups that may go nowhere else among the others.
func hold(answer *cdn.Relief) {
	if answer.Groups == nil {
		answer.Groups = make(map[cdn.GroupName]cdn.POPName, len(answer.Stay))
	}
	for _, group := range answer.Stay {
		answer.Groups[group] = ""
	}
}
