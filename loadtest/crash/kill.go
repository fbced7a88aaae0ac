package main

import (
	"context"
	"math/rand/v2"
	"time"

	"nearcast/loadtest/rig"
)

const gibi = 1 << 30

// moment waits for a random time, so that the crash comes at any moment of what the edge does.
func moment(ctx context.Context, least, most time.Duration) error {
	return rig.Pause(ctx, least+rand.N(most-least))
}

// playKill kills an edge whose disk has room for all, so that all must be there afterwards.
func playKill(ctx context.Context, s *stage) error {
	n := s.newNode(s.dir, smallRAM, "4GiB")
	defer n.kill()
	var crash time.Time
	sent := int64(0) // at the time of the last wipe
	for round := range s.out.Rounds {
		if err := n.start(ctx); err != nil {
			return err
		}
		if round%2 == 1 { // else visitors come while the disk is still being read
			s.count(ctx, n, crash, 100)
		}
		c := gather(ctx, s.judge, n.Plain, s.o.connections, uint64(round))
		least := writeTime / 4
		if round == s.out.Rounds-1 { // so that there is something to be kept
			least = writeTime * 5 / 4
		}
		err := moment(ctx, least, writeTime*3/2)
		c.expectEnd()
		n.lives("under load")
		n.kill()
		crash = time.Now()
		c.dismiss()
		s.judge.doubt(crash.Add(-writeTime))
		if err != nil || s.o.keep && s.judge.wronged() {
			return err
		}
		if s.origin.octets.Load()-sent > 2*gibi && round < s.out.Rounds-1 {
			sent = s.origin.octets.Load()
			if err := n.wipe(); err != nil {
				return err
			}
		}
	}
	if err := n.start(ctx); err != nil {
		return err
	}
	s.count(ctx, n, crash, 1000)
	s.mustKeep(leastKept)
	return nil
}

const (
	// smallRAM makes most hits come from the disk.
	smallRAM = "16MiB"
	// leastKept is the share of what was stored for [writeTime] that kill -9 must leave.
	leastKept = .99
)

// playKillFull kills an edge while it gives up old segments for new ones. What is kept then is its own choice.
func playKillFull(ctx context.Context, s *stage) error {
	n := s.newNode(s.dir, smallRAM, "1GiB")
	defer n.kill()
	if err := n.start(ctx); err != nil {
		return err
	}
	s.bulk = stuff(ctx, s.judge, n.Plain, 0, 1100)
	for round := range s.out.Rounds {
		c := gather(ctx, s.judge, n.Plain, s.o.connections, uint64(round))
		end := make(chan int, 1)
		go func() { end <- c.stuff(ctx, s.bulk) }()
		err := moment(ctx, writeTime/4, writeTime*3/2)
		c.expectEnd()
		n.lives("under load")
		n.kill()
		crash := time.Now()
		c.dismiss()
		s.judge.doubt(crash.Add(-writeTime))
		s.bulk = <-end
		if err != nil || s.o.keep && s.judge.wronged() {
			return err
		}
		if err := n.start(ctx); err != nil {
			return err
		}
		s.count(ctx, n, crash, 100)
	}
	s.out.note("%d MiB of /bulk/ went through a disk of 1 GiB", s.bulk)
	return nil
}
