package main

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"nearcast/cdn"
	"nearcast/edge/shed"
	"nearcast/scheduler/apiclient"
)

const (
	reliefTick  = time.Second
	reliefEvery = 5 * time.Second // while the node is busy
	reliefAge   = time.Minute     // what is older helps nobody
	reliefFrom  = 0.75            // utilisation from which on it is worth knowing who would help
)

// relief keeps known who helps a busy node: it asks the schedulers, but only while the node is about to need it.
type relief struct {
	pop        cdn.POPName
	schedulers []*apiclient.Client
	load       func() cdn.NodeLoad
	loads      func() map[cdn.NodeName]float64 // of the nodes of the POP
	log        *slog.Logger

	current atomic.Pointer[shed.Relief]
	asked   time.Time // last answer
}

// Now returns who helps, or nil while nobody is known.
func (k *relief) Now() *shed.Relief { return k.current.Load() }

// Run asks until ctx ends.
func (k *relief) Run(ctx context.Context) error {
	tick := time.NewTicker(reliefTick)
	defer tick.Stop()
	var answer *cdn.Relief
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			load := k.load()
			if load.Utilisation() >= reliefFrom && now.Sub(k.asked) >= reliefEvery {
				if a := k.ask(ctx); a != nil {
					answer, k.asked = a, now
				}
			}
			k.current.Store(k.join(answer, now))
		}
	}
}

// ask asks the schedulers one after the other until one answers.
func (k *relief) ask(ctx context.Context) *cdn.Relief {
	for _, s := range k.schedulers {
		a, err := s.Relief(ctx, k.pop)
		if err == nil {
			return a
		}
		k.log.DebugContext(ctx, "asking a scheduler who would help this POP", "url", s.URL(), "error", err)
	}
	return nil
}

// join puts together what is known; without any answer of late the POP's own nodes can still help each other.
func (k *relief) join(answer *cdn.Relief, now time.Time) *shed.Relief {
	r := &shed.Relief{Loads: k.loads()}
	if answer != nil && now.Sub(k.asked) < reliefAge {
		r.Groups, r.Default = answer.Groups, answer.Default
	}
	return r
}
