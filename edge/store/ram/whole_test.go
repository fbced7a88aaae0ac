package ram

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"nearcast/cdn"
	"nearcast/edge/store"
	"nearcast/edge/store/storetest"
)

// TestWeakHash: keys that share a hash are told apart.
func TestWeakHash(t *testing.T) {
	const budget = 1 << 20
	storetest.Run(t, budget, func(t *testing.T) store.Store {
		s := newStore(t, budget)
		s.mask = 1
		return s
	})
}

// TestWhole: after all kinds of changes side by side, index, policy and bodies agree, and whatever was put has left once at most.
func TestWhole(t *testing.T) {
	for _, weak := range []uint64{0, 1<<64 - 1} {
		t.Run(fmt.Sprint(weak), func(t *testing.T) { storm(t, weak) })
	}
}

func storm(t *testing.T, mask uint64) {
	t.Helper()
	var left sync.Map
	var s *Store
	s, err := New(Config{
		Budget: 256 << 10,
		Leaving: func(o *store.Object, _ bool) {
			if _, twice := left.LoadOrStore(o.ID, true); twice {
				t.Errorf("object %d left twice", o.ID)
			}
		},
		Proven: func(o *store.Object) {
			switch o.ID % 3 {
			case 0:
				s.Swap(o, inFile(o))
			case 1:
				s.Drop(o)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.mask = mask
	defer s.Close()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() { act(t, s, rand.New(rand.NewPCG(1, uint64(g))), store.ID(g)<<32) })
	}
	wg.Wait()
	checkWhole(t, s)
	s.Clear()
	checkWhole(t, s)
	if got := s.Stats(); got.Objects != 0 || got.Bytes != 0 {
		t.Errorf("Stats() = %+v of a store that was cleared", got)
	}
}

// act makes changes by chance.
func act(t *testing.T, s *Store, rnd *rand.Rand, id store.ID) {
	t.Helper()
	for range 3000 {
		key := cdn.CacheKey(fmt.Sprint(rnd.IntN(100)))
		o, _ := s.Get(store.Lookup{Key: key})
		if o != nil && o.Key != key {
			t.Errorf("%q was found under %q", o.Key, key)
		}
		switch n := rnd.IntN(20); {
		case o == nil || n < 4:
			id++
			fresh := objectOf(string(key), strings.Repeat("x", rnd.IntN(8<<10)))
			fresh.ID = id
			s.Put(fresh, nil)
		case n == 4:
			s.Delete(key)
		case n == 5:
			head := *o.Response
			s.Refresh(o, &head, o.Born)
		case n == 6:
			s.Swap(o, inFile(o))
		case n == 7:
			s.Drop(o)
		case n == 8:
			o.Remember(n, int64(rnd.IntN(4<<10)))
		case n == 9 && rnd.IntN(100) == 0:
			s.Clear()
		}
	}
}

// extent is a file that is never read.
type extent struct{ _ int }

func (*extent) Use(func(int, int64)) bool         { return false }
func (*extent) Hold() bool                        { return false }
func (*extent) Release()                          {}
func (*extent) ReadAt([]byte, int64) (int, error) { return 0, io.EOF }

func inFile(o *store.Object) *store.Object {
	f := *o
	f.Body = store.NewExtentBody(&extent{}, o.Body.Len())
	return &f
}

// checkWhole looks at everything that a store has, while nobody changes it.
func checkWhole(t *testing.T, s *Store) {
	t.Helper()
	var objects, octets, bodies int64
	for i := range s.shards {
		for hash, e := range s.shards[i].chains {
			for ; e != nil; e = e.next {
				o := s.bodies.get(e.id)
				if o == nil || o.Key != e.key || o.Response != e.response || o.Size() != e.size || e.hash != hash || s.hash(e.key) != hash {
					t.Errorf("entry %+v has the object %+v", e, o)
					continue
				}
				if s.places.at(e.handle) != e {
					t.Errorf("the policy has another entry in the place of %+v", e)
				}
				objects, octets = objects+1, octets+e.size
			}
		}
	}
	s.bodies.cache.Wait()
	s.bodies.cache.IterValues(func(*store.Object) bool { bodies++; return false })
	if got := s.Stats(); got.Objects != objects || got.Bytes != octets || bodies != objects {
		t.Errorf("the index has %d objects of %d bytes, there are %d bodies, Stats() = %+v", objects, octets, bodies, got)
	}
}

// TestRemember: what is remembered of an object counts, and gives way with it.
func TestRemember(t *testing.T) {
	const budget = 1 << 20
	s := newStore(t, budget)
	for i := range 100 {
		key := fmt.Sprint(i)
		s.Put(objectOf(key, "text"), nil)
		o, _ := s.Get(store.Lookup{Key: cdn.CacheKey(key)})
		before := s.Stats().Bytes
		o.Remember("first", 1<<10)
		if i%2 == 1 {
			o.Remember("second", 50<<10)
		} else {
			inFile(o).Remember("second", 50<<10) // a copy in another form
		}
		if got := s.Stats(); got.Evictions == 0 && got.Bytes != before+50<<10 || got.Bytes > budget {
			t.Fatalf("%d bytes before, %+v after 50 KiB were remembered; the budget is %d", before, got, budget)
		}
		if got := o.Memo.Load(); got != "second" {
			t.Fatalf("remembered %v, want the second", got)
		}
	}
	if s.Stats().Evictions == 0 {
		t.Error("nothing gave way")
	}
	o, _ := s.Get(store.Lookup{Key: "99"})
	s.Delete("99")
	before := s.Stats()
	if o.Remember("late", 1<<10); s.Stats() != before {
		t.Errorf("what is remembered of an object that has gone counts: %+v", s.Stats())
	}
	checkWhole(t, s)
}
