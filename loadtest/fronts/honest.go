package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"nearcast/loadtest/rig"
)

// honest is a client that means no harm: it asks over one front whenever a question is due, and knows the answers.
type honest struct {
	front string
	from  netip.Addr
	pause time.Duration
}

// mostLate is how far behind an honest client may be, with its questions one after the other, until it leaves some out.
const mostLate = time.Second

// answers are what honest clients know, from when nobody disturbed.
type answers struct {
	pairs []pair
	want  [][]netip.Addr
}

// learn asks for some pairs.
func (s *stage) learn(ctx context.Context, n int) (*answers, error) {
	a := &answers{pairs: s.world.pairs(s.rng(3), n)}
	c := newClient(s, netip.Addr{})
	defer c.close()
	for i := range a.pairs {
		m, err := c.exchange(ctx, "tcp", question(a.pairs[i].name, dns.TypeA, a.pairs[i].subnet, false))
		if err != nil {
			return nil, err
		}
		got := addresses(m)
		if len(got) == 0 {
			return nil, fmt.Errorf("no addresses in %v", m)
		}
		a.want = append(a.want, got)
	}
	return a, nil
}

// fare is how honest clients fare.
type fare struct {
	mu          sync.Mutex // guards the following
	asked, lost int        // lost are those without an answer in time, or with a wrong one
	skipped     int        // were not asked, since those before took so long
	late        histogram
	first       error // that was lost
}

func (f *fare) done(late time.Duration, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	if err == nil {
		f.late.add(late)
		return
	}
	f.lost++
	if f.first == nil {
		f.first = err
	}
}

func (f *fare) skip(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.skipped += n
}

// visit lets clients ask until ctx ends. The fare is by front.
func (s *stage) visit(ctx context.Context, clients []honest, known *answers) map[string]*fare {
	fares := make(map[string]*fare)
	for _, h := range clients {
		fares[h.name()] = new(fare)
	}
	var visiting sync.WaitGroup
	for i, h := range clients {
		visiting.Go(func() { s.ask(ctx, h, i, known, fares[h.name()]) })
	}
	visiting.Wait()
	return fares
}

func (h *honest) name() string {
	if h.from.IsValid() {
		return h.front + " from elsewhere"
	}
	return h.front
}

func (s *stage) ask(ctx context.Context, h honest, i int, known *answers, f *fare) {
	c := newClient(s, h.from)
	defer c.close()
	asking := context.WithoutCancel(ctx) // what was asked in time is waited for
	for due := time.Now(); rig.Pause(ctx, time.Until(due)) == nil; due = due.Add(h.pause) {
		if late := time.Since(due); late > mostLate { // or it would be over the limit of rates for a moment
			f.skip(int(late / h.pause))
			due = time.Now()
		}
		i++
		p := &known.pairs[i%len(known.pairs)]
		m, err := c.exchange(asking, h.front, question(p.name, dns.TypeA, p.subnet, i%8 == 0))
		switch {
		case err != nil:
			err = fmt.Errorf("%s for %s: %w", p.name, p.subnet, err)
		case m.Truncated || !slices.Equal(addresses(m), known.want[i%len(known.pairs)]):
			err = fmt.Errorf("%s for %s: %v, want %v", p.name, p.subnet, m, known.want[i%len(known.pairs)])
		}
		f.done(time.Since(due), err)
	}
}

// tell reports how clients fared, and is an error if one was let down.
func (r *report) tell(what string, fares map[string]*fare) error {
	var down []string
	names := make([]string, 0, len(fares))
	for name := range fares {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		f := fares[name]
		r.say("%s: honest clients, %-20s asked %7d  lost or wrong %d  not asked %d  p50 %v  p99 %v  max %v", what, name, f.asked, f.lost, f.skipped, f.late.quantile(.5), f.late.quantile(.99), f.late.max())
		if f.lost > 0 || f.asked == 0 {
			down = append(down, fmt.Sprintf("%s: %d of %d were not answered right, the first: %v", name, f.lost, f.asked, f.first))
		}
	}
	if len(down) > 0 {
		return fmt.Errorf("honest clients were let down:\n%s", strings.Join(down, "\n"))
	}
	return nil
}
