package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"nearcast/loadtest/rig"
)

// injection is a system call that goes wrong, in the words of strace -e inject.
type injection struct {
	name  string
	calls string
	how   string
	// inside limits it to files that are on the disk when it begins: the program reads others, too.
	inside bool
	// alarm is a metric that must rise; "" if nothing has to.
	alarm string
}

// injections are those that are made, the most telling first.
func injections() []injection {
	return []injection{
		{"writes fail", "pwrite64,pwritev,pwritev2", "error=EIO", false, metricErrors},
		{"reads fail", "pread64,preadv,preadv2", "error=EIO", true, metricErrors},
		{"syncs fail", "fdatasync,fsync", "error=EIO", false, metricErrors},
		{"reads bring less, and that is rubbish", "pread64,preadv,preadv2", "retval=100", true, ""},
		{"writes claim what they have not done", "pwrite64,pwritev,pwritev2", "retval=512", false, ""},
		{"the disk is full", "pwrite64,pwritev,pwritev2,fallocate", "error=ENOSPC", false, metricErrors},
		{"no room can be had in advance", "fallocate", "error=ENOSPC", false, metricErrors},
		{"too many open files", "openat", "error=EMFILE", false, ""},
		{"some writes fail", "pwrite64,pwritev,pwritev2", "error=EIO:when=3+7", false, metricErrors},
		{"some reads fail", "pread64,preadv,preadv2", "error=EIO:when=5+11", true, metricErrors},
		{"files cannot be sent", "sendfile", "error=EIO", false, ""},
		{"the disk is slow", "pwrite64,fdatasync,pread64,preadv2", "delay_enter=50000", true, ""},
	}
}

// words are strace's arguments.
func (in injection) words(n *node) []string {
	words := []string{"-f", "-qq", "-p", strconv.Itoa(n.PID()), "-e", "trace=" + in.calls, "-e", "inject=" + in.calls + ":" + in.how}
	if in.inside {
		for _, f := range filesBelow(n.paths()...) {
			words = append(words, "-P", f)
		}
	}
	return words
}

// playInject lets system calls of a running edge fail, one sort in each round.
func playInject(ctx context.Context, s *stage) error {
	strace, err := exec.LookPath("strace")
	if err != nil {
		return fmt.Errorf("%w: it needs strace", errLacking)
	}
	for round, in := range injections()[:min(s.out.Rounds, len(injections()))] {
		dir := filepath.Join(s.dir, strconv.Itoa(round))
		n := s.newNode(dir, smallRAM, "1GiB")
		err := s.suffer(ctx, n, strace, in)
		n.kill()
		if err != nil {
			return fmt.Errorf("%s: %w", in.name, err)
		}
		if err := n.wipe(); err != nil {
			return err
		}
	}
	return nil
}

// suffer lets visitors at an edge before, while and after system calls fail.
func (s *stage) suffer(ctx context.Context, n *node, strace string, in injection) error {
	if err := n.start(ctx); err != nil {
		return err
	}
	c := gather(ctx, s.judge, n.Plain, s.o.connections, 1)
	defer c.dismiss()
	if err := rig.Pause(ctx, s.o.spell); err != nil {
		return err
	}
	alarm := n.metric(ctx, in.alarm)
	log := filepath.Join(s.dir, "strace.log")
	os.Remove(log) //nolint:errcheck // it may not be there
	tracer, err := rig.Start(ctx, rig.Command{
		Name: "strace", Path: strace, Core: rig.AnyCore, Output: filepath.Join(s.dir, "strace.err"),
		Args: append(in.words(n), "-o", log),
	})
	if err != nil {
		return err
	}
	defer tracer.Stop()
	s.bulk = c.stuffSome(ctx, s.bulk, 2*s.o.spell)
	n.lives("while " + in.name)
	if in.alarm != "" {
		n.reaches(ctx, in.alarm, alarm+1, "no alarm while "+in.name)
	}
	tracer.Stop()
	text, err := os.ReadFile(log)
	if err != nil {
		return err
	}
	injected := bytes.Count(text, []byte("INJECTED")) + bytes.Count(text, []byte("DELAYED"))
	s.out.note("%s: %s:%s, %d times", in.name, in.calls, in.how, injected)
	if injected == 0 {
		s.out.fault("%s: nothing was injected", in.name)
	}
	if err := rig.Pause(ctx, s.o.spell); err != nil {
		return err
	}
	n.lives("after " + in.name)
	return nil
}

// stuffSome asks for bulk contents for some time.
func (c *crowd) stuffSome(ctx context.Context, next int, d time.Duration) int {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return c.stuff(ctx, next)
}
