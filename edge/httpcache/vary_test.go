package httpcache_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"nearcast/edge/httpcache"
)

// TestMatches: RFC 9111 section 4.1.
func TestMatches(t *testing.T) {
	tests := []struct {
		name   string
		vary   []string
		first  []string // fields of the request that brought the response
		second []string // fields of the one that may use it
		want   bool
	}{
		{"none", nil, []string{"A: 1"}, []string{"A: 2"}, true},
		{"same", []string{"A"}, []string{"A: 1"}, []string{"A: 1"}, true},
		{"different", []string{"A"}, []string{"A: 1"}, []string{"A: 2"}, false},
		{"absent", []string{"A"}, nil, nil, true},
		{"appears", []string{"A"}, nil, []string{"A: 1"}, false},
		{"empty", []string{"A"}, nil, []string{"A: "}, false},
		{"case", []string{"accept-encoding"}, []string{"Accept-Encoding: GZIP"}, []string{"Accept-Encoding: gzip"}, true},
		{"sensitive", []string{"A"}, []string{"A: x"}, []string{"A: X"}, false},
		{"space", []string{"A"}, []string{"A: x,y"}, []string{"A:  x , y "}, true},
		{"lines", []string{"A"}, []string{"A: x, y"}, []string{"A: x", "A: y"}, true},
		{"order", []string{"A"}, []string{"A: x, y"}, []string{"A: y, x"}, false},
		{"several", []string{"A, B", "C"}, []string{"A: 1", "C: 3"}, []string{"A: 1", "C: 4"}, false},
		{"star", []string{"*"}, nil, nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httpcache.NewResponse(get(tt.first...), 200, http.Header{"Vary": tt.vary}, epoch, epoch)
			if got := r.Matches(header(tt.second...)); got != tt.want {
				t.Errorf("Matches() = %v, want %v", got, tt.want)
			}
		})
	}
}

// preferenceTests: RFC 9111 section 4.1, third transformation.
var preferenceTests = []struct {
	name          string
	first, second string // lines of two requests; Vary names the first one's field
	want          bool
}{
	{"order", "Accept-Language: en, de", "Accept-Language: de, en", true},
	{"case", "Accept-Language: en, DE-at", "Accept-Language: EN, de-AT", true},
	{"space", "Accept-Language: en ; q=0.5 ,de", "Accept-Language: de,en;q=0.5", true},
	{"weight", "Accept-Language: en;q=1.0, de;q=0.50", "Accept-Language: en, de;q=0.5", true},
	{"weightcase", "Accept-Language: de;Q=0.5", "Accept-Language: de;q=0.500", true},
	{"zero", "Accept-Language: de;q=0.0", "Accept-Language: de;q=0", true},
	{"zeroisless", "Accept-Language: de;q=0", "Accept-Language: de", false},
	{"otherweight", "Accept-Language: en, de;q=0.5", "Accept-Language: en, de;q=0.4", false},
	{"badweight", "Accept-Language: de;q=1.5", "Accept-Language: de", false},
	{"repeated", "Accept-Language: de, de", "Accept-Language: de", true},
	{"more", "Accept-Language: en, de", "Accept-Language: en, de, fr", false},
	{"coding", "Accept-Encoding: GZIP, br;q=0.5", "Accept-Encoding: br;q=0.5,gzip", true},
	{"charset", "Accept-Charset: UTF-8, x", "Accept-Charset: x, utf-8", true},
	{"type", "Accept: Text/HTML, */*;q=0.8", "Accept: */*;q=0.8,text/html", true},
	{"parameter", "Accept: text/plain;format=A", "Accept: text/plain;format=a", false},
	{"quoted", `Accept: text/plain;x="a,b"`, `Accept: text/plain; x="a,b"`, true},
	{"cookie", "Cookie: a=1, b", "Cookie: a=1,b", false},
	{"agent", "User-Agent: A, B", "User-Agent: A, B", true},
	{"agentcase", "User-Agent: A", "User-Agent: a", false},
	{"unknown", "X-Order: a, b", "X-Order: b, a", false},
}

func TestMatchesPreferences(t *testing.T) {
	for _, tt := range preferenceTests {
		t.Run(tt.name, func(t *testing.T) {
			first := header(tt.first)
			var vary string
			for name := range first {
				vary = name
			}
			r := httpcache.NewResponse(httpcache.Request{Method: "GET", Header: first}, 200, header("Vary: "+vary), epoch, epoch)
			if got := r.Matches(header(tt.second)); got != tt.want {
				t.Errorf("Matches() = %v, want %v", got, tt.want)
			}
		})
	}
}

