package disk_test

import (
	"fmt"
	"net/http"
	"testing"

	"nearcast/cdn"
	"nearcast/edge/store"
	"nearcast/edge/store/disk"
	"nearcast/internal/fsys"
)

func TestPutGet(t *testing.T) {
	s := open(t, config(fsys.NewMem(fsys.MemConfig{})))
	for _, size := range []int{0, 1, 100, 4000, 30_000, 60_000} {
		key := keyOf(size)
		put(t, s, thing(key, long(key, size)), "")
		want(t, s, key, "", long(key, size))
	}
	o := get(s, keyOf(100), "")
	if o.ID != 5 || o.Born != 7 || o.URL != "site.example/key 100" || len(o.Tags) != 2 || o.Tags[1] != 2 || o.Length != 100 || o.Memo == nil {
		t.Errorf("got %+v", o)
	}
	if o.Response.Status != http.StatusOK || o.Response.Header.Get("Etag") != `"x"` {
		t.Errorf("got the head %+v", o.Response)
	}
	if s.Put(thing("huge", long("huge", segmentSize)), nil) {
		t.Error("Put took an object larger than a segment")
	}
	if o, known := s.Get(store.Lookup{Key: "never"}); o != nil || known {
		t.Errorf("Get of nothing: %v, %v", o, known)
	}
}

func TestRestart(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(t *testing.T, m *fsys.Mem, shut func()) *fsys.Mem
	}{
		{"clean", func(_ *testing.T, m *fsys.Mem, shut func()) *fsys.Mem { shut(); return m }},
		{"killed", func(_ *testing.T, m *fsys.Mem, _ func()) *fsys.Mem { return m.Kill() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := fsys.NewMem(fsys.MemConfig{})
			for round := range 5 { // each one goes on where the last one ended
				s := open(t, config(m))
				for i := range 20 * round {
					want(t, s, keyOf(i), "", long(keyOf(i), 1000*(i%20)))
				}
				for i := 20 * round; i < 20*round+20; i++ {
					put(t, s, thing(keyOf(i), long(keyOf(i), 1000*(i%20))), "")
				}
				if tt.name == "killed" {
					s.Flush()
				}
				m = tt.end(t, m, func() { closed(t, s) })
			}
		})
	}
}

// TestSameHash: two keys, and two variants of one, that have the same hash are told apart.
func TestSameHash(t *testing.T) {
	c := config(fsys.NewMem(fsys.MemConfig{}))
	c.Hash = weak
	s := open(t, c)
	objects := [][2]string{{"a", ""}, {"b", ""}, {"a", "gzip"}, {"ag", "zip"}, {"", "agzip"}}
	lookup := func(o [2]string) store.Lookup { return store.Lookup{Key: cdn.CacheKey(o[0]), Variant: o[1]} }
	for restart := range 2 {
		for i, id := range objects {
			o := thing(id[0], fmt.Sprint(id, restart))
			o.Variant = id[1]
			put(t, s, o, "")
			for j, other := range objects {
				want := nothing
				switch {
				case j <= i:
					want = fmt.Sprint(other, restart)
				case restart > 0:
					want = fmt.Sprint(other, restart-1)
				}
				got, known := s.Get(lookup(other))
				if text(got) != want || known != (want != nothing) {
					t.Errorf("%q = %q, %v, want %q", other, text(got), known, want)
				}
			}
		}
		closed(t, s)
		s = open(t, c)
	}
	s.Forget(lookup(objects[2]))
	for i, id := range objects {
		want := fmt.Sprint(id, 1)
		if i == 2 {
			want = nothing
		}
		if got := text(s.Peek(lookup(id))); got != want {
			t.Errorf("%q = %q, want %q", id, got, want)
		}
	}
}

// TestFrequency: Peek is no use, Get is.
func TestFrequency(t *testing.T) {
	c := config(fsys.NewMem(fsys.MemConfig{}))
	c.Disks[0].Size = 16 * segmentSize
	s := open(t, c)
	put(t, s, thing("got", "body"), "")
	put(t, s, thing("peeked", "body"), "")
	want(t, s, "got", "", "body")
	s.Peek(store.Lookup{Key: "peeked"})
	for i := 0; s.Stats().Disks[0].Reclaimed < 2; i++ {
		put(t, s, thing(keyOf(i), long("x", 5000)), "")
	}
	want(t, s, "got", "", "body")
	want(t, s, "peeked", "", nothing)
	if !s.Stats().Disks[0].Lapped {
		t.Error("the disk has been full, and Lapped says no")
	}
}

// TestEarly: what is put before everything is known is found, and takes the place of what is read later.
func TestEarly(t *testing.T) {
	m := fsys.NewMem(fsys.MemConfig{})
	s := open(t, config(m))
	for i := range 40 {
		put(t, s, thing(keyOf(i), long("old", 4000)), "")
	}
	put(t, s, variant("v", "gzip", "old gzip"), "gzip")
	put(t, s, variant("v", "br", "old br"), "br")
	closed(t, s)
	stall := make(chan struct{})
	faulty := fsys.NewFaulty(m, fsys.Plan{Faults: []fsys.Fault{{ // the entries of a footer, not its end
		On: func(c fsys.Call) bool {
			return c.Op == fsys.OpReadCached && c.Name == "/d/0000000100000001.segment" && c.Len != 64
		},
		Times: 1, Stall: stall,
	}}})
	s, err := disk.Open(config(faulty))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		put(t, s, thing(keyOf(i), "new"), "")
		want(t, s, keyOf(i), "", "new")
		s.Forget(store.Lookup{Key: cdn.CacheKey(keyOf(10 + i))})
	}
	put(t, s, variant("v", "gzip", "new gzip"), "gzip")
	if s.Stats().Warm {
		t.Fatal("all is known: this tests nothing")
	}
	close(stall)
	<-s.Warm()
	for range 2 {
		for i := range 40 {
			switch {
			case i < 10:
				want(t, s, keyOf(i), "", "new")
			case i < 20:
				want(t, s, keyOf(i), "", nothing)
			default:
				want(t, s, keyOf(i), "", long("old", 4000))
			}
		}
		want(t, s, "v", "gzip", "new gzip")
		want(t, s, "v", "br", "old br")
		closed(t, s)
		s = open(t, config(m))
	}
}
