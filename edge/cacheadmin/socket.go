package cacheadmin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"nearcast/cdn"
	"nearcast/internal/fsys"
)

// SocketName is the socket's name in the state directory.
const SocketName = "cache.sock"

// maxPath is how long a socket's path may be, in octets: the 108 of sockaddr_un, one of which ends it.
const maxPath = 107

// checkPath finds out whether a socket can have a path.
func checkPath(path string) error {
	if len(path) > maxPath {
		return cdn.Errorf(cdn.Invalid, "", "%s: the path has %d octets and a socket's at most %d: use a shorter --dir, or one relative to the working directory", path, len(path), maxPath)
	}
	return nil
}

// Listen makes the socket in a state directory, which it makes too if need be, for the owner of the process alone. What a dead process has left
// there is replaced. If a living one has it, the error is [fsys.ErrLocked].
func Listen(ctx context.Context, dir string) (net.Listener, error) {
	path := filepath.Join(dir, SocketName)
	if err := checkPath(path); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := fsys.OS{}.Lock(path + ".lock")
	if err != nil {
		return nil, err
	}
	l, err := listen(ctx, path)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return locked{l, lock}, nil
}

func listen(ctx context.Context, path string) (net.Listener, error) {
	switch info, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case info.Mode()&fs.ModeSocket == 0:
		return nil, fmt.Errorf("%s is no socket and in the way: move it elsewhere", path)
	default: // its process is dead, or we would not have the lock
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	private := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) { failed = syscall.Fchmod(int(fd), 0o600) }) // before it has a name
		return errors.Join(err, failed)
	}}
	l, err := private.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil { // where the system does not go by the former
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// locked is a listener that holds a lock.
type locked struct {
	net.Listener
	lock io.Closer
}

// Close implements [net.Listener]. The socket is removed before others may make one.
func (l locked) Close() error { return errors.Join(l.Listener.Close(), l.lock.Close()) }

// Find returns the path of the socket of the node whose state directory, or first disk, is dir.
func Find(dir string) (string, error) {
	path := filepath.Join(dir, SocketName)
	for _, p := range [...]string{path, filepath.Join(dir, "state", SocketName)} {
		info, err := os.Lstat(p)
		if err == nil && info.Mode()&fs.ModeSocket != 0 {
			return p, checkPath(p)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("looking for the node: %w", err)
		}
	}
	what := "no " + SocketName
	if _, err := os.Stat(dir); err != nil {
		what = "no such directory"
	}
	if err := checkPath(path); err != nil {
		return "", err
	}
	return "", cdn.Errorf(cdn.NotFound, "", "no node runs in %s: there is %s. Give --dir the --dir of a running nearcast edge, or the directory of its first --disk", dir, what)
}
