package fsys_test

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"nearcast/internal/fsys"
)

// TestZerosTakeNoMemory: terabytes of them, in a body here and there a head.
func TestZerosTakeNoMemory(t *testing.T) {
	m := fsys.NewMem(fsys.MemConfig{Safe: true})
	f := create(t, m, "/a", 4<<40)
	body := make([]byte, 1<<20)
	for i := range int64(100) {
		write(t, f, "head", i<<32+100)
		if _, err := f.WriteAt(body, i<<32+104); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := m.Resident(), int64(100*4096); got != want {
		t.Errorf("%d octets of memory, want %d", got, want)
	}
	for i := range int64(100) {
		if _, err := f.WriteAt(body, i<<32); err != nil {
			t.Fatal(err)
		}
	}
	if got := m.Resident(); got != 0 {
		t.Errorf("%d octets of memory once all is zeros again", got)
	}
}

// TestSafeForgets: what is safe at once keeps no log of what is not.
func TestSafeForgets(t *testing.T) {
	m := fsys.NewMem(fsys.MemConfig{Safe: true})
	f := create(t, m, "/a", 1<<20)
	p := bytes.Repeat([]byte("x"), 1<<20)
	grown := func() uint64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	write(t, f, string(p), 0)
	before := grown()
	for range 64 {
		write(t, f, string(p), 0)
	}
	if after := grown(); after > before+8<<20 {
		t.Errorf("64 writes over each other took %d octets", after-before)
	}
	c := m.Crash(rand.New(rand.NewPCG(0, 0)))
	if got := content(t, c, "/a"); !bytes.Equal(got, p) {
		t.Error("a power cut lost something")
	}
}

func TestCapacity(t *testing.T) {
	s := newMem(t, fsys.MemConfig{Capacity: 40_960})
	free := func(want int64) {
		t.Helper()
		if got, err := s.Free("/"); err != nil || got != want {
			t.Errorf("%d octets are free, error %v; want %d", got, err, want)
		}
	}
	free(40_960)
	f := create(t, s, "/data/a", 8193)
	free(40_960 - 12_288)
	_, err := s.Create("/data/b", 28_673)
	wantError(t, "a file that does not fit", err, syscall.ENOSPC)
	wantNames(t, s, "/data", "a")

	n, err := f.WriteAt(bytes.Repeat([]byte("x"), 32_768), 12_000)
	if n != 40_960-12_000 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a write that does not fit: %d octets, error %v", n, err)
	}
	n, err = f.WriteAt([]byte("x"), 50_000)
	if n != 0 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a write beyond what fits: %d octets, error %v", n, err)
	}
	free(0)
	write(t, f, "there is room for what is there", 0)
	if err := s.Remove("/data/a"); err != nil {
		t.Fatal(err)
	}
	free(0) // it is open
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	free(40_960)
	a, b := create(t, s, "/data/a", 4096), create(t, s, "/data/b", 8192)
	if err := errors.Join(a.Close(), b.Close(), s.Rename("/data/a", "/data/b")); err != nil {
		t.Fatal(err)
	}
	free(40_960 - 4096)
	if got, err := s.FS.(*fsys.Mem).Kill().Free("/"); err != nil || got != 40_960-4096 {
		t.Errorf("%d octets are free in a clone, error %v", got, err)
	}
	if got, err := fsys.NewMem(fsys.MemConfig{}).Free("/"); err != nil || got != math.MaxInt64 {
		t.Errorf("without a capacity %d octets are free, error %v", got, err)
	}
}

// TestClock: whatever the clock says, every write is seen.
func TestClock(t *testing.T) {
	now := time.Unix(1000, 0)
	m := fsys.NewMem(fsys.MemConfig{Now: func() time.Time { return now }})
	f := create(t, m, "/a", 0)
	var last time.Time
	for _, step := range []time.Duration{0, 0, time.Second, -time.Hour, 0, 2 * time.Hour} {
		now = now.Add(step)
		write(t, f, "x", 0)
		got, err := f.Changed()
		if err != nil || !got.After(last) {
			t.Errorf("a write at %v: changed %v, error %v, the one before %v", now, got, err, last)
		}
		last = got
	}
	if !last.Equal(now) {
		t.Errorf("changed %v, want the clock's %v", last, now)
	}
}

