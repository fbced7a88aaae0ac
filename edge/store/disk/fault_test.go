package disk_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"nearcast/cdn"
	"nearcast/edge/store"
	"nearcast/edge/store/disk"
	"nearcast/internal/fsys"
)

// journal is a log that can be read.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) has(s string) bool { return strings.Contains(j.text(), s) }

func (j *journal) text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

// pair is a configuration of two disks.
func pair(fs fsys.FS) disk.Config {
	c := config(fs)
	c.Disks = append(c.Disks, disk.Disk{Path: "/e", Size: 64 * segmentSize})
	return c
}

func onDisk(path string, ops ...fsys.Op) func(fsys.Call) bool {
	return func(c fsys.Call) bool {
		for _, op := range ops {
			if c.Op == op && strings.HasPrefix(c.Name, path) {
				return true
			}
		}
		return false
	}
}

// TestDiskFails: a disk that does not write, sync or read, or cannot be opened, is out; the other goes on, and when the failed one is back it
// begins empty, so that nothing comes back which has been replaced meanwhile.
func TestDiskFails(t *testing.T) {
	for _, tt := range []struct {
		name string
		ops  []fsys.Op
	}{
		{"write", []fsys.Op{fsys.OpWriteAt}},
		{"sync", []fsys.Op{fsys.OpSync}},
		{"read", []fsys.Op{fsys.OpReadAt, fsys.OpReadCached}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := fsys.NewMem(fsys.MemConfig{})
			faulty := fsys.NewFaulty(m, fsys.Plan{})
			var log journal
			c := pair(faulty)
			c.Log = slog.New(slog.NewTextHandler(&log, nil))
			s := open(t, c)
			for i := range 200 {
				put(t, s, thing(keyOf(i), long("old", 2000)), "")
			}
			s.Flush()
			faulty.Inject(fsys.Fault{On: onDisk("/e/", tt.ops...), Times: -1, Err: syscall.EIO})
			for i := 0; i < 2000 && s.Stats().Failed == 0; i++ {
				s.Put(thing(keyOf(i), long("new", 2000)), nil)
				get(s, keyOf(i%200), "")
			}
			st := s.Stats()
			if st.Failed != 1 || st.Disks[0].Failed != "" || st.Disks[1].Failed == "" || st.Disks[1].Objects != 0 {
				t.Fatalf("Stats() = %+v", st)
			}
			for i := range 200 { // all room is on the other one now
				put(t, s, thing(keyOf(i), long("newest", 2000)), "")
				want(t, s, keyOf(i), "", long("newest", 2000))
			}
			closed(t, s)
			if !log.has("taken out") || !log.has("/e") {
				t.Error("there is no alarm in the log")
			}
			faulty.Heal()
			s = open(t, c)
			if !log.has("away") {
				t.Error("the log does not say that the disk begins empty")
			}
			for i := range 200 {
				want(t, s, keyOf(i), "", long("newest", 2000))
			}
			if st := s.Stats(); st.Failed != 0 || st.Disks[1].Objects != 0 {
				t.Errorf("Stats() = %+v", st)
			}
		})
	}
}

func TestDiskMissing(t *testing.T) {
	m := fsys.NewMem(fsys.MemConfig{})
	s := open(t, pair(m))
	for i := range 100 {
		put(t, s, thing(keyOf(i), "old"), "")
	}
	closed(t, s)
	faulty := fsys.NewFaulty(m, fsys.Plan{Faults: []fsys.Fault{{On: onDisk("/e", fsys.OpMkdirAll), Times: -1, Err: syscall.EIO}}})
	s = open(t, pair(faulty))
	if st := s.Stats(); st.Failed != 1 || st.Objects == 0 || st.Objects == 100 {
		t.Errorf("Stats() = %+v without one of two disks", st)
	}
	closed(t, s)
	alone := config(faulty)
	alone.Disks[0].Path = "/e"
	if _, err := disk.Open(alone); err == nil || !strings.Contains(err.Error(), "/e") {
		t.Errorf("Open without any disk: %v", err)
	}
}

