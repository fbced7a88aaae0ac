package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// errLacking is the error of a scenario that cannot be played here.
var errLacking = errors.New("left out")

// volume is a file system of our own: ext4 in a file, or one in memory.
type volume struct {
	dir   string // where it is mounted
	image string // the file that it lies in; "" for one in memory
}

// newExt4 makes and mounts an ext4 of size octets below dir.
func newExt4(ctx context.Context, dir, name string, size int64) (*volume, error) {
	if err := mayMount(); err != nil {
		return nil, err
	}
	v := &volume{dir: filepath.Join(dir, name), image: filepath.Join(dir, name+".image")}
	if err := errors.Join(os.MkdirAll(v.dir, 0o755), os.WriteFile(v.image, nil, 0o600), os.Truncate(v.image, size)); err != nil {
		return nil, err
	}
	if err := command(ctx, "mkfs.ext4", "-q", "-F", v.image); err != nil {
		return nil, fmt.Errorf("%w: %w", errLacking, err)
	}
	if err := v.mount(ctx); err != nil {
		return nil, fmt.Errorf("%w: %w", errLacking, err)
	}
	return v, nil
}

// newMemory mounts a file system in memory, of size octets, below dir.
func newMemory(dir, name string, size int64) (*volume, error) {
	if err := mayMount(); err != nil {
		return nil, err
	}
	v := &volume{dir: filepath.Join(dir, name)}
	if err := os.MkdirAll(v.dir, 0o755); err != nil {
		return nil, err
	}
	if err := unix.Mount("tmpfs", v.dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		return nil, fmt.Errorf("%w: mounting a tmpfs: %w", errLacking, err)
	}
	return v, nil
}

func mayMount() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: it mounts a file system, for which it has to run as root", errLacking)
	}
	if os.Getenv(apart) == "" {
		return fmt.Errorf("%w: this system gives no mount namespace to it", errLacking)
	}
	return nil
}

// command runs a program and makes what it says part of its error.
func command(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// mount mounts the file, and replays the journal.
func (v *volume) mount(ctx context.Context) error {
	return command(ctx, "mount", "-t", "ext4", "-o", "loop", v.image, v.dir)
}

const (
	shutDown   = 0x8004587d // EXT4_IOC_SHUTDOWN of linux/fs/ext4/ext4.h
	noLogFlush = 2          // EXT4_GOING_FLAGS_NOLOGFLUSH
)

// cut ends the file system as a power cut does: what is not on the disk, in its place or in the journal, is lost.
func (v *volume) cut() error {
	f, err := os.Open(v.dir)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only a handle
	if err := unix.IoctlSetPointerInt(int(f.Fd()), shutDown, noLogFlush); err != nil {
		return fmt.Errorf("shutting down %s: %w", v.dir, err)
	}
	return nil
}

// unmount unmounts it once nobody uses it.
func (v *volume) unmount(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := unix.Unmount(v.dir, 0)
		if err == nil || !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) || ctx.Err() != nil {
			if err != nil {
				return fmt.Errorf("unmounting %s: %w", v.dir, err)
			}
			return nil
		}
		<-tick.C
	}
}

// discard unmounts it whoever uses it, and frees its room.
func (v *volume) discard() {
	if v == nil {
		return
	}
	unix.Unmount(v.dir, unix.MNT_DETACH) //nolint:errcheck // it may be unmounted
	if v.image != "" {
		os.Remove(v.image) //nolint:errcheck // its directory goes too
	}
}

// apart is the variable that tells a process that its mounts are its own.
const apart = "NEARCAST_CRASH_APART"

// setApart runs this program again in a mount namespace of its own, if it may: what it mounts nobody else sees, and nothing of it
// is left when it has ended, however that was. It returns its status, or ok = false in the process that is to do the work.
func setApart() (status int, ok bool) {
	if os.Geteuid() != 0 || os.Getenv(apart) != "" {
		return 0, false
	}
	runtime.LockOSThread()                                // Pdeathsig is of the thread
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...) //nolint:noctx // it ends with this process
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), apart+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Run(); err != nil {
		if cmd.ProcessState == nil { // not started: no namespaces here
			return 0, false
		}
		return max(1, cmd.ProcessState.ExitCode()), true
	}
	return 0, true
}
