package fsys_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"

	"nearcast/internal/fsys"
)

// faulty returns a file system in memory with faults before it.
func faulty(t *testing.T, faults ...fsys.Fault) (*fsys.Faulty, *fsys.Mem) {
	t.Helper()
	m := newMem(t, fsys.MemConfig{}).FS.(*fsys.Mem)
	return fsys.NewFaulty(m, fsys.Plan{Faults: faults}), m
}

// on matches calls of one kind.
func on(op fsys.Op) func(fsys.Call) bool {
	return func(c fsys.Call) bool { return c.Op == op }
}

// TestEveryOperationFails: each of them can, says which one it was, and does nothing.
func TestEveryOperationFails(t *testing.T) {
	var f fsys.File
	p := make([]byte, 4)
	for op, do := range map[fsys.Op]func(s fsys.FS) error{
		fsys.OpOpen:       func(s fsys.FS) error { _, err := s.Open("/data/a"); return err },
		fsys.OpCreate:     func(s fsys.FS) error { _, err := s.Create("/data/b", 0); return err },
		fsys.OpRemove:     func(s fsys.FS) error { return s.Remove("/data/a") },
		fsys.OpRename:     func(s fsys.FS) error { return s.Rename("/data/a", "/data/b") },
		fsys.OpReadDir:    func(s fsys.FS) error { _, err := s.ReadDir("/data"); return err },
		fsys.OpMkdirAll:   func(s fsys.FS) error { return s.MkdirAll("/data/b") },
		fsys.OpSyncDir:    func(s fsys.FS) error { return s.SyncDir("/data") },
		fsys.OpFree:       func(s fsys.FS) error { _, err := s.Free("/data"); return err },
		fsys.OpReadAt:     func(fsys.FS) error { _, err := f.ReadAt(p, 0); return err },
		fsys.OpReadCached: func(fsys.FS) error { _, err := f.ReadCached(p, 0); return err },
		fsys.OpWriteAt:    func(fsys.FS) error { _, err := f.WriteAt([]byte("fail"), 0); return err },
		fsys.OpSync:       func(fsys.FS) error { return f.Sync() },
		fsys.OpSize:       func(fsys.FS) error { _, err := f.Size(); return err },
		fsys.OpChanged:    func(fsys.FS) error { _, err := f.Changed(); return err },
		fsys.OpClose:      func(fsys.FS) error { return f.Close() },
	} {
		t.Run(op.String(), func(t *testing.T) {
			s, m := faulty(t)
			f = file(t, s, "a", "good")
			s.Inject(fsys.Fault{On: on(op), Err: syscall.EIO})
			before := s.Count()
			err := do(s)
			wantError(t, "the call", err, syscall.EIO)
			if err != nil && !strings.Contains(err.Error(), op.String()+" /data") {
				t.Errorf("it says %q", err)
			}
			if got := tree(t, m); got != "a=good" {
				t.Errorf("it left %q", got)
			}
			if s.Injected() != 1 || s.Count() != before+1 {
				t.Errorf("%d calls, %d of them failed", s.Count()-before, s.Injected())
			}
			if op == fsys.OpClose {
				wantError(t, "closing again", do(s), fs.ErrClosed)
			} else if err := do(s); err != nil {
				t.Errorf("the next one: %v", err)
			}
		})
	}
}

