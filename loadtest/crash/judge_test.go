package main

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// lie changes what the origin answers, as a bad cache would.
type lie func(h http.Header, status int, body []byte) (int, []byte)

// liar is a cache that lies.
func liar(t *testing.T, o http.Handler, tell lie) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		honest := httptest.NewRecorder()
		o.ServeHTTP(honest, r)
		h := w.Header()
		maps.Copy(h, honest.Header())
		status, body := tell(h, honest.Code, honest.Body.Bytes())
		w.WriteHeader(status)
		w.Write(body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func honest(_ http.Header, status int, body []byte) (int, []byte) { return status, body }

// TestJudge lets the judge see answers that are right, and each sort of wrong one.
func TestJudge(t *testing.T) {
	o, err := startOrigin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer o.stop()
	get := ask{method: http.MethodGet, path: "/medium/1"}
	part, several := get, get
	part.ranges = []span{{5, 9}}
	several.ranges = []span{{5, 9}, {-3, -1}, {1 << 40, -1}}
	varied := ask{method: http.MethodGet, path: "/varied/1", kind: 2}
	set := func(name, value string) lie {
		return func(h http.Header, status int, body []byte) (int, []byte) {
			h.Set(name, value)
			return status, body
		}
	}
	for _, tt := range []struct {
		what string
		ask  ask
		lie  lie
		want string // "": right
	}{
		{"the truth", get, honest, ""},
		{"a part", part, honest, ""},
		{"several parts", several, honest, ""},
		{"a variant", varied, honest, ""},
		{"a head", ask{method: http.MethodHead, path: "/medium/1"}, honest, ""},
		{"nothing new", ask{method: http.MethodGet, path: "/medium/1", tag: `"medium-1-0-1"`}, honest, ""},
		{"a range of nothing", ask{method: http.MethodGet, path: "/medium/1", ranges: []span{{1 << 40, -1}}}, honest, ""},
		{"another URL", get, set(nameField, "/medium/2;0;1"), "of another URL"},
		{"another variant", varied, set(nameField, "/varied/1;1;1"), "of another variant"},
		{"the future", get, set(nameField, "/medium/1;0;2"), "yet to come"},
		{"another tag", get, set("Etag", `"x"`), "entity tag"},
		{"no content", get, set(nameField, "x"), "names no content"},
		{"old", get, func(h http.Header, status int, body []byte) (int, []byte) {
			h.Set("X-Cache", "HIT")
			h.Set(madeField, strconv.FormatInt(time.Now().Add(-25*time.Hour).UnixMilli(), 10))
			return status, body
		}, "was fresh for"},
		{"a flipped bit", get, func(_ http.Header, status int, body []byte) (int, []byte) {
			body[len(body)-1] ^= 1
			return status, body
		}, "differs"},
		{"a clean end before the end", get, func(h http.Header, status int, body []byte) (int, []byte) {
			h.Del("Content-Length")
			h.Set("Transfer-Encoding", "chunked")
			return status, body[:len(body)-1]
		}, "a clean end"},
		{"too short", get, func(h http.Header, status int, body []byte) (int, []byte) {
			h.Set("Content-Length", strconv.Itoa(len(body)-1))
			return status, body[:len(body)-1]
		}, "Content-Length"},
		{"another part", part, set("Content-Range", "bytes 6-10/1000"), "Content-Range"},
		{"a part of one who wants the whole", get, func(_ http.Header, _ int, body []byte) (int, []byte) { return 206, body }, "206"},
		{"nothing new for one who has another", get, func(h http.Header, _ int, _ []byte) (int, []byte) {
			h.Del("Content-Length")
			return 304, nil
		}, "304"},
		{"nothing in that range", part, func(h http.Header, _ int, _ []byte) (int, []byte) {
			h.Set("Content-Length", "0")
			return 416, nil
		}, "416"},
	} {
		j := newJudge(o)
		j.try(t.Context(), newClient(), liar(t, o, tt.lie), tt.ask, nil)
		got, complaints := j.take()
		if text := strings.Join(complaints, "; "); (got.Wrong == 0) != (tt.want == "") || !strings.Contains(text, tt.want) || got.Failed > 0 {
			t.Errorf("%s: %+v, %q, want %q", tt.what, got, text, tt.want)
		}
	}
}

// TestUndone: what was invalidated must not come back, and what a POST may have changed need not be stored.
func TestUndone(t *testing.T) {
	o, err := startOrigin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer o.stop()
	old := httptest.NewRecorder()
	o.ServeHTTP(old, httptest.NewRequest(http.MethodGet, "/small/1", nil))
	j := newJudge(o)
	get, post := ask{method: http.MethodGet, path: "/small/1"}, ask{method: http.MethodPost, path: "/small/1"}
	right := liar(t, o, honest)
	later := time.Now().Add(time.Hour)
	j.try(t.Context(), newClient(), right, get, nil)
	if got := j.known(later); len(got) != 1 {
		t.Errorf("stored: %v, want /small/1", got)
	}
	j.try(t.Context(), newClient(), right, post, nil)
	if got := j.known(later); len(got) != 0 {
		t.Errorf("stored after a POST: %v", got)
	}
	stale := liar(t, o, func(h http.Header, _ int, _ []byte) (int, []byte) {
		maps.Copy(h, old.Header())
		return old.Code, old.Body.Bytes()
	})
	j.try(t.Context(), newClient(), stale, get, nil)
	j.try(t.Context(), newClient(), right, get, nil)
	if got, complaints := j.take(); got.Undone != 1 || got.Wrong != 0 || got.Failed != 0 || got.Requests != 4 {
		t.Errorf("%+v %q, want one undone", got, complaints)
	}
	j.try(t.Context(), newClient(), "http://127.0.0.1:1", get, func() bool { return true })
	j.try(t.Context(), newClient(), "http://127.0.0.1:1", get, func() bool { return false })
	if got, _ := j.take(); got.BrokenOff != 1 || got.Failed != 1 {
		t.Errorf("%+v, want one broken off and one failed", got)
	}
}

// TestDamage: it finds what is not zero.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	before := make([]byte, 100*sector)
	before[50*sector] = 1
	if err := os.WriteFile(path, before, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := damage(dir, flipBit); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if at := differs(before, after); at < 50*sector || at >= 51*sector {
		t.Errorf("octet %d was damaged, want one of [%d, %d)", at, 50*sector, 51*sector)
	}
	if err := os.WriteFile(path, make([]byte, sector), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := damage(dir, flipBit); err == nil {
		t.Error("no error where there are only zeros")
	}
}
