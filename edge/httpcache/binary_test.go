package httpcache_test

import (
	"bytes"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nearcast/edge/httpcache"
)

// heads are responses of all kinds.
func heads() map[string]*httpcache.Response {
	vary := httpcache.NewResponse(get("Accept-Language: de, en;q=0.5", "Accept-Encoding: gzip"), http.StatusOK,
		header("Vary: accept-encoding, Accept-Language", "Content-Language: de", `Etag: "1"`), epoch, after(2))
	return map[string]*httpcache.Response{
		"plain":     response(http.StatusOK, "Content-Type: text/html", "Cache-Control: max-age=60"),
		"none":      httpcache.NewResponse(get(), http.StatusNoContent, nil, time.Time{}, time.Time{}),
		"lines":     response(http.StatusNotFound, "Set-Cookie: a=1", "Set-Cookie: b=2", "X-Empty:"),
		"vary":      vary,
		"star":      response(http.StatusOK, "Vary: *"),
		"targeted":  response(http.StatusOK, "CDN-Cache-Control: max-age=5, stale-if-error=9", "Cache-Control: no-store"),
		"withheld":  response(http.StatusOK, `Cache-Control: private="Set-Cookie, Cache-Control", s-maxage=10`, "Set-Cookie: a=1"),
		"hop":       response(http.StatusOK, "Connection: Cache-Control", "Cache-Control: no-store, max-age=10"),
		"malformed": response(http.StatusOK, "Cache-Control: max-age=x, stale-while-revalidate=99999999999", "Age: 7"),
		"past":      httpcache.NewResponse(get(), http.StatusOK, header("Expires: 0"), time.Unix(-5, 3), time.Unix(-4, 999_999_999)),
	}
}

// same compares all there is of two responses, but for where their clocks stood.
func same(a, b *httpcache.Response) string {
	return cmp.Diff(a, b, cmp.Exporter(func(reflect.Type) bool { return true }),
		cmp.Comparer(func(x, y time.Time) bool { return x.Equal(y) }))
}

// TestBinary: a response is the same after it has been written and read, and so is all that is derived from it.
func TestBinary(t *testing.T) {
	for name, r := range heads() {
		t.Run(name, func(t *testing.T) {
			b := r.AppendBinary([]byte("before"))
			if !bytes.Equal(b, r.AppendBinary([]byte("before"))) {
				t.Error("the same response twice makes different octets")
			}
			got, err := httpcache.DecodeResponse(b[len("before"):])
			if err != nil {
				t.Fatal(err)
			}
			if diff := same(r, got); diff != "" {
				t.Errorf("(-written +read):\n%s", diff)
			}
		})
	}
}

// TestBinaryCut: nothing but the whole of what was written is read.
func TestBinaryCut(t *testing.T) {
	b := heads()["vary"].AppendBinary(nil)
	for n := range b {
		if _, err := httpcache.DecodeResponse(b[:n]); err == nil {
			t.Errorf("the first %d of %d octets were read", n, len(b))
		}
	}
	if _, err := httpcache.DecodeResponse(append(b, 0)); err == nil {
		t.Error("an octet too many was read")
	}
	if _, err := httpcache.DecodeResponse(append([]byte{99}, b[1:]...)); err == nil {
		t.Error("another version was read")
	}
}

// FuzzDecodeResponse: what is read is written as it was, and nothing makes it panic or take more memory than a multiple of
// its input.
func FuzzDecodeResponse(f *testing.F) {
	for _, r := range heads() {
		f.Add(r.AppendBinary(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := httpcache.DecodeResponse(b)
		if err != nil {
			return
		}
		again, err := httpcache.DecodeResponse(r.AppendBinary(nil))
		if err != nil {
			t.Fatalf("written again it is not read: %v", err)
		}
		if diff := same(r, again); diff != "" {
			t.Errorf("(-read +read again):\n%s", diff)
		}
	})
}

func TestFreshUntil(t *testing.T) {
	for _, tt := range []struct {
		name            string
		lines           []string
		until           int // seconds after epoch
		validator, said bool
	}{
		{"nothing", nil, 0, false, false},
		{"lifetime", []string{"Cache-Control: max-age=60"}, 60, false, true},
		{"arrived old", []string{"Cache-Control: max-age=60", "Age: 20"}, 40, false, true},
		{"arrived stale", []string{"Cache-Control: max-age=60", "Age: 90"}, 0, false, true},
		{"stale windows", []string{"Cache-Control: max-age=60, stale-while-revalidate=5, stale-if-error=30"}, 90, false, true},
		{"validator", []string{"Cache-Control: max-age=60", `Etag: "1"`}, 60, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			until, validator, said := response(http.StatusOK, tt.lines...).FreshUntil()
			if !until.Equal(after(tt.until)) || validator != tt.validator || said != tt.said {
				t.Errorf("FreshUntil() = %v, %v, %v; want %v, %v, %v", until, validator, said, after(tt.until), tt.validator, tt.said)
			}
		})
	}
}

func TestSupersedes(t *testing.T) {
	made := func(vary string, request ...string) *httpcache.Response {
		return httpcache.NewResponse(get(request...), http.StatusOK, header("Vary:"+vary), epoch, epoch)
	}
	for _, tt := range []struct {
		name     string
		new, old *httpcache.Response
		want     bool
	}{
		{"neither varies", made(""), made(""), true},
		{"the old one does not vary", made("Accept"), made(""), true},
		{"the new one does not vary", made(""), made("Accept", "Accept: text/html"), false},
		{"same value", made("Accept", "Accept: a/b"), made("Accept", "Accept:  a/b"), true},
		{"other value", made("Accept", "Accept: a/b"), made("Accept", "Accept: c/d"), false},
		{"more fields", made("Origin, Accept", "Accept: a/b"), made("Accept", "Accept: a/b"), true},
		{"fewer fields", made("Accept", "Accept: a/b"), made("Origin, Accept", "Accept: a/b"), false},
		{"any", made("*"), made("*"), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.new.Supersedes(tt.old); got != tt.want {
				t.Errorf("Supersedes = %v, want %v", got, tt.want)
			}
		})
	}
}
