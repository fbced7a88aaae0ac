package disk_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"

	"nearcast/cdn"
	"nearcast/edge/httpcache"
	"nearcast/edge/store"
	"nearcast/edge/store/disk"
	"nearcast/internal/fsys"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// epoch is when the objects of these tests come.
var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const segmentSize = 64 << 10

// config is of one small disk in memory.
func config(fs fsys.FS) disk.Config {
	return disk.Config{
		Disks: []disk.Disk{{Path: "/d", Size: 64 * segmentSize}}, FS: fs, SegmentSize: segmentSize,
		Now: func() time.Time { return epoch }, Patience: time.Minute, // whatever else the machine does
	}
}

// open opens a store that is closed with the test, and waits until it is warm.
func open(t testing.TB, c disk.Config) *disk.Store {
	t.Helper()
	s, err := disk.Open(c)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { s.Close() }) // who cares closes it
	<-s.Warm()
	return s
}

func closed(t testing.TB, s *disk.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

// thing makes an object with a body; lines are further fields of the response.
func thing(key, body string, lines ...string) *store.Object {
	return variant(key, "", body, lines...)
}

// variant makes an object that varies by Accept-Encoding, if coding is not empty.
func variant(key, coding, body string, lines ...string) *store.Object {
	h := http.Header{"Etag": {`"x"`}}
	if coding != "" {
		h.Set("Vary", "Accept-Encoding")
	}
	for i := 0; i+1 < len(lines); i += 2 {
		h.Set(lines[i], lines[i+1])
	}
	r := httpcache.NewResponse(httpcache.Request{Method: http.MethodGet, Header: accepting(coding)}, http.StatusOK, h, epoch, epoch)
	return &store.Object{
		ID: 5, Key: cdn.CacheKey(key), Born: 7, URL: "site.example/" + key, Tags: []uint64{1, 2}, Response: r,
		Body: store.NewBody([]byte(body)), Length: int64(len(body)),
	}
}

func accepting(coding string) http.Header {
	if coding == "" {
		return http.Header{}
	}
	return http.Header{"Accept-Encoding": {coding}}
}

func put(t testing.TB, s *disk.Store, o *store.Object, coding string) {
	t.Helper()
	if !s.Put(o, accepting(coding)) {
		t.Fatalf("Put(%q) refused: %+v", o.Key, s.Stats().Disks)
	}
}

// text returns the body of an object.
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

func get(s *disk.Store, key, coding string) *store.Object {
	o, _ := s.Get(store.Lookup{Key: cdn.CacheKey(key), Fields: accepting(coding)})
	return o
}

func want(t testing.TB, s *disk.Store, key, coding, body string) {
	t.Helper()
	if got := text(get(s, key, coding)); got != body {
		t.Errorf("Get(%q, %q) = %.40q, want %.40q", key, coding, got, body)
	}
}

const nothing = "<nothing>"

// long returns a body of n octets that says whose it is.
func long(key string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = key[i%len(key)] + byte(i/len(key))
	}
	return string(b)
}

func keyOf(i int) string { return fmt.Sprint("key ", i) }
