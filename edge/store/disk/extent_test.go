package disk_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/edge/store"
	"nearcast/edge/store/disk"
	"nearcast/internal/fsys"
)

// clock is a time of day that tests set.
type clock struct{ now atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.now.Store(epoch.UnixNano())
	return c
}

func (c *clock) Now() time.Time          { return time.Unix(0, c.now.Load()) }
func (c *clock) advance(d time.Duration) { c.now.Add(int64(d)) }

// onFiles is a small disk in real files.
func onFiles(t *testing.T) (disk.Config, *clock) {
	t.Helper()
	clock := newClock()
	return disk.Config{
		Disks: []disk.Disk{{Path: t.TempDir(), Size: 64 << 20}}, FS: fsys.OS{}, SegmentSize: 1 << 20, Now: clock.Now, Patience: time.Minute,
	}, clock
}

func file(s *disk.Store, key string) *store.Object {
	o, _ := s.Get(store.Lookup{Key: cdn.CacheKey(key), File: true})
	return o
}

// sent reads what sendfile would send.
func sent(t *testing.T, o *store.Object) string {
	t.Helper()
	e, from := o.Body.Extent()
	if e == nil {
		t.Fatal("the body is no extent")
	}
	b := make([]byte, o.Body.Len())
	if !e.Use(func(fd int, offset int64) {
		if _, err := syscall.Pread(fd, b, offset+from); err != nil {
			t.Error(err)
		}
	}) {
		return "<gone>"
	}
	return string(b)
}

func TestExtent(t *testing.T) {
	c, clock := onFiles(t)
	s := open(t, c)
	put(t, s, thing("small", long("small", 60_000)), "")
	put(t, s, thing("large", long("large", 64<<10)), "")
	put(t, s, thing("larger", long("larger", 700_001)), "") // last, so that its end is in a buffer that is not full
	if o := file(s, "larger"); text(o) != long("larger", 700_001) {
		t.Error("what is not in the file yet does not come from memory")
	}
	s.Flush()
	if o := file(s, "small"); text(o) != long("small", 60_000) {
		t.Error("a small body does not come in memory")
	}
	want(t, s, "large", "", long("large", 64<<10)) // not asked for as a file
	for key, size := range map[string]int{"large": 64 << 10, "larger": 700_001} {
		o := file(s, key)
		if got := sent(t, o); got != long(key, size) {
			t.Errorf("%s: the file has %.40q at its extent", key, got)
		}
		if !s.Fresh(o) {
			t.Error("what has just been checked is not fresh")
		}
		if got := text(s.Load(o)); got != long(key, size) {
			t.Errorf("Load: %.40q", got)
		}
		cut := *o
		cut.Body = o.Body.Cut(100, 50)
		if got := text(s.Load(&cut)); got != long(key, size)[100:150] {
			t.Errorf("Load of a part: %.40q", got)
		}
		clock.advance(9 * time.Second)
		if !s.Fresh(o) {
			t.Error("not fresh after 9 s")
		}
		clock.advance(time.Second)
		if s.Fresh(o) {
			t.Error("fresh after 10 s")
		}
	}
	if o := get(s, "small", ""); !s.Fresh(o) || s.Load(o) != o {
		t.Error("a body in memory is not fresh, or loaded again")
	}
}

// TestOwnWrites: that the store goes on writing to a segment makes no extent in it stale.
func TestOwnWrites(t *testing.T) {
	c, _ := onFiles(t)
	s := open(t, c)
	put(t, s, thing("a", long("a", 70_000)), "")
	s.Flush()
	o := file(s, "a")
	put(t, s, thing("b", long("b", 70_000)), "")
	s.Flush()
	if !s.Fresh(o) {
		t.Error("not fresh after the store has written more to the segment")
	}
}

