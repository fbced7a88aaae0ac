package local

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"nearcast/cdn"
)

// stopGrace is how long a process may take to end after SIGTERM.
const stopGrace = 10 * time.Second

// supervisor owns the child processes. None outlives it: each is told by the
// kernel to die when the thread that started it ends (PR_SET_PDEATHSIG), which
// covers a driver that is itself killed.
type supervisor struct {
	log    *slog.Logger
	prober http.Transport // for readiness probes
	spawn  chan func()    // run on the one thread that starts children
	tasks  sync.WaitGroup // the spawner, and one waiter for each child

	mu       sync.Mutex // guards the following
	children map[string]*child
	closing  bool
}

// child is a running or ended process.
type child struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
}

func newSupervisor(log *slog.Logger) *supervisor {
	s := &supervisor{log: log, spawn: make(chan func()), children: map[string]*child{}}
	s.tasks.Go(func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		for f := range s.spawn {
			f()
		}
	})
	return s
}

// start starts a command whose predecessor of the same name, if any, has ended.
func (s *supervisor) start(c command) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return cdn.Errorf(cdn.Unavailable, "", "the lab is stopping")
	}
	if old := s.children[c.name]; old != nil && old.running() {
		return cdn.Errorf(cdn.Conflict, "", "%s is running, as process %d", c.name, old.cmd.Process.Pid)
	}
	logFile, err := os.OpenFile(c.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening a log file: %w", err)
	}
	cmd := exec.Command(c.path, c.args...) //nolint:noctx // ended by close, in order and with grace
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	// A group of its own keeps the terminal's Ctrl-C from the children: the driver stops them.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	s.spawn <- func() { started <- cmd.Start() }
	err = <-started
	logFile.Close() //nolint:errcheck // the child has its own descriptor
	if err != nil {
		return fmt.Errorf("starting %s: %w", c.name, err)
	}
	ch := &child{cmd: cmd, done: make(chan struct{})}
	s.children[c.name] = ch
	s.tasks.Go(func() { s.wait(c, ch) })
	return nil
}

// wait reaps a child and says how it ended.
func (s *supervisor) wait(c command, ch *child) {
	err := ch.cmd.Wait()
	close(ch.done)
	s.mu.Lock()
	closing := s.closing
	s.mu.Unlock()
	if !closing {
		s.log.Warn("process ended", "restart_with", "nearcast up start "+c.name,
			"process", c.name, "pid", ch.cmd.Process.Pid, "how", ch.cmd.ProcessState.String(), "err", err)
	}
}

func (ch *child) running() bool {
	select {
	case <-ch.done:
		return false
	default:
		return true
	}
}

// pid returns the process id of the newest process of that name.
func (s *supervisor) pid(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ch := s.children[name]; ch != nil {
		return ch.cmd.Process.Pid
	}
	return 0
}

// close stops all children, the last started first, and returns when all have ended.
func (s *supervisor) close() {
	s.mu.Lock()
	s.closing = true
	children := s.children
	s.mu.Unlock()
	for _, ch := range children {
		ch.cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may have ended
	}
	deadline := time.NewTimer(stopGrace)
	defer deadline.Stop()
	for name, ch := range children {
		select {
		case <-ch.done:
		case <-deadline.C:
			s.log.Warn("process did not stop in time; killing it", "process", name, "grace", stopGrace)
			deadline.Reset(0)     // the others have had their time too
			ch.cmd.Process.Kill() //nolint:errcheck // it may have ended
			<-ch.done
		}
	}
	close(s.spawn)
	s.tasks.Wait()
	s.prober.CloseIdleConnections()
}

// awaitReady returns nil once the command's process is ready, or an error with
// the end of its log if it ends first.
func (s *supervisor) awaitReady(ctx context.Context, c command) error {
	s.mu.Lock()
	ch := s.children[c.name]
	s.mu.Unlock()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	reason := "no answer yet"
	for {
		select {
		case <-ctx.Done():
			return cdn.Errorf(cdn.Timeout, "", "%s: %w (%s)\n%s", c.name, context.Cause(ctx), reason, logTail(c.logFile))
		case <-ch.done:
			return cdn.Errorf(cdn.Unavailable, "", "%s ended while starting (%s):\n%s", c.name, ch.cmd.ProcessState, logTail(c.logFile))
		case <-tick.C:
			if reason = s.probe(ctx, c); reason == "" {
				return nil
			}
		}
	}
}

// probe returns why the command is not ready, or "".
func (s *supervisor) probe(ctx context.Context, c command) string {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.readyURL, nil)
	if err != nil {
		return err.Error()
	}
	resp, err := s.prober.RoundTrip(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode == http.StatusOK || c.anyReply {
		return ""
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
	return string(bytes.TrimSpace(text))
}

// logTail returns the last lines of a log, for an error message.
func logTail(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	if len(text) > 2000 {
		text = text[len(text)-2000:]
	}
	return string(bytes.TrimSpace(text))
}
