package edge_test

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// cacheable answers every path with 60 s of freshness, a validator and a body
// that names the path.
func cacheable(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "max-age=60")
	w.Header().Set("Etag", `"1"`)
	if r.Header.Get("If-None-Match") == `"1"` {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	io.WriteString(w, "body of "+r.URL.Path)
}

// aboutAge reports whether Age is what is wanted or a second more: Date has no fractions.
func aboutAge(a answer, want string) bool {
	got := a.Header.Get("Age")
	if got == want {
		return true
	}
	n, err := strconv.Atoi(got)
	return err == nil && strconv.Itoa(n-1) == want
}

func TestLifeOfAnObject(t *testing.T) {
	r := newRig(t, cacheable)
	_, addr := r.startAlone(t)
	for i, tt := range []struct {
		advance time.Duration
		word    string
		age     string
	}{
		{0, "MISS", ""},
		{0, "HIT", "0"},
		{30 * time.Second, "HIT", "30"},
		{31 * time.Second, "REVALIDATED", "0"},
		{50 * time.Second, "HIT", "50"},
	} {
		r.clock.advance(tt.advance)
		a := r.get(t, addr, "/a")
		if a.word() != tt.word || !aboutAge(a, tt.age) || a.body != "body of /a" || a.StatusCode != http.StatusOK {
			t.Errorf("request %d: %s %q Age %q %q, want %s with Age %q", i, a.Status, a.word(), a.Header.Get("Age"), a.body, tt.word, tt.age)
		}
		if a.Header.Get("Via") != "1.1 nearcast" {
			t.Errorf("request %d: Via %q", i, a.Header.Get("Via"))
		}
	}
	if n := r.origin.requests("/a"); n != 2 {
		t.Errorf("%d origin requests, want the fill and the validation", n)
	}
}

func TestWhatIsNotShared(t *testing.T) {
	for name, tt := range map[string]struct {
		header string // of the response
		field  string // of the request
	}{
		"nostore":       {"Cache-Control: no-store", ""},
		"private":       {"Cache-Control: private, max-age=60", ""},
		"varystar":      {"Vary: *", ""},
		"authorization": {"X-Nothing: 1", "Authorization: Basic x"},
		"zeroage":       {"Cache-Control: max-age=0", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				name, value, _ := strings.Cut(tt.header, ": ")
				w.Header().Set(name, value)
				io.WriteString(w, "x")
			})
			_, addr := r.startAlone(t)
			var fields []string
			if name, value, ok := strings.Cut(tt.field, ": "); ok {
				fields = []string{name, value}
			}
			for range 2 {
				if a := r.get(t, addr, "/a", fields...); a.word() == "HIT" {
					t.Errorf("%s", a.status())
				}
			}
			if n := r.origin.requests("/a"); n != 2 {
				t.Errorf("%d origin requests, want 2", n)
			}
		})
	}
}

func TestHeadRangeAndConditions(t *testing.T) {
	r := newRig(t, cacheable)
	_, addr := r.startAlone(t)
	r.get(t, addr, "/abc") // body of /abc: 12 octets
	for _, tt := range []struct {
		name, method string
		fields       []string
		status       int
		body, extra  string
	}{
		{"head", "HEAD", nil, 200, "", "Content-Length: 12"},
		{"first", "GET", []string{"Range", "bytes=0-3"}, 206, "body", "Content-Range: bytes 0-3/12"},
		{"suffix", "GET", []string{"Range", "bytes=-4"}, 206, "/abc", "Content-Range: bytes 8-11/12"},
		{"open", "GET", []string{"Range", "bytes=8-"}, 206, "/abc", "Content-Length: 4"},
		{"beyond", "GET", []string{"Range", "bytes=12-"}, 416, "", "Content-Range: bytes */12"},
		{"ifrange", "GET", []string{"Range", "bytes=0-3", "If-Range", `"1"`}, 206, "body", "Etag: \"1\""},
		{"ifrangeother", "GET", []string{"Range", "bytes=0-3", "If-Range", `"2"`}, 200, "body of /abc", "Etag: \"1\""},
		{"unknownunit", "GET", []string{"Range", "lines=0-3"}, 200, "body of /abc", "Etag: \"1\""},
		{"matched", "GET", []string{"If-None-Match", `"1"`}, 304, "", "Etag: \"1\""},
		{"unmatched", "GET", []string{"If-None-Match", `"2"`}, 200, "body of /abc", "Etag: \"1\""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := r.ask(t, tt.method, addr, domain, "/abc", tt.fields...)
			name, value, _ := strings.Cut(tt.extra, ": ")
			if a.StatusCode != tt.status || a.body != tt.body || a.Header.Get(name) != value || a.word() != "HIT" {
				t.Errorf("%s %q, %s: %q, %s", a.Status, a.body, name, a.Header.Get(name), a.word())
			}
		})
	}
	if n := r.origin.requests("/abc"); n != 1 {
		t.Errorf("%d origin requests, want 1", n)
	}
}