// TestRot: a flipped bit is there, and stays; only a program leaves a trace.
func TestRot(t *testing.T) {
	for _, row := range []struct {
		name   string
		synced bool
		flip   func(m *fsys.Mem, name string, bit int64) error
		traced bool
	}{
		{"disk", true, (*fsys.Mem).Rot, false},
		{"disk, before it was synced", false, (*fsys.Mem).Rot, false},
		{"program", true, (*fsys.Mem).Tamper, true},
		{"program, before it was synced", false, (*fsys.Mem).Tamper, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newMem(t, fsys.MemConfig{})
			m := s.FS.(*fsys.Mem)
			f := create(t, s, "/data/a", 0)
			write(t, f, "nearcast", 0)
			if row.synced {
				if err := errors.Join(f.Sync(), s.SyncDir("/data")); err != nil {
					t.Fatal(err)
				}
			}
			before, _ := f.Changed()
			killed := m.Kill()
			if err := row.flip(m, "/data/a", 4*8+1); err != nil {
				t.Fatal(err)
			}
			if after, _ := f.Changed(); after.Equal(before) == row.traced {
				t.Errorf("changed %v, before %v", after, before)
			}
			if got := content(t, m, "/data/a"); string(got) != "nearaast" {
				t.Errorf("it has %q", got)
			}
			for seed := range uint64(50) {
				for _, c := range []*fsys.Mem{killed, killed.Crash(rand.New(rand.NewPCG(seed, 0)))} {
					if got := tree(t, c); strings.Contains(got, "aast") {
						t.Fatalf("a clone from before has %q", got)
					}
				}
				c := m.Crash(rand.New(rand.NewPCG(seed, 0)))
				if names, _ := c.ReadDir("/data"); len(names) == 0 {
					continue
				}
				if got := content(t, c, "/data/a"); strings.Contains(string(got), "c") || row.synced && string(got) != "nearaast" {
					t.Fatalf("after a power cut it has %q", got)
				}
			}
		})
	}
	m := fsys.NewMem(fsys.MemConfig{})
	create(t, m, "/a", 1)
	for _, bit := range []int64{-1, 8} {
		wantError(t, "a bit that is not there", m.Rot("/a", bit), syscall.EINVAL)
	}
	wantError(t, "a bit of a directory", m.Rot("/", 0), syscall.EISDIR)
}

func TestTruncate(t *testing.T) {
	m := fsys.NewMem(fsys.MemConfig{Capacity: 1 << 20})
	f := create(t, m, "/a", 0)
	write(t, f, strings.Repeat("nearcast", 1024), 0)
	before, _ := f.Changed()
	if err := errors.Join(m.SyncDir("/"), m.Truncate("/a", 4)); err != nil {
		t.Fatal(err)
	}
	if after, _ := f.Changed(); !after.After(before) {
		t.Error("it left no trace")
	}
	if got, _ := m.Free("/"); got != 1<<20-4096 {
		t.Errorf("%d octets are free", got)
	}
	c := m.Crash(rand.New(rand.NewPCG(1, 1)))
	if got := content(t, c, "/a"); string(got) != "near" {
		t.Errorf("after a power cut it has %q", got)
	}
	write(t, f, "x", 8)
	if got := content(t, m, "/a"); string(got) != "near\x00\x00\x00\x00x" {
		t.Errorf("what was cut off is back: %q", got)
	}
	wantError(t, "growing", m.Truncate("/a", 10), syscall.EINVAL)
}

// TestClonesAreIndependent: nobody sees what another one does.
func TestClonesAreIndependent(t *testing.T) {
	s := newMem(t, fsys.MemConfig{})
	f := create(t, s, "/data/a", 1<<16)
	write(t, f, "one", 5000)
	if err := errors.Join(f.Sync(), s.SyncDir("/data")); err != nil {
		t.Fatal(err)
	}
	all := []*fsys.Mem{s.FS.(*fsys.Mem)}
	for i := range 4 {
		all = append(all, all[i].Kill(), all[i].Crash(rand.New(rand.NewPCG(uint64(i), 0))))
	}
	for i, m := range all {
		f, err := m.Open("/data/a")
		if err != nil {
			t.Fatal(err)
		}
		write(t, f, string(rune('A'+i)), 5003)
		create(t, m, "/data/"+string(rune('A'+i)), 0)
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	for i, m := range all {
		want := string(rune('A' + i))
		wantNames(t, m, "/data", want, "a")
		if got := content(t, m, "/data/a")[5000:5004]; string(got) != "one"+want {
			t.Errorf("clone %d has %q, want %q", i, got, "one"+want)
		}
	}
}

// TestClonesShare: a clone takes memory for what differs only.
func TestClonesShare(t *testing.T) {
	s := newMem(t, fsys.MemConfig{})
	f := create(t, s, "/data/a", 0)
	write(t, f, strings.Repeat("x", 16<<20), 0)
	if err := errors.Join(f.Sync(), s.SyncDir("/data")); err != nil {
		t.Fatal(err)
	}
	m := s.FS.(*fsys.Mem)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range uint64(100) {
		m = m.Crash(rand.New(rand.NewPCG(i, 0)))
	}
	runtime.ReadMemStats(&after)
	if n := (after.TotalAlloc - before.TotalAlloc) / 100; n > 1<<14 {
		t.Errorf("a clone of 16 MiB that does not differ takes %d octets", n)
	}
}
