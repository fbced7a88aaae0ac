package purge_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"nearcast/edge/store"
	"nearcast/edge/store/purge"
	"nearcast/internal/fsys"
)

// TestAtOnce: whatever else goes on, an object that was there before a purge is gone when the purge has been accepted, and one that
// begins afterwards is good.
func TestAtOnce(t *testing.T) {
	l := open(t, purge.Config{Dir: "/state", FS: fsys.NewMem(fsys.MemConfig{Safe: true})}, shop())
	const workers, rounds = 4, 200
	var over atomic.Bool
	var visitors, all sync.WaitGroup
	shared := make([]atomic.Pointer[store.Object], workers)
	for range 2 {
		visitors.Go(func() {
			for !over.Load() {
				for i := range shared {
					if o := shared[i].Load(); o != nil {
						l.Look(o)
					}
				}
			}
		})
	}
	for w := range workers {
		all.Go(func() {
			for i := range rounds {
				u := fmt.Sprintf("http://a.example/%d/%d/", w, i)
				born := l.Begin()
				o := object(l, "shop", u, u)
				o.Born = born
				shared[w].Store(o)
				p := urls(u)
				switch i % 4 {
				case 1:
					p = dir("a.example", fmt.Sprintf("/%d/%d/", w, i))
				case 2:
					p = tag(u)
				case 3:
					p = expr("", fmt.Sprintf("^/%d/%d/", w, i))
				}
				apply(t, l, p)
				if v := l.Judge(o); v != purge.Gone {
					t.Errorf("worker %d, round %d: %s", w, i, v)
				}
				later := object(l, "shop", u, u)
				l.End(born)
				if v := l.Judge(later); v != purge.Good {
					t.Errorf("worker %d, round %d: one that began later is %s", w, i, v)
				}
			}
		})
	}
	all.Go(func() {
		for range 50 {
			if err := l.Follow(shop()); err != nil {
				t.Error(err)
			}
			l.Swept(l.Epoch())
			l.Stats()
		}
	})
	all.Wait()
	over.Store(true)
	visitors.Wait()
}
