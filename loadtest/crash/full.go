package main

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"nearcast/loadtest/rig"
)

// playFull takes the room of the file system away below a running edge, and gives it back.
func playFull(ctx context.Context, s *stage) error {
	v, err := newMemory(s.dir, "full", 3*gibi/2)
	if err != nil {
		return err
	}
	defer v.discard()
	n := s.newNode(v.dir, smallRAM, "1GiB")
	defer n.kill()
	for range s.out.Rounds {
		if err := n.start(ctx); err != nil {
			return err
		}
		if err := s.squeeze(ctx, n, v); err != nil {
			return err
		}
		n.kill()
		if err := n.wipe(); err != nil {
			return err
		}
	}
	return nil
}

// squeeze fills the file system, waits until the edge complains, and makes room again.
func (s *stage) squeeze(ctx context.Context, n *node, v *volume) error {
	c := gather(ctx, s.judge, n.Plain, s.o.connections, 1)
	defer c.dismiss()
	if err := rig.Pause(ctx, s.o.spell); err != nil {
		return err
	}
	ballast := filepath.Join(v.dir, "ballast")
	if err := takeAll(ballast); err != nil {
		return err
	}
	before := n.metric(ctx, metricErrors)
	s.bulk = stuff(ctx, s.judge, n.Plain, s.bulk, 600)
	n.reaches(ctx, metricErrors, before+1, "no alarm without room")
	n.lives("without room")
	if err := os.Remove(ballast); err != nil {
		return err
	}
	freed, written := time.Now(), n.metric(ctx, metricWritten)
	for n.metric(ctx, metricWritten) < written+64<<20 {
		if time.Since(freed) > 2*s.o.patience {
			s.out.fault("%s after there was room again, it is not used", time.Since(freed).Round(time.Second))
			break
		}
		s.bulk = stuff(ctx, s.judge, n.Plain, s.bulk, 16)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	s.out.note("64 MiB written %s after there was room again", time.Since(freed).Round(10*time.Millisecond))
	return nil
}

// takeAll makes a file of all the room that is left.
func takeAll(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // nothing is in it
	at := int64(0)
	for step := int64(256 << 20); step >= 4096; {
		if unix.Fallocate(int(f.Fd()), 0, at, step) != nil {
			step /= 2
			continue
		}
		at += step
	}
	return nil
}