// TestNoRoom: when the file system is full the disk serves, gives up old segments for new ones, and goes on when there is room again.
func TestNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := fsys.NewMem(fsys.MemConfig{Capacity: 20 * segmentSize})
		s := open(t, config(m)) // which believes in 64
		for i := range 1000 {
			if !s.Put(thing(keyOf(i), long(keyOf(i), 3000)), nil) {
				<-time.After(time.Second)
			}
		}
		st := s.Stats()
		if st.Failed != 0 || st.Objects < 100 || st.Disks[0].Puts < 900 {
			t.Errorf("Stats() = %+v", st)
		}
		closed(t, s)
	})
}

// TestNoRoomAfterAll: if writing to a segment fails for lack of room, though that was taken in advance, what was to be in it is given up, and nothing
// else.
func TestNoRoomAfterAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := fsys.NewMem(fsys.MemConfig{})
		faulty := fsys.NewFaulty(m, fsys.Plan{})
		s := open(t, config(faulty))
		for i := range 60 {
			put(t, s, thing(keyOf(i), long("old", 3000)), "")
		}
		s.Flush()
		faulty.Inject(fsys.Fault{On: onDisk("/d", fsys.OpWriteAt), Times: 1, Err: syscall.ENOSPC, Short: 100})
		taken := make(map[int]bool)
		for i := range 30 {
			taken[i] = s.Put(thing(keyOf(i), long("new", 3000)), nil)
		}
		<-time.After(time.Second)
		if st := s.Stats(); st.Failed != 0 || st.Disks[0].Errors == 0 || faulty.Injected() != 1 {
			t.Errorf("Stats() = %+v", st)
		}
		for restarts := range 2 {
			for i := range 60 {
				got := text(get(s, keyOf(i), ""))
				if got != nothing && got != long("new", 3000) && (taken[i] || got != long("old", 3000)) {
					t.Errorf("Get(%q) = %.40q", keyOf(i), got)
				}
			}
			for i := range 60 {
				put(t, s, thing(keyOf(100*restarts+1000+i), "more"), "")
			}
			closed(t, s)
			s = open(t, config(faulty))
		}
		closed(t, s)
	})
}

// TestNoDescriptors: a lack of descriptors is no defect of a disk.
func TestNoDescriptors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := fsys.NewMem(fsys.MemConfig{})
		faulty := fsys.NewFaulty(m, fsys.Plan{})
		s := open(t, config(faulty))
		put(t, s, thing("a", "before"), "")
		closed(t, s)
		faulty.Inject(fsys.Fault{On: onDisk("/d", fsys.OpOpen), Skip: 2, Times: 3, Err: syscall.EMFILE})
		s = open(t, config(faulty))
		want(t, s, "a", "", "before")
		if st := s.Stats(); st.Failed != 0 || faulty.Injected() != 3 {
			t.Errorf("Stats() = %+v after %d faults", st, faulty.Injected())
		}
		closed(t, s)
	})
}

// TestFlush: what was put is in the file within a second, whatever comes after it.
func TestFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := fsys.NewMem(fsys.MemConfig{})
		s := open(t, config(m))
		put(t, s, thing("a", "body"), "")
		killed := m.Kill()
		<-time.After(time.Second)
		synctest.Wait()
		later := m.Kill()
		closed(t, s)
		s = open(t, config(killed))
		want(t, s, "a", "", nothing)
		closed(t, s)
		s = open(t, config(later))
		want(t, s, "a", "", "body")
		closed(t, s)
	})
}

// TestStall: a disk that does not answer costs its objects, and not the time of those who ask.
func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := fsys.NewMem(fsys.MemConfig{})
		faulty := fsys.NewFaulty(m, fsys.Plan{Faults: []fsys.Fault{{On: onDisk("/d", fsys.OpReadCached), Times: -1, Err: fsys.ErrNotCached}}})
		s := open(t, config(faulty))
		put(t, s, thing("a", "body"), "")
		s.Flush()
		stall := make(chan struct{})
		faulty.Inject(fsys.Fault{On: onDisk("/d", fsys.OpReadAt), Times: 64, Stall: stall})
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() { get(s, "a", "") })
		}
		synctest.Wait()
		begin := time.Now()
		want(t, s, "a", "", nothing)
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("a miss took %v", took)
		}
		if s.Stats().Disks[0].RefusedReads == 0 {
			t.Error("the read that was refused is not counted")
		}
		close(stall)
		wg.Wait()
		want(t, s, "a", "", "body")
		closed(t, s)
	})
}