// TestWhichCallsFail tells which of ten Creates do.
func TestWhichCallsFail(t *testing.T) {
	for _, row := range []struct {
		name   string
		faults []fsys.Fault
		want   string
	}{
		{"none", nil, "0123456789"},
		{"the first", []fsys.Fault{{Err: syscall.EMFILE}}, ".123456789"},
		{"the fourth", []fsys.Fault{{Skip: 3, Err: syscall.EMFILE}}, "012.456789"},
		{"two of them", []fsys.Fault{{Skip: 3, Times: 2, Err: syscall.EMFILE}}, "012..56789"},
		{"all from the fourth on", []fsys.Fault{{Skip: 3, Times: -1, Err: syscall.EMFILE}}, "012......."},
		{"those of a name", []fsys.Fault{{
			On:    func(c fsys.Call) bool { return path.Base(c.Name) > "5" },
			Times: -1, Err: syscall.EMFILE,
		}}, "012345...."},
		{"those of another kind", []fsys.Fault{{On: on(fsys.OpOpen), Times: -1, Err: syscall.EMFILE}}, "0123456789"},
		{"by two faults", []fsys.Fault{{Skip: 3, Err: syscall.EMFILE}, {Skip: 3, Err: syscall.EIO}}, "012..56789"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, _ := faulty(t, row.faults...)
			var got strings.Builder
			for name := range strings.SplitSeq("0123456789", "") {
				f, err := s.Create("/data/"+name, 0)
				if err != nil {
					name = "."
				} else {
					t.Cleanup(func() { f.Close() })
				}
				got.WriteString(name)
			}
			if got.String() != row.want {
				t.Errorf("%s, want %s", got.String(), row.want)
			}
			if n := s.Count(fsys.OpCreate, fsys.OpOpen); n != 10 {
				t.Errorf("%d calls were counted", n)
			}
		})
	}
}

// TestPartialCalls tells what a call moves that does not go well.
func TestPartialCalls(t *testing.T) {
	odd := func(sector int64) bool { return sector/512%2 == 1 }
	for _, row := range []struct {
		name  string
		op    fsys.Op
		fault fsys.Fault
		n     int
		err   error
		runs  string // of each 512 octets the first: o old, n new
	}{
		{"a short write", fsys.OpWriteAt, fsys.Fault{Err: syscall.ENOSPC, Short: 600}, 600, syscall.ENOSPC, "nnoo"},
		{"a write too short to be short", fsys.OpWriteAt, fsys.Fault{Err: syscall.ENOSPC, Short: 5000}, 2048, syscall.ENOSPC, "nnnn"},
		{"a torn write", fsys.OpWriteAt, fsys.Fault{Err: syscall.EIO, Torn: odd}, 0, syscall.EIO, "nono"},
		{"a disk that lies", fsys.OpWriteAt, fsys.Fault{Torn: odd}, 2048, nil, "nono"},
		{"a short read", fsys.OpReadAt, fsys.Fault{Err: syscall.EIO, Short: 600}, 600, syscall.EIO, "oooo"},
		{"a read of what is cached in part", fsys.OpReadCached, fsys.Fault{Err: fsys.ErrNotCached, Short: 512}, 512, fsys.ErrNotCached, "oooo"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, m := faulty(t)
			f := file(t, s, "a", strings.Repeat("o", 2048))
			s.Inject(row.fault)
			do, p := f.WriteAt, bytes.Repeat([]byte("n"), 2048)
			switch row.op {
			case fsys.OpReadAt:
				do = f.ReadAt
			case fsys.OpReadCached:
				do = f.ReadCached
			default:
			}
			n, err := do(p, 0)
			if n != row.n || !errors.Is(err, row.err) {
				t.Errorf("%d octets, error %v; want %d, %v", n, err, row.n, row.err)
			}
			if row.op == fsys.OpReadCached && err != fsys.ErrNotCached {
				t.Errorf("%v is not bare", err)
			}
			if row.op != fsys.OpWriteAt && string(p) != strings.Repeat("o", n)+strings.Repeat("n", 2048-n) {
				t.Error("it read something else")
			}
			var runs []byte
			for sector := range slices.Chunk(content(t, m, "/data/a"), 512) {
				runs = append(runs, sector[0])
			}
			if string(runs) != row.runs {
				t.Errorf("it left %s, want %s", runs, row.runs)
			}
		})
	}
}

