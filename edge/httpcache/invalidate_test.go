package httpcache_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearcast/edge/httpcache"
)

// TestInvalidates: RFC 9111 section 4.4.
func TestInvalidates(t *testing.T) {
	const uri = "https://shop.example/a/b?c=d"
	tests := []struct {
		name   string
		method string
		status int
		lines  []string
		want   []string
	}{
		{"post", "POST", 200, nil, []string{uri}},
		{"put", "PUT", 204, nil, []string{uri}},
		{"redirect", "DELETE", 303, nil, []string{uri}},
		{"unknown", "M-SEARCH", 200, nil, []string{uri}},
		{"lowercase", "get", 200, nil, []string{uri}},
		{"failed", "POST", 400, nil, nil},
		{"error", "POST", 500, nil, nil},
		{"interim", "POST", 103, nil, nil},
		{"get", "GET", 200, []string{"Location: /x"}, nil},
		{"head", "HEAD", 200, nil, nil},
		{"options", "OPTIONS", 200, nil, nil},
		{"trace", "TRACE", 200, nil, nil},
		{"propfind", "PROPFIND", 207, nil, nil},
		{"location", "POST", 201, []string{"Location: /x?y#z"}, []string{uri, "https://shop.example/x?y"}},
		{"both", "POST", 201, []string{"Location: x", "Content-Location: ../y"}, []string{uri, "https://shop.example/a/x", "https://shop.example/y"}},
		{"port", "POST", 201, []string{"Location: https://SHOP.example:443/x"}, []string{uri, "https://shop.example/x"}},
		{"otherport", "POST", 201, []string{"Location: https://shop.example:444/x"}, []string{uri}},
		{"otherscheme", "POST", 201, []string{"Location: http://shop.example/x"}, []string{uri}},
		{"otherhost", "POST", 201, []string{"Content-Location: //other.example/x"}, []string{uri}},
		{"same", "POST", 200, []string{"Content-Location: " + uri, "Location: ?c=d"}, []string{uri}},
		{"malformed", "POST", 201, []string{"Location: http://%zz", "Content-Location:"}, []string{uri}},
		{"user", "POST", 201, []string{"Location: https://a:b@shop.example/x"}, []string{uri, "https://shop.example/x"}},
		{"root", "POST", 201, []string{"Location: https://shop.example"}, []string{uri, "https://shop.example/"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := httpcache.Invalidates(tt.method, tt.status, uri, header(tt.lines...))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if got := httpcache.Invalidates("POST", 200, "http://%zz", header("Location: /x")); !cmp.Equal(got, []string{"http://%zz"}) {
		t.Errorf("a target that is no URI: %q", got)
	}
	if got := httpcache.Invalidates("POST", 200, "http://shop.example:80", nil); !cmp.Equal(got, []string{"http://shop.example/"}) {
		t.Errorf("a target without a path: %q", got)
	}
}

func FuzzInvalidates(f *testing.F) {
	for _, seed := range []string{"/x", "//other/x", "https://shop.example:443/x", "http:x", "?", "%", "javascript:x", "https://shop.example:443@other/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, location string) {
		for _, uri := range httpcache.Invalidates("POST", 200, "https://shop.example/a", header("Location: "+location)) {
			if !strings.HasPrefix(uri, "https://shop.example/") {
				t.Errorf("Location: %s invalidates %q, which has another origin", location, uri)
			}
		}
	})
}
