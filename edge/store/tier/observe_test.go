package tier_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"nearcast/cdn"
	"nearcast/edge/httpcache"
	"nearcast/edge/store"
	"nearcast/internal/fsys"
)

// witness samples every key but one and remembers what it was shown.
type witness struct {
	not   cdn.CacheKey
	shown []string
}

func (w *witness) Samples(key cdn.CacheKey) bool { return key != w.not }

func (w *witness) Asked(o *store.Object) {
	w.shown = append(w.shown, string(o.Key)+" "+o.Variant+o.Response.Selecting().Get("Accept-Language"))
}

// varying makes an object that varies by language, unless that is empty.
func varying(key cdn.CacheKey, variant, language string, size int) (*store.Object, http.Header) {
	h, fields := http.Header{"Cache-Control": {"max-age=60"}}, http.Header{}
	if language != "" {
		h.Set("Vary", "Accept-Language")
		fields.Set("Accept-Language", language)
	}
	r := httpcache.NewResponse(httpcache.Request{Method: http.MethodGet, Header: fields}, http.StatusOK, h, now(), now())
	return &store.Object{ID: 1, Key: key, Variant: variant, Response: r, Body: store.NewBody(make([]byte, size)), Length: int64(size)}, fields
}

// TestObserved: shown is what is found, and what is brought because it was not, each once.
func TestObserved(t *testing.T) {
	for name, room := range map[string][2]int64{"memory": {1 << 20, 0}, "both": {1 << 20, 4 << 20}, "disk": {1, 4 << 20}} {
		t.Run(name, func(t *testing.T) {
			s := open(t, fsys.NewMem(fsys.MemConfig{}), room[0], room[1])
			defer s.Close()
			w := &witness{not: "other"}
			s.Observe(w, func() int64 { return 1 << 20 })
			put := func(key cdn.CacheKey, variant, language string) {
				t.Helper()
				if o, fields := varying(key, variant, language, 5000); !s.Put(o, fields) {
					t.Fatalf("%s %s is refused", key, language)
				}
			}
			get := func(key cdn.CacheKey, variant, language string) {
				_, fields := varying(key, variant, language, 0)
				s.Get(store.Lookup{Key: key, Variant: variant, Fields: fields})
			}
			for _, step := range []struct {
				name string
				do   func()
				want []string
			}{
				{"nothing there", func() { get("a", "", "") }, nil},
				{"brought", func() { put("a", "", "") }, []string{"a "}},
				{"found", func() { get("a", "", "") }, []string{"a "}},
				{"looked at", func() { s.Peek(store.Lookup{Key: "a"}) }, nil},
				{"replaced", func() { put("a", "", "") }, nil},
				{"another variant", func() { put("a", "v", ""); get("a", "v", "") }, []string{"a v", "a v"}},
				{"varying", func() { put("b", "", "de"); put("b", "", "en"); put("b", "", "de") }, []string{"b de", "b en"}},
				{"one of those", func() { get("b", "", "en"); get("b", "", "fr") }, []string{"b en"}},
				{"not sampled", func() { put("other", "", ""); get("other", "", "") }, nil},
				{"brought after it was forgotten", func() { s.Delete("a"); put("a", "", "") }, []string{"a "}},
			} {
				w.shown = nil
				step.do()
				if !slices.Equal(w.shown, step.want) {
					t.Errorf("%s: shown is %q, want %q", step.name, w.shown, step.want)
				}
			}
		})
	}
}

// TestLargestInMemory: of what is on disk, memory has the bodies that are as large as whoever observes says at the time.
func TestLargestInMemory(t *testing.T) {
	s := open(t, fsys.NewMem(fsys.MemConfig{}), 1<<20, 8<<20)
	defer s.Close()
	largest := int64(10_000)
	s.Observe(&witness{}, func() int64 { return largest })
	o, fields := varying("large", "", "", 60_000)
	s.Put(o, fields)
	for i := range 100 { // until memory has let it go
		o, fields := varying(cdn.CacheKey(fmt.Sprint(i)), "", "", 20_000)
		s.Put(o, fields)
	}
	for _, step := range []struct {
		largest int64
		want    bool
	}{{10_000, false}, {59_999, false}, {60_000, true}} {
		largest = step.largest
		if s.Peek(store.Lookup{Key: "large", Quick: true}) != nil {
			t.Fatal("it is in memory before it is asked for")
		}
		if o, _ := s.Get(store.Lookup{Key: "large"}); o == nil || o.Body.Len() != 60_000 {
			t.Fatalf("on disk is %v", o)
		}
		if got := s.Peek(store.Lookup{Key: "large", Quick: true}) != nil; got != step.want {
			t.Errorf("bodies to %d octets: it is in memory: %v, want %v", step.largest, got, step.want)
		}
	}
}