// TestFailedSync: what was unsynced can be read, and is gone after a power cut although a later Sync succeeds.
func TestFailedSync(t *testing.T) {
	s, m := faulty(t)
	f := file(t, s, "a", "0000")
	s.Inject(fsys.Fault{On: on(fsys.OpSync), Err: syscall.EIO})
	write(t, f, "1", 1)
	wantError(t, "Sync", f.Sync(), syscall.EIO)
	write(t, f, "2", 2)
	if got := tree(t, m); got != "a=0120" {
		t.Errorf("before the power cut it has %q", got)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	wantOutcomes(t, outcomes(m, func(c *fsys.Mem) string { return tree(t, c) }), "a=0020")
	write(t, f, "3", 1)
	must(t, f.Sync())
	wantOutcomes(t, outcomes(m, func(c *fsys.Mem) string { return tree(t, c) }), "a=0320")
}

// TestStall: an operation waits, and nobody else does.
func TestStall(t *testing.T) {
	release := make(chan struct{})
	reached := make(chan struct{})
	m := newMem(t, fsys.MemConfig{})
	s := fsys.NewFaulty(m, fsys.Plan{
		Faults: []fsys.Fault{
			{On: on(fsys.OpSyncDir), Stall: release},
			{On: on(fsys.OpSyncDir), Stall: release, Err: syscall.EIO},
		},
		Before: func(c fsys.Call) {
			if c.Op == fsys.OpSyncDir {
				reached <- struct{}{}
			}
		},
	})
	done := make(chan error, 2)
	for range 2 {
		go func() { done <- s.SyncDir("/data") }()
		<-reached
	}
	file := create(t, s, "/data/a", 0)
	write(t, file, "others go on", 0)
	s.Heal()
	select {
	case err := <-done:
		t.Errorf("it did not wait: %v", err)
	default:
	}
	close(release)
	if err := errors.Join(<-done, <-done); !errors.Is(err, syscall.EIO) || strings.Count(err.Error(), "\n") > 0 {
		t.Errorf("of two that waited one was to fail: %v", err)
	}
}

// TestHooks: they see every call, and can cut after each.
func TestHooks(t *testing.T) {
	m := newMem(t, fsys.MemConfig{}).FS.(*fsys.Mem)
	var before, after []fsys.Call
	var left []string
	s := fsys.NewFaulty(m, fsys.Plan{
		Before: func(c fsys.Call) { before = append(before, c) },
		After: func(c fsys.Call, err error) {
			if err != nil && err != io.EOF {
				t.Errorf("%v: %v", c, err)
			}
			after = append(after, c)
			left = append(left, tree(t, m.Kill()))
			m.Crash(rand.New(rand.NewPCG(c.N, 0)))
		},
	})
	f, err := s.Create("/data/a", 3)
	if err != nil {
		t.Fatal(err)
	}
	write(t, f, "new", 1)
	_, err = f.ReadAt(make([]byte, 10), 2)
	wantError(t, "reading on", err, io.EOF)
	must(t, f.Sync(), s.Rename("/data/a", "/data/b"), s.SyncDir("/data"), f.Close())
	want := []fsys.Call{
		{N: 1, Op: fsys.OpCreate, Name: "/data/a", Len: 3},
		{N: 2, Op: fsys.OpWriteAt, Name: "/data/a", Off: 1, Len: 3},
		{N: 3, Op: fsys.OpReadAt, Name: "/data/a", Off: 2, Len: 10},
		{N: 4, Op: fsys.OpSync, Name: "/data/a"},
		{N: 5, Op: fsys.OpRename, Name: "/data/a", To: "/data/b"},
		{N: 6, Op: fsys.OpSyncDir, Name: "/data"},
		{N: 7, Op: fsys.OpClose, Name: "/data/a"},
	}
	if !slices.Equal(before, want) || !slices.Equal(after, want) {
		t.Errorf("before: %v\nafter: %v\nwant: %v", before, after, want)
	}
	wantLeft := []string{"a=...", "a=.new", "a=.new", "a=.new", "b=.new", "b=.new", "b=.new"}
	if !slices.Equal(left, wantLeft) {
		t.Errorf("after each call is left %q, want %q", left, wantLeft)
	}
}
