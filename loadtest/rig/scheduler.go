package rig

import (
	"context"
	"path/filepath"
)

// SchedulerConfig says how to run a scheduler.
type SchedulerConfig struct {
	// Program is the path of nearcast.
	Program string
	// Dir is where it logs. Required.
	Dir string
	// Fleet is the file of its fleet.
	Fleet string
	// Certificate is for the TLS port. Required.
	Certificate Certificate
	// Core is where it runs.
	Core int
	// Args are more arguments.
	Args []string
}

// Scheduler is a running stand-alone scheduler with every front.
type Scheduler struct {
	*Process
	// DNS, Plain and TLS are where it serves, host:port: DNS over UDP and TCP; HTTP in cleartext; and HTTP and DNS over TLS.
	DNS, Plain, TLS string
	// Admin is where its metrics are, host:port.
	Admin string
	// Log is its file.
	Log string
}

// StartScheduler runs a scheduler on 127.0.0.1 and waits until it is ready.
func StartScheduler(ctx context.Context, c SchedulerConfig) (*Scheduler, error) {
	ports, err := FreePorts(ctx, 4)
	if err != nil {
		return nil, err
	}
	s := &Scheduler{DNS: ports[0], Plain: ports[1], TLS: ports[2], Admin: ports[3], Log: filepath.Join(c.Dir, "scheduler.log")}
	args := []string{
		"scheduler", "--listen", s.DNS, "--http", s.Plain, "--tls-listen", s.TLS, "--cert", c.Certificate.Cert, "--key", c.Certificate.Key,
		"--admin", s.Admin, "--fleet", c.Fleet,
	}
	s.Process, err = Start(ctx, Command{Name: "nearcast scheduler", Path: c.Program, Args: append(args, c.Args...), Core: c.Core, Output: s.Log})
	if err != nil {
		return nil, err
	}
	if err := s.Await(ctx, func() bool { return isReady(ctx, s.Admin) }); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// Metrics reads the scheduler's metrics, by name with labels.
func (s *Scheduler) Metrics(ctx context.Context) (map[string]float64, error) {
	return metrics(ctx, s.Admin)
}
