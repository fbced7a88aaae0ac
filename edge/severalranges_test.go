package edge_test

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"nearcast/edge"
)

// far is a length of which the middle is further from the start than a fill's window reaches.
const far = 15*mib - 77

// wantParts compares a multipart answer with parts of a content, given as pairs of offsets.
func wantParts(t *testing.T, a answer, body []byte, want ...[2]int) {
	t.Helper()
	typ, params, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
	if a.StatusCode != http.StatusPartialContent || typ != "multipart/byteranges" || err != nil {
		t.Errorf("%s %q with %d octets, want several parts; %s", a.Status, a.Header.Get("Content-Type"), len(a.body), a.status())
		return
	}
	parts := multipart.NewReader(strings.NewReader(a.body), params["boundary"])
	for _, w := range want {
		p, err := parts.NextPart()
		if err != nil {
			t.Errorf("the part from %d on: %v", w[0], err)
			return
		}
		got, err := io.ReadAll(p)
		if field := fmt.Sprintf("bytes %d-%d/%d", w[0], w[1]-1, len(body)); err != nil || p.Header.Get("Content-Range") != field || !bytes.Equal(got, body[w[0]:w[1]]) {
			t.Errorf("part %q has %d octets (%v), want %s", p.Header.Get("Content-Range"), len(got), err, field)
		}
	}
	if _, err := parts.NextPart(); err != io.EOF {
		t.Errorf("after the last part: %v", err)
	}
}

// TestRangesFromTheEndAndBefore: the end of an unknown content is asked for, and its answer tells where the others are, far ahead of
// whatever else is on its way. They come as parts all the same, and the origin sends what is wanted and no more.
func TestRangesFromTheEndAndBefore(t *testing.T) {
	origin := &rangeOrigin{body: content(far, 7), etag: `"v1"`}
	for _, tt := range []struct {
		field string
		parts [][2]int
	}{
		{"bytes=-910026, 5665977-5667861", [][2]int{{5665977, 5667862}, {far - 910026, far}}},
		{"bytes=-1,0-0", [][2]int{{0, 1}, {far - 1, far}}},
		{"bytes=-5000000,8000000-8000009,4000000-4000009", [][2]int{{4000000, 4000010}, {8000000, 8000010}, {far - 5000000, far}}},
	} {
		r := newRig(t, origin.ServeHTTP)
		_, addr := r.startAlone(t)
		for _, word := range []string{"MISS", "HIT"} {
			before := origin.sent.Load()
			a := r.get(t, addr, "/v", "Range", tt.field)
			wantParts(t, a, origin.body, tt.parts...)
			cost, most := origin.sent.Load()-before, int64(len(a.body))
			if word == "HIT" {
				most = 0
			}
			if a.word() != word || cost > most {
				t.Errorf("%s: %s and %d octets from the origin for %d, want %s; %s", tt.field, a.word(), cost, len(a.body), word, a.status())
			}
		}
	}
}

// TestSeveralRangesOfAChangedContent: a part is stored of what the origin has no more when several others are asked for.
func TestSeveralRangesOfAChangedContent(t *testing.T) {
	origin := &rangeOrigin{body: content(far, 8), etag: `"old"`}
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) { origin.ServeHTTP(w, req) })
	_, addr := r.startAlone(t)
	r.get(t, addr, "/v", "Range", "bytes=0-9")
	origin = &rangeOrigin{body: content(far, 9), etag: `"new"`}
	a := r.get(t, addr, "/v", "Range", "bytes=9000000-9000009,-10")
	wantParts(t, a, origin.body, [2]int{9000000, 9000010}, [2]int{far - 10, far})
}

// TestContentChangesAllTheTime: every answer of the origin is of another version. The whole of one of them is asked for in the end.
func TestContentChangesAllTheTime(t *testing.T) {
	body := content(far, 10)
	var versions atomic.Int64
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		(&rangeOrigin{body: body, etag: fmt.Sprintf(`"v%d"`, versions.Add(1))}).ServeHTTP(w, req)
	})
	_, addr := r.startAlone(t)
	a := r.get(t, addr, "/v", "Range", "bytes=-1000,9000000-9000009,11000000-11000009")
	wantParts(t, a, body, [2]int{9000000, 9000010}, [2]int{11000000, 11000010}, [2]int{far - 1000, far})
	if n := versions.Load(); n > 6 {
		t.Errorf("the origin was asked %d times", n)
	}
}

// TestOnlyTheWholeHasATag: what parts of a content belong to cannot be said, so all of it is asked for, and the parts are taken from that.
func TestOnlyTheWholeHasATag(t *testing.T) {
	body := content(far, 11)
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		if req.Header.Get("Range") == "" {
			w.Header().Set("Etag", `"v1"`)
		}
		http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(body))
	})
	_, addr := r.startAlone(t)
	a := r.get(t, addr, "/v", "Range", "bytes=-1000,5665977-5667861")
	wantParts(t, a, body, [2]int{5665977, 5667862}, [2]int{far - 1000, far})
}

// TestNoRoomForTheOtherRanges: the end of a content is on its way, and what comes before it must not be asked for.
func TestNoRoomForTheOtherRanges(t *testing.T) {
	origin := &rangeOrigin{body: content(far, 12), etag: `"v1"`}
	r := newRig(t, origin.ServeHTTP)
	s, _ := r.startLimited(t, edge.Limits{FillsPerClient: 1})
	a := r.get(t, s.Addr().String(), "/v", "Range", "bytes=-9000000,0-9") // more than goes without a reader
	if a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" {
		t.Errorf("%s, Retry-After %q, want 503", a.Status, a.Header.Get("Retry-After"))
	}
}
