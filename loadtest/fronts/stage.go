package main

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"

	"nearcast/loadtest/rig"
)

// stage is a scheduler that stands alone with a world, and where its files are.
type stage struct {
	*rig.Scheduler
	world *world
	o     options
	dir   string
	// pinned undoes that this program has a core of its own; nil if it has none.
	pinned func()
}

// open starts a scheduler with more arguments.
func open(ctx context.Context, o options, args ...string) (*stage, error) {
	dir, err := os.MkdirTemp("", "nearcast-fronts-")
	if err != nil {
		return nil, err
	}
	s := &stage{world: newWorld(rand.New(rand.NewPCG(o.seed, 1))), o: o, dir: dir}
	if err := s.start(ctx, args); err != nil {
		os.RemoveAll(dir) //nolint:errcheck // as below
		return nil, err
	}
	return s, nil
}

func (s *stage) start(ctx context.Context, args []string) error {
	fleet := filepath.Join(s.dir, "fleet.yaml")
	if err := os.WriteFile(fleet, []byte(s.world.fleet), 0o600); err != nil {
		return err
	}
	cert, err := rig.NewCertificate(s.dir)
	if err != nil {
		return err
	}
	s.Scheduler, err = rig.StartScheduler(ctx, rig.SchedulerConfig{
		Program: s.o.program, Dir: s.dir, Fleet: fleet, Certificate: cert, Core: s.o.serverCore, Args: append([]string{"--node", "core-1"}, args...),
	})
	if err != nil {
		if log, _ := os.ReadFile(filepath.Join(s.dir, "scheduler.log")); len(log) > 0 {
			os.Stderr.Write(log[:min(len(log), 4000)]) //nolint:errcheck // it says why
		}
	}
	return err
}

// close ends it.
func (s *stage) close() {
	if s.pinned != nil {
		s.pinned()
	}
	s.Stop()
	os.RemoveAll(s.dir) //nolint:errcheck // a folder for temporary files
}

// rng is chance of its own for one purpose.
func (s *stage) rng(purpose uint64) *rand.Rand { return rand.New(rand.NewPCG(s.o.seed, purpose)) }