// TestTampering: what somebody else has written to is not sent as it is, and what is wrong then is a miss.
func TestTampering(t *testing.T) {
	c, _ := onFiles(t)
	s := open(t, c)
	put(t, s, thing("a", long("a", 70_000)), "")
	put(t, s, thing("b", long("b", 70_000)), "")
	s.Flush()
	a, b := file(s, "a"), file(s, "b")
	tamper(t, c.Disks[0].Path, long("a", 70_000)[1000:1100])
	if s.Fresh(a) || s.Fresh(b) {
		t.Error("fresh though somebody wrote to the file")
	}
	if o := s.Load(a); o != nil {
		t.Error("Load returned a damaged body")
	}
	if o := file(s, "a"); o != nil {
		t.Error("Get returned a damaged body")
	}
	if b = file(s, "b"); b == nil || !s.Fresh(b) || sent(t, b) != long("b", 70_000) {
		t.Error("what is right is not served, once it has been checked again")
	}
	if got := s.Stats().Disks[0].Damaged; got != 1 {
		t.Errorf("%d damaged records, want 1", got)
	}
}

// tamper changes the first place in any segment that has those octets.
func tamper(t *testing.T, dir, octets string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.segment"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if i := strings.Index(string(b), octets); i >= 0 {
			f, err := os.OpenFile(name, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteAt([]byte{b[i] ^ 1}, int64(i)); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatal("no segment has them")
}

// TestCheckedOnce: what is asked for again within 10 s is not read again, and is no fresher for that.
func TestCheckedOnce(t *testing.T) {
	c, clock := onFiles(t)
	s := open(t, c)
	put(t, s, thing("a", long("a", 700_000)), "")
	s.Flush()
	file(s, "a")
	before := s.Stats().Disks[0].Read
	clock.advance(9 * time.Second)
	o := file(s, "a")
	if read := s.Stats().Disks[0].Read - before; read > 100_000 || !s.Fresh(o) {
		t.Errorf("%d octets were read the second time", read)
	}
	clock.advance(time.Second)
	if s.Fresh(o) {
		t.Error("fresh for 10 s after the second time")
	}
	before = s.Stats().Disks[0].Read
	if o := file(s, "a"); s.Stats().Disks[0].Read-before < 700_000 || !s.Fresh(o) {
		t.Error("not read again after 10 s")
	}
}

// TestExtentGone: when the room of an extent has been given up it says so.
func TestExtentGone(t *testing.T) {
	c, _ := onFiles(t)
	s := open(t, c)
	put(t, s, thing("a", long("a", 70_000)), "")
	s.Flush()
	o := file(s, "a")
	s.Clear()
	if got := sent(t, o); got != "<gone>" || s.Fresh(o) || s.Load(o) != nil {
		t.Errorf("after Clear the extent has %.40q", got)
	}
	put(t, s, thing("b", long("b", 70_000)), "")
	closed(t, s)
	if s.Fresh(o) || s.Load(o) != nil {
		t.Error("fresh after Close")
	}
}

func TestVerify(t *testing.T) {
	c, _ := onFiles(t)
	s := open(t, c)
	for i := range 20 {
		put(t, s, thing(keyOf(i), long(keyOf(i), 70_000)), "")
	}
	s.Flush()
	tamper(t, c.Disks[0].Path, long(keyOf(3), 70_000)[1000:1100])
	tamper(t, c.Disks[0].Path, long(keyOf(17), 70_000)[69_000:69_100])
	r, err := s.Verify(context.Background(), 0)
	if err != nil || r.Records != 20 || r.Damaged != 2 || r.Errors != 0 || r.Octets < 20*70_000 {
		t.Errorf("Verify: %+v, %v", r, err)
	}
	if got := s.Stats().Objects; got != 18 {
		t.Errorf("%d objects after Verify, want 18", got)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if r, err := s.Verify(ctx, 1000); err == nil || r.Records > 1 {
		t.Errorf("Verify with a context that has ended: %+v, %v", r, err)
	}
}
