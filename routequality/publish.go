package routequality

import (
	"context"
	"slices"
	"time"

	"nearcast/cdn"
	"nearcast/routequality/liveness"
	"nearcast/routequality/probe"
	"nearcast/routequality/report"
	"nearcast/routequality/table"
)

// Times of publishing.
const (
	judgeEvery = liveness.ProbeEvery / 4 // states also change because nobody says anything
	coalesce   = 10 * time.Millisecond   // news that come together are published together
	apart      = 100 * time.Millisecond  // but not more often than so, when there is no end of them
	patience   = 3 * time.Second         // how long the first table waits for reports
)

// probed takes a result of the server's own prober.
func (s *Server) probed(r probe.Result) {
	if s.world.probed(s.now(), &r) {
		s.wake()
	}
}

// takeIn takes in what was reported of visitors and links, until ctx ends.
func (s *Server) takeIn(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-s.heard:
			s.ways.take(s.now(), r)
		}
	}
}

// enqueue hands a report to takeIn. If it does not keep up, the oldest is dropped and counted.
func (s *Server) enqueue(r *report.POP) {
	for {
		select {
		case s.heard <- r:
			return
		default:
		}
		select {
		case <-s.heard:
			s.metrics.overrun.Inc()
		default: // it has just been taken in
		}
	}
}

// judge publishes the states of nodes and POPs whenever they change, until ctx ends.
func (s *Server) judge(ctx context.Context) {
	tick := time.NewTicker(judgeEvery)
	defer tick.Stop()
	var last time.Time // when news were published
	for {
		changed := s.pool.Changed() // before reading, so that no change is missed
		if s.world.step(s.now(), s.pool.State) && s.feed.Latest() != nil {
			s.publishNews()
			last = time.Now()
		}
		if s.feed.Latest() == nil && s.mayBegin() {
			s.publishSlot()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			continue
		case <-changed:
		case <-s.news:
		}
		if !sleep(ctx, max(coalesce, apart-time.Since(last))) {
			return
		}
	}
}

// mayBegin reports whether the first table may be published: it must not say that nothing is known if that is only because nobody has
// had the time to report.
func (s *Server) mayBegin() bool {
	applied := s.applied.Load()
	return applied != 0 && (s.world.ready() || s.now().UnixNano()-applied >= int64(patience))
}

// slots publishes everything that was measured at the beginning of each slot, until ctx ends.
func (s *Server) slots(ctx context.Context) {
	for sleep(ctx, untilSlot(s.now())) {
		latest := s.feed.Latest()
		if now := s.now(); latest == nil || table.SlotOf(now) == latest.Slot && now.Sub(latest.At) < cdn.SlotTime {
			continue // judge begins; or the timer was early
		}
		s.publishSlot()
	}
}

// untilSlot returns the time until the next slot begins.
func untilSlot(now time.Time) time.Duration {
	const slot = int64(cdn.SlotTime)
	return time.Duration(slot - now.UnixNano()%slot)
}

// publishSlot begins a slot. To find what has changed may take a while with many groups; news are published meanwhile.
func (s *Server) publishSlot() {
	s.slotting.Lock()
	defer s.slotting.Unlock()
	began := s.now()
	down := make(map[cdn.POPName]bool)
	for _, p := range s.world.view(began).POPs {
		down[p.POP] = !p.State.Usable()
	}
	change, behind := s.ways.slot(began, func(p cdn.POPName) bool { return down[p] })
	s.world.setBehind(behind)
	s.publishing.Lock()
	defer s.publishing.Unlock()
	now := s.now()
	v, err := s.builder.Slot(now, s.world.view(now), change)
	s.publishLocked(v, err)
	s.metrics.slot.Observe(s.now().Sub(began).Seconds())
}

func (s *Server) publishNews() {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	now := s.now()
	v, err := s.builder.News(now, s.world.view(now))
	s.publishLocked(v, err)
}

func (s *Server) publishLocked(v table.Version, err error) {
	if err != nil { // the builder's own differences fit, so this is a fault of the program
		s.log.Error("no route table was published", "error", err)
		return
	}
	before := s.feed.Latest()
	s.feed.Publish(v)
	s.metrics.note(v.Whole)
	s.log.Debug("published a route table", "epoch", v.Whole.Epoch, "version", v.Whole.Version, "slot", v.Whole.Slot)
	if alarms := v.Whole.Alarms; len(alarms) > 0 && (before == nil || !slices.Equal(before.Alarms, alarms)) {
		s.log.Warn("the route table has alarms", "alarms", alarms)
	}
}

// sleep waits, and reports whether ctx goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
