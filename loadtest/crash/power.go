package main

import (
	"context"
	"time"

	"nearcast/loadtest/rig"
)

// leastSynced is the share of what was stored for [writeTime] that a power cut must leave. A disk that is being stuffed has refused some of it.
const leastSynced = .8

// afterCut is how long the edge serves on without its disk before it ends too.
const afterCut = 300 * time.Millisecond

// playPower cuts the power: first the file system stops and forgets what was not synced, then the edge dies, then the journal
// is replayed. What was stored a while ago must be there as long as the disk has room for all; then it fills, old segments are given up for new
// ones, and nothing wrong may come instead.
func playPower(ctx context.Context, s *stage) error {
	v, err := newExt4(ctx, s.dir, "power", 3*gibi)
	if err != nil {
		return err
	}
	defer v.discard()
	n := s.newNode(v.dir, smallRAM, "2GiB")
	defer n.kill()
	sent := s.origin.octets.Load() // at the time of the last wipe
	for round := range s.out.Rounds {
		if roomy := round < s.out.Rounds/2; roomy && s.origin.octets.Load()-sent > gibi/2 {
			sent = s.origin.octets.Load()
			if err := n.wipe(); err != nil {
				return err
			}
		}
		if err := n.start(ctx); err != nil {
			return err
		}
		crash, err := s.cutRound(ctx, n, v, uint64(round))
		if err != nil {
			return err
		}
		if err := n.start(ctx); err != nil {
			return err
		}
		s.count(ctx, n, crash, 100)
		s.usable(ctx, n, "after a power cut")
		n.kill()
		if round == max(1, s.out.Rounds/2)-1 && (s.out.Asked > 0 || s.out.Rounds > 2) { // nothing is that old yet where the first cut came soon
			s.mustKeep(leastSynced)
		}
	}
	return nil
}

// cutRound lets visitors at the edge and cuts the power.
func (s *stage) cutRound(ctx context.Context, n *node, v *volume, seed uint64) (crash time.Time, err error) {
	c := gather(ctx, s.judge, n.Plain, s.o.connections, seed)
	defer c.dismiss()
	if seed%2 == 1 { // so much that segments end, and are synced
		s.bulk = stuff(ctx, s.judge, n.Plain, s.bulk, 200)
	}
	if err := moment(ctx, writeTime/4, writeTime*3/2); err != nil {
		return crash, err
	}
	crash = time.Now()
	s.judge.expectShock()
	s.judge.expectLoss()
	if err := v.cut(); err != nil {
		return crash, err
	}
	if err := rig.Pause(ctx, afterCut); err != nil {
		return crash, err
	}
	n.lives("without its disk")
	c.expectEnd()
	n.kill()
	c.dismiss()
	s.judge.doubt(crash.Add(-writeTime))
	s.judge.expectSafety()
	if err := v.unmount(ctx); err != nil {
		return crash, err
	}
	return crash, v.mount(ctx)
}

// usable asks for new things until something of that has reached the disk, and says that it is wrong if that does not happen soon. Of a disk that
// has been filled once, memory first learns what is worth it.
func (s *stage) usable(ctx context.Context, n *node, when string) {
	before, began := n.metric(ctx, metricWritten), time.Now()
	for n.metric(ctx, metricWritten) < before+64<<10 {
		if time.Since(began) > s.o.patience || ctx.Err() != nil {
			s.out.fault("nothing is written %s", when)
			return
		}
		s.bulk = stuff(ctx, s.judge, n.Plain, s.bulk, 16)
	}
}
