package fsys_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"nearcast/internal/fsys"
	"nearcast/internal/racing"
)

// TestPreallocation: a file's room is taken when it is created, or there is no file.
func TestPreallocation(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a")
	f, err := fsys.OS{}.Create(name, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
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
	free, err := fsys.OS{}.Free(name)
	if err != nil {
		t.Fatal(err)
	}
	_, err = fsys.OS{}.Create(name+"b", free+1<<40)
	wantError(t, "a file larger than the disk", err, syscall.ENOSPC)
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
	defer f.Close()
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
	if allocations > 0 && !racing.Enabled { // which makes pools forget
		t.Errorf("%v allocations in a read of the cache", allocations)
	}
}

// TestReadOfWhatIsNotCached: it says so, and has what it has read right all the same.
func TestReadOfWhatIsNotCached(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a")
	f := create(t, fsys.OS{}, name, 0)
	want := bytes.Repeat([]byte("nearcast"), 1<<17)
	write(t, f, string(want), 0)
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Fadvise(f.Fd(), 0, 0, unix.FADV_DONTNEED); err != nil {
		t.Skipf("the kernel forgets nothing: %v", err)
	}
	if resident(t, f, len(want)) {
		t.Skipf("the file system of %s forgets nothing", name)
	}
	got := make([]byte, len(want))
	if n, err := f.ReadCached(got, 0); err != fsys.ErrNotCached || !bytes.Equal(got[:n], want[:n]) {
		t.Fatalf("%d octets, error %v, or not what was written", n, err)
	}
	if _, err := f.ReadAt(got, 0); err != nil || !bytes.Equal(got, want) {
		t.Errorf("waiting for it: error %v, or not what was written", err)
	}
}

// resident reports whether any page of a file is in memory.
func resident(t *testing.T, f fsys.File, size int) bool {
	t.Helper()
	p, err := unix.Mmap(f.Fd(), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(p)
	pages := make([]byte, (size+os.Getpagesize()-1)/os.Getpagesize())
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&p[0])), uintptr(size), uintptr(unsafe.Pointer(&pages[0])))
	if errno != 0 {
		t.Fatal(errno)
	}
	return bytes.ContainsFunc(pages, func(r rune) bool { return r&1 == 1 })
}

// BenchmarkReadCached is a warm read of 64 KiB.
func BenchmarkReadCached(b *testing.B) {
	f := create(b, fsys.OS{}, filepath.Join(b.TempDir(), "a"), 1<<20)
	p := make([]byte, 64<<10)
	if _, err := f.WriteAt(bytes.Repeat([]byte("x"), 1<<20), 0); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.ReadCached(p, 4096); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkChanged is what seeing whether somebody has touched a file costs.
func BenchmarkChanged(b *testing.B) {
	f := create(b, fsys.OS{}, filepath.Join(b.TempDir(), "a"), 0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Changed(); err != nil {
			b.Fatal(err)
		}
	}
}
