package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
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
	n := s.newNode(v.dir, "64MiB", "1GiB")
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
	s.bulk = stuff(ctx, s.judge, n.Plain, s.bulk, 400)
	n.lives("without room")
	if text, err := os.ReadFile(n.Log); err != nil || !strings.Contains(string(text), "no room") {
		s.out.fault("the log says nothing of the lack of room (%v)", err)
	}
	used := room(n)
	if err := os.Remove(ballast); err != nil {
		return err
	}
	freed := time.Now()
	for room(n) < used+64<<20 {
		if time.Since(freed) > 2*s.o.patience {
			s.out.fault("%s after there was room again, it is not used: %d MiB, before %d", time.Since(freed).Round(time.Second), room(n)>>20, used>>20)
			break
		}
		s.bulk = stuff(ctx, s.judge, n.Plain, s.bulk, 16)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	s.out.note("%d MiB were enough; more was used %s after there was room again", used>>20, time.Since(freed).Round(10*time.Millisecond))
	return nil
}

// room is how many octets the node's files take.
func room(n *node) (octets int64) {
	for _, path := range filesBelow(n.paths()...) {
		if info, err := os.Stat(path); err == nil {
			octets += info.Size()
		}
	}
	return octets
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