// TestStalledWrites: when the disk does not take what is written, Put refuses, soon.
func TestStalledWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty := fsys.NewFaulty(fsys.NewMem(fsys.MemConfig{}), fsys.Plan{})
		c := config(faulty)
		c.Patience = 0
		s := open(t, c)
		put(t, s, thing("a", "body"), "")
		stall := make(chan struct{})
		faulty.Inject(fsys.Fault{On: onDisk("/d", fsys.OpWriteAt), Times: -1, Stall: stall})
		refused := 0
		for i := range 50 {
			begin := time.Now()
			if !s.Put(thing(keyOf(i), long("x", 10_000)), nil) {
				refused++
			}
			if took := time.Since(begin); took > time.Second {
				t.Fatalf("Put took %v", took)
			}
			want(t, s, "a", "", "body")
		}
		if got := s.Stats().Disks[0].Refused; refused == 0 || got != int64(refused) {
			t.Errorf("%d refused, %d counted", refused, got)
		}
		close(stall)
		synctest.Wait()
		<-time.After(time.Second)
		put(t, s, thing("b", "body"), "")
		closed(t, s)
	})
}

func TestVersions(t *testing.T) {
	m := fsys.NewMem(fsys.MemConfig{})
	closed(t, open(t, config(m)))
	f, err := m.Open("/d/superblock")
	if err != nil {
		t.Fatal(err)
	}
	disk.NewerVersion(f)
	if _, err := disk.Open(config(m)); err == nil || !strings.Contains(err.Error(), "version 99") || !strings.Contains(err.Error(), "empty the directory") {
		t.Errorf("Open of a disk of a newer version: %v", err)
	}
}

func TestLocked(t *testing.T) {
	c := config(fsys.OS{})
	c.Disks[0].Path = t.TempDir()
	s := open(t, c)
	if _, err := disk.Open(c); !errors.Is(err, fsys.ErrLocked) || !strings.Contains(err.Error(), c.Disks[0].Path) {
		t.Errorf("Open of a disk in use: %v", err)
	}
	closed(t, s)
	closed(t, open(t, c))
}

// TestForgetIsFinal: what has been forgotten does not come back, not even after its tombstone's segment has gone before its own.
func TestForgetIsFinal(t *testing.T) {
	now := epoch
	m := fsys.NewMem(fsys.MemConfig{})
	c := config(m)
	c.Disks[0].Size = 20 * segmentSize
	c.Now = func() time.Time { return now }
	s := open(t, c)
	put(t, s, thing("a", "old", "Cache-Control", "max-age=100000"), "")
	o := thing("a", "new", "Cache-Control", "max-age=60")
	o.Response.Header.Del("Etag")
	put(t, s, o, "") // in another segment, which goes first
	now = now.Add(2 * time.Minute)
	for i := range 14 {
		short := thing(keyOf(i), long("x", 4000), "Cache-Control", "max-age=180")
		short.Response.Header.Del("Etag")
		put(t, s, short, "")
	}
	now = now.Add(5 * time.Minute)
	for i := 0; s.Stats().Disks[0].Reclaimed == 0; i++ {
		if i > 1000 {
			t.Fatal("nothing is reclaimed")
		}
		put(t, s, thing(keyOf(1000+i), long("y", 4000), "Cache-Control", "max-age=100000"), "")
	}
	s.Flush()
	m = m.Kill()
	closed(t, s)
	c.FS = m
	s = open(t, c)
	if o, _ := s.Get(store.Lookup{Key: cdn.CacheKey("a")}); o != nil {
		t.Errorf("what had been replaced came back: %q", text(o))
	}
}
