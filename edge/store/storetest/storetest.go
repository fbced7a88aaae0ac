// Package storetest is what every [store.Store] must pass.
package storetest

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/edge/httpcache"
	"nearcast/edge/store"
)

// Run tests stores that open makes; each has room for budget bytes and is closed by
// its test.
func Run(t *testing.T, budget int64, open func(t *testing.T) store.Store) {
	tests := []struct {
		name string
		test func(t *testing.T, s store.Store)
	}{
		{"empty", testEmpty},
		{"put", testPut},
		{"replace", testReplace},
		{"variants", testVariants},
		{"bounded", testVariantsBounded},
		{"refresh", testRefresh},
		{"refreshgrows", func(t *testing.T, s store.Store) { testRefreshGrows(t, s, budget) }},
		{"delete", testDelete},
		{"clear", testClear},
		{"budget", func(t *testing.T, s store.Store) { testBudget(t, s, budget) }},
		{"huge", func(t *testing.T, s store.Store) { testHuge(t, s, budget) }},
		{"close", testClose},
		{"concurrent", testConcurrent},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t)
			defer s.Close()
			tt.test(t, s)
		})
	}
}

// object makes an object whose response varies by Accept-Encoding; coding is that of
// the request, none if empty.
func object(key cdn.CacheKey, coding, body string) (*store.Object, http.Header) {
	fields := http.Header{}
	if coding != "" {
		fields.Set("Accept-Encoding", coding)
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	h := http.Header{"Vary": {"Accept-Encoding"}, "Cache-Control": {"max-age=60"}}
	r := httpcache.NewResponse(httpcache.Request{Method: http.MethodGet, Header: fields}, http.StatusOK, h, now, now)
	return &store.Object{Key: key, Born: 7, Response: r, Body: store.NewBody([]byte(body))}, fields
}

func put(t *testing.T, s store.Store, key cdn.CacheKey, coding, body string) {
	t.Helper()
	if o, fields := object(key, coding, body); !s.Put(o, fields) {
		t.Fatalf("Put(%q, %.40q) refused", key, body)
	}
}

// text returns the body of an object, or "<nothing>" for nil.
func text(o *store.Object) string {
	if o == nil {
		return "<nothing>"
	}
	var b []byte
	for p := range o.Body.Slice(0, o.Body.Len()) {
		b = append(b, p...)
	}
	return string(b)
}

func want(t *testing.T, s store.Store, key cdn.CacheKey, coding, body string) {
	t.Helper()
	fields := http.Header{}
	if coding != "" {
		fields.Set("Accept-Encoding", coding)
	}
	if got := text(get(s, store.Lookup{Key: key, Fields: fields})); got != body {
		t.Errorf("Get(%q, %q) = %q, want %q", key, coding, got, body)
	}
	if got := text(s.Peek(store.Lookup{Key: key, Fields: fields})); got != body {
		t.Errorf("Peek(%q, %q) = %q, want %q", key, coding, got, body)
	}
}

func testEmpty(t *testing.T, s store.Store) {
	want(t, s, "k", "", "<nothing>")
	s.Delete("k")
	if got := s.Stats(); got != (store.Stats{}) {
		t.Errorf("Stats() = %+v of an empty store", got)
	}
}

func testPut(t *testing.T, s store.Store) {
	put(t, s, "k", "", "body")
	want(t, s, "k", "", "body")
	o := get(s, store.Lookup{Key: "k"})
	if o.Key != "k" || o.Born != 7 || o.Response.Status != http.StatusOK {
		t.Errorf("got %+v", o)
	}
	put(t, s, "empty", "", "")
	want(t, s, "empty", "", "")
	if got := s.Stats(); got.Objects != 2 || got.Bytes <= 0 {
		t.Errorf("Stats() = %+v, want 2 objects", got)
	}
}

// testReplace: the newest content of a key wins, however often it changes.
func testReplace(t *testing.T, s store.Store) {
	for i := range 200 {
		body := fmt.Sprint("version ", i)
		put(t, s, "k", "", body)
		want(t, s, "k", "", body)
	}
	if got := s.Stats().Objects; got != 1 {
		t.Errorf("%d objects after replacing one, want 1", got)
	}
}

func testVariants(t *testing.T, s store.Store) {
	put(t, s, "k", "gzip", "zipped")
	want(t, s, "k", "br", "<nothing>")
	put(t, s, "k", "br", "brotli")
	want(t, s, "k", "gzip", "zipped")
	want(t, s, "k", "br", "brotli")
	put(t, s, "k", "gzip", "zipped again")
	want(t, s, "k", "gzip", "zipped again")
	want(t, s, "k", "br", "brotli")
	s.Delete("k")
	want(t, s, "k", "gzip", "<nothing>")
	want(t, s, "k", "br", "<nothing>")
}

func testVariantsBounded(t *testing.T, s store.Store) {
	for i := range 2 * store.MaxVariants {
		put(t, s, "k", fmt.Sprint("x-", i), "body")
	}
	if got := s.Stats().Objects; got != store.MaxVariants {
		t.Errorf("%d variants, want %d", got, store.MaxVariants)
	}
	want(t, s, "k", "x-0", "<nothing>")
	want(t, s, "k", fmt.Sprint("x-", 2*store.MaxVariants-1), "body")
}

func testRefresh(t *testing.T, s store.Store) {
	put(t, s, "k", "", "body")
	old := get(s, store.Lookup{Key: "k"})
	later := old.Response.ResponseTime.Add(time.Hour)
	head := old.Response.Refresh(http.Header{"X-New": {"1"}}, later, later)
	if !s.Refresh(old, head, 7) {
		t.Fatal("Refresh of a stored object reported false")
	}
	got := get(s, store.Lookup{Key: "k"})
	if got.Response.Header.Get("X-New") != "1" || text(got) != "body" || got.Born != 7 {
		t.Errorf("after Refresh: %v %q, born at %d", got.Response.Header, text(got), got.Born)
	}
	if s.Refresh(old, head, 7) {
		t.Error("Refresh of an object that is no longer stored reported true")
	}
	s.Delete("k")
	if s.Refresh(got, head, 8) {
		t.Error("Refresh brought a deleted object back")
	}
	want(t, s, "k", "", "<nothing>")
}

// testRefreshGrows: a head that becomes larger counts as what it is.
func testRefreshGrows(t *testing.T, s store.Store, budget int64) {
	const heads = 40
	large := strings.Repeat("x", int(budget/heads*2))
	for i := range heads {
		key := cdn.CacheKey(fmt.Sprint("k", i))
		put(t, s, key, "", "body")
		old := get(s, store.Lookup{Key: key})
		later := old.Response.ResponseTime.Add(time.Hour)
		s.Refresh(old, old.Response.Refresh(http.Header{"X-New": {large}}, later, later), 0)
		if got := s.Stats(); got.Bytes > budget {
			t.Fatalf("%d bytes are stored after %d heads have grown, the budget is %d", got.Bytes, i+1, budget)
		}
	}
	if got := s.Stats(); got.Evictions == 0 || got.Objects == 0 {
		t.Errorf("Stats() = %+v, want some evicted and some not", got)
	}
}

func testDelete(t *testing.T, s store.Store) {
	put(t, s, "k", "", "body")
	put(t, s, "other", "", "stays")
	s.Delete("k")
	want(t, s, "k", "", "<nothing>")
	want(t, s, "other", "", "stays")
	put(t, s, "k", "", "again")
	want(t, s, "k", "", "again")
}

func testClear(t *testing.T, s store.Store) {
	for i := range 100 {
		put(t, s, cdn.CacheKey(fmt.Sprint("k", i)), "", "body")
	}
	s.Clear()
	want(t, s, "k1", "", "<nothing>")
	if got := s.Stats(); got.Objects != 0 || got.Bytes != 0 {
		t.Errorf("Stats() = %+v after Clear", got)
	}
	put(t, s, "k1", "", "again")
	want(t, s, "k1", "", "again")
}

// testBudget: the store never holds more than it may, and what is used often survives
// a scan over things that are used once.
func testBudget(t *testing.T, s store.Store, budget int64) {
	body := string(make([]byte, budget/64))
	put(t, s, "often", "", body)
	for i := range 500 {
		put(t, s, cdn.CacheKey(fmt.Sprint("once", i)), "", body)
		if get(s, store.Lookup{Key: "often"}) == nil {
			t.Fatalf("the object in constant use was gone after %d others", i+1)
		}
		if got := s.Stats().Bytes; got > budget {
			t.Fatalf("%d bytes stored, the budget is %d", got, budget)
		}
	}
	if got := s.Stats(); got.Evictions == 0 || got.Objects < 16 {
		t.Errorf("Stats() = %+v, want evictions and a filled store", got)
	}
}

func testHuge(t *testing.T, s store.Store, budget int64) {
	put(t, s, "k", "", "small")
	if o, fields := object("huge", "", string(make([]byte, budget+1))); s.Put(o, fields) {
		t.Error("Put took an object larger than the whole store")
	}
	want(t, s, "k", "", "small")
}

func testClose(t *testing.T, s store.Store) {
	put(t, s, "k", "", "body")
	s.Close()
	s.Close()
	want(t, s, "k", "", "<nothing>")
	if o, fields := object("k", "", "body"); s.Put(o, fields) {
		t.Error("Put into a closed store reported true")
	}
	s.Delete("k")
	s.Clear()
}

// testConcurrent is for the race detector; it also checks that a body is always the
// body of its key.
func testConcurrent(t *testing.T, s store.Store) {
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 300 {
				key := cdn.CacheKey(fmt.Sprint("k", (g*31+i)%20))
				switch i % 5 {
				case 0:
					o, fields := object(key, "", string(key))
					s.Put(o, fields)
				case 1:
					if i%25 == 1 {
						s.Delete(key)
					}
				default:
					if o := get(s, store.Lookup{Key: key}); o != nil && text(o) != string(key) {
						t.Errorf("Get(%q) has the body %q", key, text(o))
					}
				}
			}
		})
	}
	wg.Wait()
}

// get is Get without known.
func get(s store.Store, l store.Lookup) *store.Object {
	o, _ := s.Get(l)
	return o
}
