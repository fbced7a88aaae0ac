package disk_test

import (
	"net/http"
	"testing"

	"nearcast/edge/store"
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
		end  func(t *testing.T, m *fsys.Mem, close func()) *fsys.Mem
	}{
		{"clean", func(_ *testing.T, m *fsys.Mem, close func()) *fsys.Mem { close(); return m }},
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
