package disk_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"nearcast/internal/fsys"
)

// failure is what can happen to a call.
type failure struct {
	name  string
	err   error
	short int
	stall bool
	times int
	ops   []fsys.Op // nil: all
	lacks bool      // it tells of a lack that passes: the disk goes on
}

var failures = []failure{
	{name: "EIO", err: syscall.EIO, times: 1},
	{name: "EIO for ever", err: syscall.EIO, times: -1},
	{name: "ENOSPC", err: syscall.ENOSPC, times: 3, ops: []fsys.Op{fsys.OpCreate, fsys.OpWriteAt, fsys.OpSync, fsys.OpMkdirAll}, lacks: true},
	{name: "EMFILE", err: syscall.EMFILE, times: 3, ops: []fsys.Op{fsys.OpCreate, fsys.OpOpen, fsys.OpReadDir, fsys.OpSyncDir}, lacks: true},
	{name: "short write", err: syscall.EIO, short: 700, times: 1, ops: []fsys.Op{fsys.OpWriteAt}},
	{name: "full in a write", err: syscall.ENOSPC, short: 700, times: 1, ops: []fsys.Op{fsys.OpWriteAt}, lacks: true},
	{name: "fsync", err: syscall.EIO, times: 1, ops: []fsys.Op{fsys.OpSync}},
	{name: "stall", stall: true, times: 1, ops: []fsys.Op{fsys.OpWriteAt, fsys.OpSync}},
}

// TestNthCall: whichever call fails, and however: nothing that is found is wrong, and the store goes on, or its disk is out. After a lack has passed it
// goes on by itself. A file is not synced again whose Sync has failed. At the end all goroutines end.
func TestNthCall(t *testing.T) {
	for _, f := range failures {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			happened := 0
			for n := 0; n < 220 && !t.Failed(); n += 1 + n/40 {
				synctest.Test(t, func(t *testing.T) {
					if f.befall(t, n) {
						happened++
					}
				})
			}
			if happened < 5 {
				t.Errorf("it has happened in %d lives only", happened)
			}
		})
	}
}

// on reports whether it can happen to a call.
func (f *failure) on(c fsys.Call) bool {
	if !strings.HasPrefix(c.Name, "/d") {
		return false
	}
	return f.ops == nil || slices.Contains(f.ops, c.Op)
}

// befall has it happen to the n-th call that it can happen to, of a life in which it is noticed whether a file is synced in vain.
func (f *failure) befall(t *testing.T, n int) bool {
	t.Helper()
	m := fsys.NewMem(fsys.MemConfig{})
	var mu sync.Mutex
	vain := make(map[string]bool)
	stall := make(chan struct{})
	fault := fsys.Fault{On: f.on, Skip: n, Times: f.times, Err: f.err, Short: f.short}
	if f.stall {
		fault.Stall = stall
	}
	faulty := fsys.NewFaulty(m, fsys.Plan{Faults: []fsys.Fault{fault}, After: func(c fsys.Call, err error) {
		if c.Op != fsys.OpSync {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if vain[c.Name] {
			t.Errorf("call %d: %s is synced again, though that has failed", n, c.Name)
		}
		vain[c.Name] = vain[c.Name] || err != nil
	}})
	g := &setting{segment: 32 << 10}
	g.disks = pair(m).Disks
	for i := range g.disks {
		g.disks[i].Size = 24 * g.segment
	}
	y := &story{setting: g, t: t, rng: rand.New(rand.NewPCG(uint64(n), 13)), fs: faulty, chronicle: &chronicle{spots: spots(), lossy: true}} //nolint:gosec // never negative
	y.disks.Store(2)
	go func() {
		<-time.After(20 * time.Second)
		close(stall)
	}()
	s, err := y.openShop(faulty, 2, time.Now, nil)
	if err != nil {
		t.Fatalf("call %d: %v", n, err)
	}
	y.shop = s
	out := s.Stats().Failed // what cannot be opened is out until the next start, whatever the reason
	for range 150 {
		y.calm()
	}
	<-time.After(25 * time.Second)
	synctest.Wait()
	happened := faulty.Injected() > 0
	faulty.Heal()
	<-time.After(6 * time.Second) // a lack is looked at again after five
	st := s.Stats()
	if st.Failed > 1 || st.Disks[1].Failed != "" || f.lacks && st.Failed > out || !happened && st.Failed > 0 {
		t.Errorf("call %d, it happened: %v: %+v", n, happened, st)
	}
	y.usable(n)
	_ = s.Close() // the disk that is out cannot be closed in order
	if f.stall || f.lacks {
		y.reopened(m, n)
	}
	return happened
}

// calm is a step without an end.
func (y *story) calm() {
	s := pick(y.rng, y.spots)
	switch n := y.rng.IntN(20); {
	case n < 12:
		y.put(s)
	case n < 14:
		y.begin()
		y.happen(s, &happening{})
		y.shop.Forget(s.lookup())
		y.end(true)
	default:
		y.get(s)
	}
	if y.rng.IntN(3) == 0 {
		<-time.After(300 * time.Millisecond)
	}
}

// usable puts into each spot, and finds it.
func (y *story) usable(n int) {
	for _, s := range y.spots {
		y.put(s)
		now := y.look()
		now.live = true
		y.done(&now)
		o := y.shop.Peek(s.lookup())
		if o == nil {
			y.t.Errorf("call %d: %v: nothing after it was put: %+v", n, s, y.shop.Stats().Disks)
		} else if _, err := y.judge(s, o, &now); err != nil {
			y.t.Errorf("call %d: %v", n, err)
		}
	}
}

// reopened looks at what is there after a restart.
func (y *story) reopened(m *fsys.Mem, n int) {
	s, err := y.openShop(m, 2, time.Now, nil)
	if err != nil {
		y.t.Fatalf("call %d: %v", n, err)
	}
	<-s.Warm()
	now := y.look()
	y.done(&now)
	now.closed = now.ended
	for _, spot := range y.spots {
		o, _ := s.Get(spot.lookup())
		if _, err := y.judge(spot, o, &now); err != nil {
			y.t.Errorf("call %d, after a restart: %v", n, err)
		}
	}
	if err := s.Close(); err != nil {
		y.t.Error(err)
	}
}