// TestMatchesLanguage: a stored response in the one language that is wanted most.
func TestMatchesLanguage(t *testing.T) {
	tests := []struct {
		name     string
		language string
		accept   string
		want     bool
	}{
		{"most", "de", "fr;q=0.5, de;q=1.0", true},
		{"alone", "de", "de", true},
		{"case", "De-AT", "en;q=0.1,de-at", true},
		{"less", "de", "fr, de;q=0.5", false},
		{"equal", "de", "fr, de", false},
		{"refused", "de", "de;q=0", false},
		{"region", "de", "de-AT, fr;q=0.5", false},
		{"any", "de", "*, fr;q=0.5", false},
		{"several", "de, en", "de, fr;q=0.5", false},
		{"malformed", "de", "de, fr;q=x", false},
		{"parameter", "de", "de, fr;v=1", false},
		{"none", "", "de", false},
		{"empty", "de", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := header("Vary: Accept-Language, X")
			if tt.language != "" {
				h.Set("Content-Language", tt.language)
			}
			r := httpcache.NewResponse(get("Accept-Language: en, es"), 200, h, epoch, epoch)
			if got := r.Matches(header("Accept-Language: " + tt.accept)); got != tt.want {
				t.Errorf("Matches() = %v, want %v", got, tt.want)
			}
			if r.Matches(header("Accept-Language: "+tt.accept, "X: 1")) {
				t.Error("another field of Vary does not count")
			}
		})
	}
}

// TestSelect: RFC 9111 sections 4 and 4.1.
func TestSelect(t *testing.T) {
	made := func(seconds int, request string, lines ...string) *httpcache.Response {
		return httpcache.NewResponse(get(request), 200, header(append(lines, "Date: "+date(seconds))...), epoch, after(seconds))
	}
	german := made(0, "Accept-Language: en, de", "Vary: Accept-Language", "Content-Language: de")
	exact := made(-9, "Accept-Language: de", "Vary: Accept-Language", "Content-Language: de-CH")
	plain, newer := made(5, "X: 1"), made(8, "X: 1")
	one, two := made(1, "A: 1", "Vary: A"), made(2, "A: 1", "Vary: A")
	again := httpcache.NewResponse(get("A: 1"), 200, header("Vary: A", "Date: "+date(2)), epoch, after(3))
	tests := []struct {
		name    string
		stored  []*httpcache.Response
		request string
		want    int
	}{
		{"nothing", nil, "A: 1", -1},
		{"nomatch", []*httpcache.Response{one}, "A: 2", -1},
		{"recent", []*httpcache.Response{one, two, one}, "A: 1", 1},
		{"received", []*httpcache.Response{two, again, two}, "A: 1", 1},
		{"vary", []*httpcache.Response{plain, one}, "A: 1", 1},
		{"novary", []*httpcache.Response{plain, newer, one}, "A: 2", 1},
		{"exact", []*httpcache.Response{german, exact}, "Accept-Language: de", 1},
		{"language", []*httpcache.Response{plain, german}, "Accept-Language: de", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := httpcache.Select(tt.stored, header(tt.request)); got != tt.want {
				t.Errorf("Select() = %d, want %d", got, tt.want)
			}
		})
	}
}

func FuzzMatches(f *testing.F) {
	for _, tt := range preferenceTests {
		name, first, _ := strings.Cut(tt.first, ": ")
		_, second, _ := strings.Cut(tt.second, ": ")
		f.Add(name, first, second)
	}
	f.Fuzz(func(t *testing.T, name, first, second string) {
		made := func(value string) *httpcache.Response {
			return httpcache.NewResponse(get(name+": "+value), 200, header("Vary: "+name), epoch, epoch)
		}
		if !strings.Contains(name, "*") && !made(first).Matches(get(name+": "+first).Header) {
			t.Errorf("%s: %q does not match itself", name, first)
		}
		if made(first).Matches(get(name+": "+second).Header) != made(second).Matches(get(name+": "+first).Header) {
			t.Errorf("%s: %q and %q match in one direction", name, first, second)
		}
	})
}

// TestSelecting: what a response says about the request that it was made for selects it.
func TestSelecting(t *testing.T) {
	for _, request := range []http.Header{
		{},
		{"Accept-Language": {"de, en;q=0.5"}},
		{"Accept-Language": {"de", "en;q=0.5"}, "Cookie": {"a=1, b", "c"}},
		{"X-Empty": {""}, "Accept-Encoding": {"gzip, br;q=1"}},
	} {
		now := time.Unix(1e9, 0)
		h := http.Header{"Vary": {"Accept-Language, Cookie, X-Empty, Accept-Encoding"}}
		r := httpcache.NewResponse(httpcache.Request{Method: http.MethodGet, Header: request}, http.StatusOK, h, now, now)
		if got := r.Selecting(); !r.Matches(got) || !r.MatchesExactly(got) || !r.MatchesExactly(request) {
			t.Errorf("made for %q: %q does not select it", request, got)
		}
		if other := (http.Header{"Cookie": {"x"}}); r.Matches(other) {
			t.Errorf("made for %q, and selected by %q", request, other)
		}
	}
}
