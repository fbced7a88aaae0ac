package httpcache_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearcast/edge/httpcache"
)

// TestNotModified: RFC 9110 section 13.2.2, RFC 9111 section 4.3.2.
func TestNotModified(t *testing.T) {
	tests := []struct {
		name     string
		response []string
		request  []string
		want     bool
	}{
		{"plain", []string{`ETag: "a"`}, nil, false},
		{"strong", []string{`ETag: "a"`}, []string{`If-None-Match: "a"`}, true},
		{"weak", []string{`ETag: W/"a"`}, []string{`If-None-Match: "a"`}, true},
		{"weaker", []string{`ETag: "a"`}, []string{`If-None-Match: W/"a"`}, true},
		{"other", []string{`ETag: "a"`}, []string{`If-None-Match: "b"`}, false},
		{"second", []string{`ETag: "a"`}, []string{`If-None-Match: "b,c", "a"`}, true},
		{"lines", []string{`ETag: "a"`}, []string{`If-None-Match: "b"`, `If-None-Match: "a"`}, true},
		{"comma", []string{`ETag: "b,a"`}, []string{`If-None-Match: "b,a"`}, true},
		{"star", []string{`ETag: "a"`}, []string{"If-None-Match: *"}, true},
		{"notag", nil, []string{`If-None-Match: ""`}, false},
		{"since", []string{"Last-Modified: " + date(-100)}, []string{"If-Modified-Since: " + date(-100)}, true},
		{"later", []string{"Last-Modified: " + date(-100)}, []string{"If-Modified-Since: " + date(-101)}, false},
		{"date", nil, []string{"If-Modified-Since: " + date(1)}, true},
		{"precedence", []string{`ETag: "a"`, "Last-Modified: " + date(-100)}, []string{`If-None-Match: "b"`, "If-Modified-Since: " + date(0)}, false},
		{"malformed", []string{"Last-Modified: " + date(-100)}, []string{"If-Modified-Since: yesterday"}, false},
		{"twice", []string{"Last-Modified: " + date(-100)}, []string{"If-Modified-Since: " + date(0), "If-Modified-Since: " + date(0)}, false},
		{"older", nil, []string{"If-Modified-Since: " + date(-1)}, false},
		{"badmodified", []string{"Last-Modified: never"}, []string{"If-Modified-Since: " + date(0)}, true},
		{"listedstar", []string{`ETag: "a"`}, []string{`If-None-Match: "b", *`}, false},
		{"spacedstar", nil, []string{"If-None-Match:  * "}, true},
		{"lowercase", []string{`ETag: "a"`}, []string{`If-None-Match: w/"a"`}, false},
		{"unquoted", []string{"ETag: a"}, []string{"If-None-Match: a"}, true},
		{"quotes", []string{`ETag: "a"`}, []string{"If-None-Match: a"}, false},
		{"obstext", []string{"ETag: \"\xe9\xff\""}, []string{"If-None-Match: \"x\", \"\xe9\xff\""}, true},
		{"backslash", []string{`ETag: "a\"`}, []string{`If-None-Match: "a\", "b"`}, true},
		{"nospace", []string{`ETag: "a"`}, []string{`If-None-Match: "b",W/"a",`}, true},
		{"case", []string{`ETag: "a"`}, []string{`If-None-Match: "A"`}, false},
		{"emptytag", []string{`ETag: ""`}, []string{`If-None-Match: ""`}, true},
		{"empty", []string{`ETag: "a"`}, []string{"If-None-Match:"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := response(http.StatusOK, tt.response...).NotModified(get(tt.request...)); got != tt.want {
				t.Errorf("NotModified() = %v, want %v", got, tt.want)
			}
		})
	}
	if response(200, `ETag: "a"`).NotModified(httpcache.Request{Method: "POST", Header: header(`If-None-Match: "a"`)}) {
		t.Error("a POST became a 304; RFC 9110 section 13.2.2 has that for GET and HEAD")
	}
	if response(404, `ETag: "a"`).NotModified(get(`If-None-Match: "a"`)) {
		t.Error("a stored 404 became a 304; RFC 9110 section 13.2.1 has conditions for 2xx only")
	}
}

