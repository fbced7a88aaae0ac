package fsys_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"nearcast/internal/fsys"
)

// TestPreallocation: a file's room is taken when it is created, or there is no file.
func TestPreallocation(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a")
	f, err := fsys.OS{}.Create(name, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // a test
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Sys().(*syscall.Stat_t).Blocks * 512; got < 1<<20 {
		t.Errorf("%d octets are taken of %d", got, 1<<20)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v: others may read it", info.Mode())
	}
	if _, err := (fsys.OS{}).Create(name+"b", 1<<62); err == nil {
		t.Error("a file larger than any disk was created")
	}
	if _, err := os.Stat(name + "b"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after a creation that failed: %v, want no file", err)
	}
}

// TestReadCached: what was just written is in memory; at its end is EOF; it costs no allocation.
func TestReadCached(t *testing.T) {
	f, err := fsys.OS{}.Create(filepath.Join(t.TempDir(), "a"), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // a test
	want := bytes.Repeat([]byte("nearcast"), 1024)
	if _, err := f.WriteAt(want, 0); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want)+1)
	n, err := f.ReadCached(got, 0)
	if errors.Is(err, fsys.ErrNotCached) {
		t.Skipf("the file system of %s does not say what it has cached", t.TempDir())
	}
	if n != len(want) || err != io.EOF || !bytes.Equal(got[:n], want) {
		t.Errorf("read %d octets, error %v; want the %d that were written, and EOF", n, err, len(want))
	}
	allocations := testing.AllocsPerRun(100, func() {
		if _, err := f.ReadCached(got[:4096], 512); err != nil {
			t.Error(err)
		}
		if _, err := f.Changed(); err != nil {
			t.Error(err)
		}
	})
	if allocations > 0 && !raceDetector { // which makes pools forget
		t.Errorf("%v allocations in a read of the cache", allocations)
	}
}
