// Package local is the driver that runs a whole CDN on one machine, for trying
// and testing: every process of a fleet's plan as a separate process of the same
// binary, plus a web origin and an S3 origin for it to fetch from.
//
// It is not for production: it restarts nothing by itself, so that you can kill a
// node and watch what the others do.
package local

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"nearcast/cdn"
	"nearcast/deploy/plan"
)

// Config says what to run and where.
type Config struct {
	// Dir holds everything: state, logs, secrets, endpoints.json. Made if absent.
	Dir string
	// Fleet is what to run, with the addresses of the fleet file.
	Fleet cdn.Fleet
	// PortBase is the first of the 92 ports in use.
	PortBase int
	// Program is the nearcast binary to start; absolute.
	Program string
	// S3Server is the versitygw binary; absolute.
	S3Server string
	// Content is the directory that the web origin serves.
	Content string
	// S3Content is a directory whose files are loaded into the S3 origin's bucket
	// before the lab is ready. Empty loads a single sample object.
	S3Content string
	// ReadyTimeout bounds the wait until everything is ready. Zero means 60 s.
	ReadyTimeout time.Duration
	// Version is written into nothing but the first line of the log.
	Version string
	// Log tells what happens; Out gets the tour once everything is ready.
	Log *slog.Logger
	Out io.Writer
}

// Lab is a CDN that runs on this machine.
type Lab struct {
	cfg       Config
	layout    plan.Layout
	plan      *plan.Plan
	secrets   secrets
	own       *x509.Certificate // the schedulers', if it is not of the lab's making
	commands  []command         // in the order of starting
	children  *supervisor
	endpoints Endpoints
}

// Run starts everything, writes endpoints.json, prints the tour, and keeps the lab
// until ctx ends; then it stops every process and returns nil. If the lab does not
// become ready, everything is stopped again and the error says which part failed.
func Run(ctx context.Context, cfg Config) error {
	lab, unlock, err := prepare(cfg)
	if err != nil {
		return err
	}
	defer unlock()
	lab.children = newSupervisor(cfg.Log)
	defer lab.children.close()
	if err := lab.start(ctx); err != nil {
		return err
	}
	defer os.Remove(lab.endpointsFile()) //nolint:errcheck // a stale file is overwritten by the next start
	lab.printTour()
	return lab.serveControl(ctx)
}

// prepare does all that can fail without a process having been started.
func prepare(cfg Config) (*Lab, func(), error) {
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, nil, err
	}
	cfg.Dir = dir
	lab := &Lab{cfg: cfg, layout: plan.Layout{Dir: dir, PortBase: cfg.PortBase}}
	if lab.plan, err = plan.Local(cfg.Fleet, lab.layout); err != nil {
		return nil, nil, err
	}
	for _, sub := range []string{"secrets", "state", "log"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, nil, fmt.Errorf("making the lab's directory: %w", err)
		}
	}
	unlock, err := lock(dir)
	if err != nil {
		return nil, nil, err
	}
	if err := lab.prepareLocked(); err != nil {
		unlock()
		return nil, nil, err
	}
	return lab, unlock, nil
}

func (l *Lab) prepareLocked() error {
	var err error
	if err = os.Remove(l.endpointsFile()); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("removing the old endpoints file: %w", err)
	}
	if l.secrets, err = l.writeFiles(); err != nil {
		return err
	}
	l.commands = l.allCommands()
	return checkPorts(l.commands)
}

// lock makes sure that one driver at a time uses the directory. The kernel drops
// the lock when the process ends, however it ends.
func lock(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "up.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the lab's directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close() //nolint:errcheck // nothing was written
		return nil, cdn.Errorf(cdn.Conflict, "", "a CDN already runs in %s: stop it first, or choose another --dir", dir)
	}
	return func() { f.Close() }, nil //nolint:errcheck // nothing was written
}

// start starts every process, waits until all are ready, and sets up the demo.
func (l *Lab) start(ctx context.Context) error {
	timeout := l.cfg.ReadyTimeout
	if timeout == 0 {
		timeout = time.Minute
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("not ready within %s", timeout))
	defer cancel()
	for _, c := range l.commands {
		if err := l.children.start(c); err != nil {
			return err
		}
	}
	for _, c := range l.commands {
		if err := l.children.awaitReady(ctx, c); err != nil {
			return err
		}
	}
	if err := l.fillBucket(ctx); err != nil {
		return fmt.Errorf("loading the S3 origin: %w", err)
	}
	if err := l.applyDemo(ctx); err != nil {
		return fmt.Errorf("applying the demo sites: %w", err)
	}
	return l.writeEndpoints()
}
