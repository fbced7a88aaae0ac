package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// AnyCore lets the system choose where a process runs.
const AnyCore = -1

// grace is how long a process has to end after SIGTERM.
const grace = 5 * time.Second

// Command says what to run.
type Command struct {
	// Name is what errors call it.
	Name string
	// Path is the program's. Args are without its name.
	Path string
	Args []string
	// Env is added to this process's environment.
	Env []string
	// Core is the only one that it may run on, from its first instruction, or [AnyCore]. A Go program then takes
	// itself to be on a machine with one core.
	Core int
	// Output is a file that gets what it prints on standard output and error. An empty one discards that.
	Output string
	// Pipes leaves standard input and output to [Process.In] and [Process.Out].
	Pipes bool
}

// Process is a running command with all its children.
type Process struct {
	// Name is the command's.
	Name string
	// In and Out are the other ends of its standard input and output if the command asked for pipes.
	In  io.WriteCloser
	Out io.ReadCloser

	cmd    *exec.Cmd
	output *os.File
	ended  chan struct{} // closed when the process has ended
	err    error         // how it ended; valid once ended is closed

	mu   sync.Mutex     // guards seen
	seen map[int]uint64 // every process of the tree that was ever seen, with the time of its start
}

// Start runs a command. The end of ctx ends it, but only [Process.Stop] makes sure that nothing is left.
func Start(ctx context.Context, c Command) (*Process, error) {
	p := &Process{Name: c.Name, ended: make(chan struct{}), seen: make(map[int]uint64)}
	p.cmd = exec.CommandContext(ctx, c.Path, c.Args...)
	p.cmd.Env = append(os.Environ(), c.Env...)
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = grace
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C is ours to pass on
	if err := p.connect(c); err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.Name, err)
	}
	err := onCore(c.Core, p.cmd.Start)
	p.closeTheirs()
	if err != nil {
		p.closeOutput()
		return nil, fmt.Errorf("starting %s: %w", c.Name, err)
	}
	p.Tree()
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// connect gives the process its files.
func (p *Process) connect(c Command) error {
	if c.Output != "" {
		f, err := os.OpenFile(c.Output, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
		if err != nil {
			return err
		}
		p.output = f
		p.cmd.Stderr = f
		if !c.Pipes {
			p.cmd.Stdout = f
		}
	}
	if !c.Pipes {
		return nil
	}
	// Pipes of our own: those of exec are closed by Wait, perhaps before their last line was read.
	out, theirOut, err := os.Pipe()
	if err != nil {
		return err
	}
	p.cmd.Stdout, p.Out = theirOut, out
	p.In, err = p.cmd.StdinPipe()
	return err
}

// onCore runs f in a thread that may run on one core only; what f starts inherits that.
func onCore(core int, f func() error) error {
	if core == AnyCore {
		return f()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, only unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("reading the thread's cores: %w", err)
	}
	only.Set(core)
	if err := unix.SchedSetaffinity(0, &only); err != nil {
		return fmt.Errorf("pinning to core %d: %w", core, err)
	}
	err := f()
	return errors.Join(err, unix.SchedSetaffinity(0, &before))
}

// Pause waits, unless ctx ends before that.
func Pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// PID returns the id of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Wait waits for the process's end and returns how that was.
func (p *Process) Wait() error {
	<-p.ended
	if p.err != nil {
		return fmt.Errorf("%s: %w", p.Name, p.err)
	}
	return nil
}

// closeTheirs closes our copy of the process's end of Out, so that its reader sees the end.
func (p *Process) closeTheirs() {
	if f, ok := p.cmd.Stdout.(*os.File); ok && p.Out != nil {
		f.Close() //nolint:errcheck // a pipe
	}
}

// Tree returns the ids of the process and of all its descendants that live.
func (p *Process) Tree() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	pids := descendants(p.PID())
	for _, pid := range pids {
		if s, err := readStat(pid); err == nil {
			p.seen[pid] = s.started
		}
	}
	return pids
}

// Stop ends the process and every descendant that was seen, by force if need be, and returns when they are gone. It may be
// called again.
func (p *Process) Stop() {
	if p == nil {
		return
	}
	p.Tree()
	if p.In != nil {
		p.In.Close() //nolint:errcheck // it may be closed
	}
	p.cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may have ended
	p.cmd.Process.Signal(syscall.SIGCONT) //nolint:errcheck // as above
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
	}
	p.kill()
	<-p.ended
	p.closeOutput()
	if p.Out != nil {
		p.Out.Close() //nolint:errcheck // only read
	}
}

// Kill ends the process and every descendant that was seen as a crash does: at once, with no word to them. It returns when
// they are gone. It may be called again.
func (p *Process) Kill() {
	p.Tree()
	p.kill()
	<-p.ended
	p.closeOutput()
	if p.In != nil {
		p.In.Close() //nolint:errcheck // nobody reads it
	}
	if p.Out != nil {
		p.Out.Close() //nolint:errcheck // only read
	}
}

// kill kills what is left of the tree and waits until it is gone.
func (p *Process) kill() {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(grace); p.killed() > 0 && time.Now().Before(deadline); {
		<-tick.C
	}
}

// killed kills what is left of the tree and returns how many those are. An id that is somebody else's by now has another time
// of start.
func (p *Process) killed() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	left := 0
	for pid, started := range p.seen {
		if s, err := readStat(pid); err == nil && s.started == started && s.state != 'Z' {
			syscall.Kill(pid, syscall.SIGKILL) //nolint:errcheck // it may have ended
			left++
		}
	}
	return left
}

func (p *Process) closeOutput() {
	if p.output != nil {
		p.output.Close() //nolint:errcheck // the process wrote, not we
	}
}

// RaiseFiles raises this process's limit of open files, and that of what it will start, to n if it may. It returns what
// the limit is.
func RaiseFiles(n int) int {
	var now syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &now); err != nil {
		return 0
	}
	for _, want := range []uint64{max(uint64(n), now.Cur), now.Max} { // the second needs no privilege
		limit := syscall.Rlimit{Cur: want, Max: max(want, now.Max)}
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
			return int(min(want, 1<<30))
		}
	}
	return int(min(now.Cur, 1<<30))
}
