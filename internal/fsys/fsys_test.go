package fsys_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"nearcast/internal/fsys"
)

// system is a file system under test, and an empty directory of it.
type system struct {
	fsys.FS
	dir string
}

func (s system) path(name string) string { return filepath.Join(s.dir, name) }

// create makes a file that the test closes.
func create(t testing.TB, s fsys.FS, name string, size int64) fsys.File {
	t.Helper()
	f, err := s.Create(name, size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() }) // the test may have closed it
	return f
}

// write writes all, or the test fails.
func write(t testing.TB, f io.WriterAt, text string, off int64) {
	t.Helper()
	if n, err := f.WriteAt([]byte(text), off); n != len(text) || err != nil {
		t.Fatalf("wrote %d of %d octets: %v", n, len(text), err)
	}
}

// content returns all of a file.
func content(t testing.TB, s fsys.FS, name string) []byte {
	t.Helper()
	f, err := s.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, size)
	if n, err := f.ReadAt(p, 0); n != len(p) || err != nil {
		t.Fatalf("read %d of %d octets: %v", n, len(p), err)
	}
	return p
}

func wantError(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func wantNames(t *testing.T, s fsys.FS, dir string, want ...string) {
	t.Helper()
	if got, err := s.ReadDir(dir); err != nil || !slices.Equal(got, want) {
		t.Errorf("%s has %q, error %v; want %q", dir, got, err, want)
	}
}

// behaviour is what every file system does.
//
//nolint:thelper // tests, not helpers
var behaviour = []struct {
	name string
	test func(t *testing.T, s system)
}{
	{"a new file is zeros", func(t *testing.T, s system) {
		create(t, s, s.path("a"), 10_000)
		if got := content(t, s, s.path("a")); !bytes.Equal(got, make([]byte, 10_000)) {
			t.Errorf("%d octets, not all of them zero", len(got))
		}
	}},
	{"a new file can be empty", func(t *testing.T, s system) {
		create(t, s, s.path("a"), 0)
		if got := content(t, s, s.path("a")); len(got) != 0 {
			t.Errorf("%d octets", len(got))
		}
	}},
	{"a new file is new", func(t *testing.T, s system) {
		write(t, create(t, s, s.path("a"), 0), "old", 0)
		_, err := s.Create(s.path("a"), 100)
		wantError(t, "creating it again", err, fs.ErrExist)
		if got := content(t, s, s.path("a")); string(got) != "old" {
			t.Errorf("it has %q now", got)
		}
	}},
	{"a size is not negative", func(t *testing.T, s system) {
		_, err := s.Create(s.path("a"), -1)
		wantError(t, "creating", err, syscall.EINVAL)
		wantNames(t, s, s.dir)
	}},
	{"a file can be too large", func(t *testing.T, s system) {
		if _, err := s.Create(s.path("a"), 1<<62); err == nil {
			t.Error("it was created")
		}
		wantNames(t, s, s.dir)
	}},
	{"what is not there", func(t *testing.T, s system) {
		_, err := s.Open(s.path("a"))
		wantError(t, "Open", err, fs.ErrNotExist)
		_, err = s.Create(s.path("none/a"), 0)
		wantError(t, "Create", err, fs.ErrNotExist)
		wantError(t, "Remove", s.Remove(s.path("a")), fs.ErrNotExist)
		wantError(t, "Rename", s.Rename(s.path("a"), s.path("b")), fs.ErrNotExist)
		_, err = s.ReadDir(s.path("none"))
		wantError(t, "ReadDir", err, fs.ErrNotExist)
		wantError(t, "SyncDir", s.SyncDir(s.path("none")), fs.ErrNotExist)
		_, err = s.Free(s.path("none"))
		wantError(t, "Free", err, fs.ErrNotExist)
	}},
	{"what is a file, and what is a directory", func(t *testing.T, s system) {
		create(t, s, s.path("a"), 0)
		_, err := s.Open(s.path("a/b"))
		wantError(t, "opening below a file", err, syscall.ENOTDIR)
		_, err = s.ReadDir(s.path("a"))
		wantError(t, "listing a file", err, syscall.ENOTDIR)
		wantError(t, "a directory below a file", s.MkdirAll(s.path("a/b")), syscall.ENOTDIR)
		_, err = s.Open(s.dir)
		wantError(t, "opening a directory", err, syscall.EISDIR)
	}},
	{"writes", func(t *testing.T, s system) {
		f := create(t, s, s.path("a"), 8000)
		want := make([]byte, 8000)
		rng := rand.New(rand.NewPCG(1, 1))
		for range 200 {
			off := rng.IntN(12_000)
			p := make([]byte, rng.IntN(6000))
			if rng.IntN(3) > 0 {
				for i := range p {
					p[i] = byte(rng.Uint32())
				}
			}
			write(t, f, string(p), int64(off))
			if len(p) > 0 {
				want = append(want, make([]byte, max(0, off+len(p)-len(want)))...)
				copy(want[off:], p)
			}
		}
		if got := content(t, s, s.path("a")); !bytes.Equal(got, want) {
			t.Errorf("%d octets, not the %d that were written", len(got), len(want))
		}
	}},
	{"reads", func(t *testing.T, s system) {
		f := create(t, s, s.path("a"), 0)
		write(t, f, "nearcast", 0)
		for _, row := range []struct {
			off  int64
			n    int
			want string
			err  error
		}{
			{0, 8, "nearcast", nil},
			{4, 4, "cast", nil},
			{4, 5, "cast", io.EOF},
			{8, 1, "", io.EOF},
			{100, 1, "", io.EOF},
			{100, 0, "", nil},
			{1 << 40, 1, "", io.EOF},
		} {
			p := make([]byte, row.n)
			if n, err := f.ReadAt(p, row.off); string(p[:n]) != row.want || err != row.err {
				t.Errorf("%d octets at %d: %q, %v; want %q, %v", row.n, row.off, p[:n], err, row.want, row.err)
			}
			n, err := f.ReadCached(p, row.off)
			if err != row.err && err != fsys.ErrNotCached || err == row.err && string(p[:n]) != row.want {
				t.Errorf("%d cached octets at %d: %q, %v; want %q, %v", row.n, row.off, p[:n], err, row.want, row.err)
			}
		}
		for name, do := range map[string]func([]byte, int64) (int, error){
			"ReadAt": f.ReadAt, "ReadCached": f.ReadCached, "WriteAt": f.WriteAt,
		} {
			if n, err := do(make([]byte, 1), -1); n != 0 || err == nil || err == fsys.ErrNotCached {
				t.Errorf("%s before the beginning: %d octets, error %v", name, n, err)
			}
		}
	}},
	{"two users of a file", func(t *testing.T, s system) {
		f := create(t, s, s.path("a"), 0)
		other, err := s.Open(s.path("a"))
		if err != nil {
			t.Fatal(err)
		}
		write(t, other, "near", 0)
		if err := other.Close(); err != nil {
			t.Error(err)
		}
		write(t, f, "cast", 4)
		if got := content(t, s, s.path("a")); string(got) != "nearcast" {
			t.Errorf("they wrote %q", got)
		}
	}},
	{"after Close", func(t *testing.T, s system) {
		f := create(t, s, s.path("a"), 10)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		p := make([]byte, 1)
		_, err := f.ReadAt(p, 0)
		wantError(t, "ReadAt", err, os.ErrClosed)
		_, err = f.ReadCached(p, 0)
		wantError(t, "ReadCached", err, os.ErrClosed)
		_, err = f.WriteAt(p, 0)
		wantError(t, "WriteAt", err, os.ErrClosed)
		wantError(t, "Sync", f.Sync(), os.ErrClosed)
		_, err = f.Size()
		wantError(t, "Size", err, os.ErrClosed)
		_, err = f.Changed()
		wantError(t, "Changed", err, os.ErrClosed)
		wantError(t, "Close", f.Close(), os.ErrClosed)
		if fd := f.Fd(); fd != -1 {
			t.Errorf("descriptor %d", fd)
		}
	}},
	{"a removed file is still that of who has it open", func(t *testing.T, s system) {
		f := create(t, s, s.path("a"), 0)
		write(t, f, "old", 0)
		if err := s.Remove(s.path("a")); err != nil {
			t.Fatal(err)
		}
		wantNames(t, s, s.dir)
		write(t, create(t, s, s.path("a"), 0), "new", 0)
		p := make([]byte, 3)
		if _, err := f.ReadAt(p, 0); err != nil || string(p) != "old" {
			t.Errorf("%q, error %v", p, err)
		}
		if got := content(t, s, s.path("a")); string(got) != "new" {
			t.Errorf("the new one has %q", got)
		}
	}},
	{"directories", func(t *testing.T, s system) {
		if err := s.MkdirAll(s.path("b/c")); err != nil {
			t.Fatal(err)
		}
		if err := s.MkdirAll(s.path("b/c")); err != nil {
			t.Errorf("again: %v", err)
		}
		create(t, s, s.path("b/z"), 0)
		create(t, s, s.path("a"), 0)
		wantNames(t, s, s.dir, "a", "b")
		wantNames(t, s, s.path("b"), "c", "z")
		wantError(t, "removing a full one", s.Remove(s.path("b")), syscall.ENOTEMPTY)
		if err := s.Remove(s.path("b/c")); err != nil {
			t.Errorf("removing an empty one: %v", err)
		}
		wantNames(t, s, s.path("b"), "z")
		if err := s.SyncDir(s.path("b")); err != nil {
			t.Error(err)
		}
	}},
	{"renames", func(t *testing.T, s system) {
		write(t, create(t, s, s.path("a"), 0), "one", 0)
		write(t, create(t, s, s.path("b"), 0), "two", 0)
		if err := s.MkdirAll(s.path("d/e")); err != nil {
			t.Fatal(err)
		}
		for _, row := range []struct {
			from, to string
			want     error
		}{
			{"a", "b", nil},
			{"b", "b", nil},
			{"b", "d/c", nil},
			{"a", "b", fs.ErrNotExist},
			{"d/c", "d/e", fs.ErrExist},
			{"d/e", "d/c", syscall.ENOTDIR},
			{"d", "d/e/f", syscall.EINVAL},
			{"d", "none/d", fs.ErrNotExist},
			{"d", "f", nil},
		} {
			if err := s.Rename(s.path(row.from), s.path(row.to)); !errors.Is(err, row.want) {
				t.Errorf("%s to %s: %v, want %v", row.from, row.to, err, row.want)
			}
		}
		wantNames(t, s, s.dir, "f")
		if got := content(t, s, s.path("f/c")); string(got) != "one" {
			t.Errorf("it has %q", got)
		}
	}},
	{"errors say which path", func(t *testing.T, s system) {
		var at *fs.PathError
		if _, err := s.Open(s.path("a")); !errors.As(err, &at) || at.Path != s.path("a") {
			t.Errorf("%v", err)
		}
	}},
	{"changes are seen", func(t *testing.T, s system) {
		f := create(t, s, s.path("a"), 4096)
		before, err := f.Changed()
		if err != nil || before.IsZero() {
			t.Fatalf("a new file was changed %v, error %v", before, err)
		}
		content(t, s, s.path("a"))
		if err := f.Sync(); err != nil {
			t.Error(err)
		}
		if now, err := f.Changed(); err != nil || !now.Equal(before) {
			t.Errorf("reading changed it from %v to %v, error %v", before, now, err)
		}
		for after := before; !after.After(before); { // the kernel's clock may tick seldom
			write(t, f, "x", 0)
			if after, err = f.Changed(); err != nil || after.Before(before) {
				t.Fatalf("after a write: %v, before it %v, error %v", after, before, err)
			}
		}
	}},
	{"there is room", func(t *testing.T, s system) {
		if n, err := s.Free(s.dir); err != nil || n < 1<<16 {
			t.Errorf("%d octets, error %v", n, err)
		}
	}},
}

func TestBehaviour(t *testing.T) {
	for _, row := range behaviour {
		t.Run(row.name, func(t *testing.T) {
			t.Run("OS", func(t *testing.T) { row.test(t, system{fsys.OS{}, t.TempDir()}) })
			t.Run("Mem", func(t *testing.T) { row.test(t, newMem(t, fsys.MemConfig{})) })
			t.Run("Mem, safe", func(t *testing.T) { row.test(t, newMem(t, fsys.MemConfig{Safe: true})) })
			t.Run("Faulty", func(t *testing.T) {
				s := newMem(t, fsys.MemConfig{})
				row.test(t, system{fsys.NewFaulty(s.FS, fsys.Plan{}), s.dir})
			})
		})
	}
}

// newMem returns a file system in memory with a durable directory.
func newMem(t testing.TB, cfg fsys.MemConfig) system {
	t.Helper()
	m := fsys.NewMem(cfg)
	if err := m.MkdirAll("/data"); err != nil {
		t.Fatal(err)
	}
	if err := m.SyncDir("/"); err != nil {
		t.Fatal(err)
	}
	return system{m, "/data"}
}

// TestConcurrent is for the race detector: everybody uses everything, and clones come and go.
func TestConcurrent(t *testing.T) {
	mem := newMem(t, fsys.MemConfig{Capacity: 1 << 20})
	for name, s := range map[string]system{
		"OS": {fsys.OS{}, t.TempDir()}, "Mem": mem, "Faulty": {fsys.NewFaulty(mem.FS, fsys.Plan{}), "/data"},
	} {
		t.Run(name, func(t *testing.T) {
			shared := create(t, s, s.path("shared "+name), 1<<16)
			var users sync.WaitGroup
			for user := range 4 {
				users.Go(func() { use(t, s, shared, string(rune('a'+user))) })
			}
			users.Go(func() {
				for i := range uint64(20) {
					mem.FS.(*fsys.Mem).Kill().Crash(rand.New(rand.NewPCG(i, 0)))
				}
			})
			users.Wait()
		})
	}
}

func use(t *testing.T, s system, shared fsys.File, name string) {
	t.Helper()
	p := bytes.Repeat([]byte(name), 5000)
	got := make([]byte, len(p))
	for i := range int64(20) {
		f, err := s.Create(s.path(name), 1<<14)
		if err != nil {
			t.Error(err)
			return
		}
		_, err1 := f.WriteAt(p, i*100)
		_, err2 := shared.WriteAt(p, i*100)
		_, err3 := shared.ReadAt(got, i*50)
		_, err4 := f.ReadAt(got, i*100)
		err = errors.Join(err1, err2, err3, err4, shared.Sync(), s.Rename(s.path(name), s.path(name+name)),
			s.SyncDir(s.dir), s.Remove(s.path(name+name)), f.Close())
		if err != nil || !bytes.Equal(got, p) {
			t.Errorf("%s: not what it wrote, or error %v", name, err)
		}
	}
}
