package store

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"nearcast/cdn"
)

// lock takes the directory for this process, until the file is closed or the
// process ends. Only this user may read it: snapshots hold secrets. JetStream has no lock of its own, and two servers on one
// directory would destroy it.
func lock(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close() //nolint:errcheck // nothing was written
		return nil, cdn.Errorf(cdn.Conflict, "", "locking %s: another control plane runs on it: %w", dir, err)
	}
	return f, nil
}
