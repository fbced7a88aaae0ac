package httpcache_test

import (
	"net/http"
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
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := response(http.StatusOK, tt.response...).NotModified(get(tt.request...)); got != tt.want {
				t.Errorf("NotModified() = %v, want %v", got, tt.want)
			}
		})
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
