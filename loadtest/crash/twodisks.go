package main

import (
	"context"
	"errors"

	"nearcast/loadtest/rig"
)

// playTwoDisks lets one of two disks fail under load. Then the edge has to serve, to start without that disk, and to take it back.
func playTwoDisks(ctx context.Context, s *stage) error {
	first, err := newExt4(ctx, s.dir, "first", 3*gibi/2)
	if err != nil {
		return err
	}
	defer first.discard()
	second, err := newExt4(ctx, s.dir, "second", 3*gibi/2)
	if err != nil {
		return err
	}
	defer second.discard()
	n := s.newNode(first.dir, smallRAM, "1GiB")
	n.disks = append(n.disks, second.dir+"/disk1:1GiB")
	defer n.kill()
	for round := range s.out.Rounds {
		if err := n.start(ctx); err != nil {
			return err
		}
		if err := s.lose(ctx, n, second, uint64(round)); err != nil {
			return err
		}
		if err := n.start(ctx); err != nil {
			return errors.Join(errors.New("starting with a disk that has failed"), err)
		}
		s.usable(ctx, n, "to the other disk after a start with one that has failed")
		n.kill()
		if err := errors.Join(second.unmount(ctx), second.mount(ctx)); err != nil {
			return err
		}
	}
	if err := n.start(ctx); err != nil {
		return err
	}
	s.usable(ctx, n, "with both disks again")
	if failed := n.metric(ctx, metricFailed); failed != 0 {
		s.out.fault("%s is %g with both disks again", metricFailed, failed)
	}
	return nil
}

// lose lets a disk fail under load, and kills the edge in the end.
func (s *stage) lose(ctx context.Context, n *node, v *volume, seed uint64) error {
	c := gather(ctx, s.judge, n.Plain, s.o.connections, seed)
	defer c.dismiss()
	if err := rig.Pause(ctx, s.o.spell); err != nil {
		return err
	}
	s.judge.expectShock()
	if err := v.cut(); err != nil {
		return err
	}
	s.bulk = c.stuffSome(ctx, s.bulk, s.o.spell)
	n.lives("with a disk that has failed")
	n.reaches(ctx, metricFailed, 1, "no alarm of a disk that has failed")
	s.usable(ctx, n, "to the other disk after one has failed")
	c.expectEnd()
	n.kill()
	return nil
}