func TestValidate(t *testing.T) {
	h := header("X: 1")
	if !response(200, `ETag: "a"`, "Last-Modified: "+date(-5)).Validate(h) {
		t.Error("Validate() found no validator")
	}
	want := header("X: 1", `If-None-Match: "a"`, "If-Modified-Since: "+date(-5))
	if diff := cmp.Diff(want, h); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
	if response(200).Validate(header()) {
		t.Error("Validate() found a validator where there is none")
	}
	h = header("Range: bytes=0-1", `If-Range: "a"`, "If-None-Match: *", "If-Modified-Since: "+date(0), "X: 1")
	httpcache.DropConditions(h)
	if diff := cmp.Diff(header("X: 1"), h); diff != "" {
		t.Errorf("after DropConditions (-want +got):\n%s", diff)
	}
}

// TestRangeApplies: RFC 9110 section 13.1.5.
func TestRangeApplies(t *testing.T) {
	modified := "Last-Modified: " + date(-100)
	tests := []struct {
		name      string
		response  []string
		condition string
		want      bool
	}{
		{"none", nil, "", true},
		{"strong", []string{`ETag: "a"`}, `"a"`, true},
		{"other", []string{`ETag: "a"`}, `"b"`, false},
		{"weak", []string{`ETag: W/"a"`}, `W/"a"`, false},
		{"date", []string{modified}, date(-100), true},
		{"later", []string{modified}, date(-99), false},
		{"young", []string{"Last-Modified: " + date(0)}, date(0), false},
		{"nodate", nil, date(0), false},
		{"malformed", []string{modified}, "a", false},
		{"halftag", []string{`ETag: "a`}, `"a`, false},
		{"twotags", []string{`ETag: "a", "b"`}, `"a", "b"`, false},
		{"otherform", []string{modified}, "Sunday, 01-Mar-26 11:58:20 GMT", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			request := http.Header{}
			if tt.condition != "" {
				request.Set("If-Range", tt.condition)
			}
			if got := response(200, tt.response...).RangeApplies(request); got != tt.want {
				t.Errorf("RangeApplies(%q) = %v, want %v", tt.condition, got, tt.want)
			}
		})
	}
}

// TestStrongValidator: RFC 9110 sections 8.8.1, 8.8.2.2 and 13.1.5.
func TestStrongValidator(t *testing.T) {
	tests := []struct {
		name  string
		lines []string
		want  string // empty for none
	}{
		{"tag", []string{`ETag: "a"`}, `"a"`},
		{"tagfirst", []string{`ETag: "a"`, "Last-Modified: " + date(-100)}, `"a"`},
		{"weak", []string{`ETag: W/"a"`, "Last-Modified: " + date(-100)}, ""},
		{"unquoted", []string{"ETag: a"}, ""},
		{"quote", []string{`ETag: "`}, ""},
		{"date", []string{"Last-Modified: " + date(-1)}, date(-1)},
		{"young", []string{"Last-Modified: " + date(0)}, ""},
		{"broken", []string{"Last-Modified: never"}, ""},
		{"none", nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := response(200, tt.lines...)
			got, ok := r.StrongValidator()
			if ok != (tt.want != "") || ok && got != tt.want {
				t.Errorf("StrongValidator() = %q, %v, want %q", got, ok, tt.want)
			}
			if ok && !r.RangeApplies(header("If-Range: "+got)) {
				t.Errorf("If-Range: %s does not apply to its own response", got)
			}
			if httpcache.SameVersion(r, r) != ok {
				t.Errorf("SameVersion() of a response with itself is %v", !ok)
			}
		})
	}
	a := response(206, `ETag: "a"`)
	for name, b := range map[string]*httpcache.Response{
		"tag": response(206, `ETag: "b"`), "weak": response(206, `ETag: W/"a"`), "date": response(206, "Last-Modified: "+date(-9)),
	} {
		if httpcache.SameVersion(a, b) || httpcache.SameVersion(b, a) {
			t.Errorf("another %s is the same version", name)
		}
	}
}

func FuzzNotModified(f *testing.F) {
	for _, seed := range []string{`"a"`, `W/"a", "b"`, "*", `"a,b"`, `"`, `a"b"c,`} {
		f.Add(`"a"`, seed)
	}
	f.Fuzz(func(t *testing.T, tag, line string) {
		r := httpcache.NewResponse(get(), 200, http.Header{"Etag": {tag}}, epoch, epoch)
		request := httpcache.Request{Method: "GET", Header: http.Header{"If-None-Match": {line}}}
		if r.NotModified(request) && line != "*" && !strings.Contains(line, strings.TrimPrefix(tag, "W/")) && strings.Trim(line, " \t") != "*" {
			t.Errorf("%q matches %q", line, tag)
		}
		if strong, ok := r.StrongValidator(); ok && !r.RangeApplies(http.Header{"If-Range": {strong}}) {
			t.Errorf("strong tag %q does not apply to itself", strong)
		}
	})
}
