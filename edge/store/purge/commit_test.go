package purge_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"nearcast/edge/store"
	"nearcast/edge/store/purge"
	"nearcast/internal/fsys"
)

// TestCommit: what was invalidated survives a power cut once it has been committed, and many callers share a sync.
func TestCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := fsys.NewMem(fsys.MemConfig{})
		var armed atomic.Bool
		var syncs atomic.Int64
		let := make(chan struct{})
		slow := fsys.NewFaulty(mem, fsys.Plan{Faults: []fsys.Fault{{Times: -1, On: func(c fsys.Call) bool {
			if c.Op == fsys.OpSync && armed.Load() && syncs.Add(1) == 1 {
				<-let
			}
			return false
		}}}})
		l := open(t, purge.Config{Dir: "/state", FS: mem}, shop())
		l.Close()
		l = open(t, purge.Config{Dir: "/state", FS: slow}, shop())
		defer l.Close()
		armed.Store(true)
		var list []*store.Object
		var epochs []store.Epoch
		var wg sync.WaitGroup
		for i := range 20 {
			o := object(l, "shop", fmt.Sprint("http://a.example/", i))
			epoch, err := l.Invalidate(o.Key)
			if err != nil {
				t.Fatal(err)
			}
			list, epochs = append(list, o), append(epochs, epoch)
		}
		for _, epoch := range epochs {
			wg.Go(func() {
				if err := l.Commit(t.Context(), epoch); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.Commit(ctx, l.Epoch()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a disk that hangs: %v", err)
		}
		close(let)
		wg.Wait()
		if n := syncs.Load(); n > 2 {
			t.Errorf("%d syncs for 20 callers at the same time", n)
		}
		left := open(t, purge.Config{Dir: "/state", FS: mem.Crash(rand.New(rand.NewPCG(1, 2)))}, shop())
		defer left.Close()
		for i, o := range list {
			if v := left.Judge(o); v != purge.Gone {
				t.Errorf("invalidation %d is undone by a power cut: %s", i, v)
			}
		}
	})
}