func TestUnsafeMethodsPassAndInvalidate(t *testing.T) {
	r := newRig(t, cacheable)
	_, addr := r.startAlone(t)
	r.get(t, addr, "/a")
	if a := r.ask(t, http.MethodPost, addr, domain, "/a"); a.word() != "PASS" {
		t.Errorf("POST: %s", a.word())
	}
	if a := r.get(t, addr, "/a"); a.word() != "MISS" {
		t.Errorf("GET after POST: %s, want MISS (RFC 9111 section 4.4)", a.word())
	}
}

func TestVariants(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Vary", "Accept-Language")
		io.WriteString(w, r.Header.Get("Accept-Language"))
	})
	_, addr := r.startAlone(t)
	for _, tt := range []struct{ language, word string }{{"de", "MISS"}, {"en", "MISS"}, {"de", "HIT"}, {"en", "HIT"}} {
		if a := r.get(t, addr, "/a", "Accept-Language", tt.language); a.word() != tt.word || a.body != tt.language {
			t.Errorf("%s: %s %q, want %s", tt.language, a.word(), a.body, tt.word)
		}
	}
}

func TestConnectionFieldsStopHere(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "X-Private")
		w.Header().Set("X-Private", "1")
		w.Header().Set("Keep-Alive", "timeout=1")
		fmt.Fprint(w, r.Header["X-Hop"], r.Header["Te"], r.Header["Proxy-Authorization"], r.Header["X-Forwarded-For"], r.Header["X-Kept"])
	})
	_, addr := r.startAlone(t)
	a := r.get(t, addr, "/a", "Connection", "x-hop", "X-Hop", "1", "Te", "gzip", "Proxy-Authorization", "x", "X-Forwarded-For", "6.6.6.6", "X-Kept", "yes")
	if want := "[] [] [] [127.0.0.1] [yes]"; a.body != want {
		t.Errorf("the origin saw %s, want %s", a.body, want)
	}
	if a.Header.Get("X-Private") != "" || a.Header.Get("Keep-Alive") != "" {
		t.Errorf("the visitor saw %v", a.Header)
	}
}

func TestBadRequests(t *testing.T) {
	r := newRig(t, cacheable)
	_, addr := r.startAlone(t)
	for _, tt := range []struct {
		name, method, host, path string
		status                   int
	}{
		{"host", "GET", "bad host", "/", 400},
		{"escape", "GET", domain, "/%zz", 400},
		{"trace", "TRACE", domain, "/", 405},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := raw(t, addr, tt.method+" "+tt.path+" HTTP/1.1\r\nHost: "+tt.host+"\r\nConnection: close\r\n\r\n")
			if want := fmt.Sprintf("HTTP/1.1 %d ", tt.status); !strings.HasPrefix(a, want) {
				t.Errorf("got %q, want %s", a, want)
			}
		})
	}
	if r.origin.total != 0 {
		t.Errorf("the origin saw %d of them", r.origin.total)
	}
}
