package httpcache_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearcast/edge/httpcache"
)

// contentRangeTests: RFC 9110 section 14.4.
var contentRangeTests = []struct {
	field string
	want  httpcache.Range
	size  int64
	ok    bool
}{
	{"bytes 0-4/10", part(0, 4), 10, true},
	{"Bytes 5-9/10", part(5, 9), 10, true},
	{"bytes 5-9/*", part(5, 9), -1, true},
	{"bytes 0-0/1", part(0, 0), 1, true},
	{"bytes */47", httpcache.Range{}, 47, true},
	{"bytes */*", httpcache.Range{}, 0, false},
	{"bytes 5-10/10", httpcache.Range{}, 0, false},
	{"bytes 5-4/10", httpcache.Range{}, 0, false},
	{"bytes 0-4/0", httpcache.Range{}, 0, false},
	{"bytes 0-4", httpcache.Range{}, 0, false},
	{"bytes 0/10", httpcache.Range{}, 0, false},
	{"bytes=0-4/10", httpcache.Range{}, 0, false},
	{"bytes  0-4/10", httpcache.Range{}, 0, false},
	{"bytes 0-4/10 ", httpcache.Range{}, 0, false},
	{"bytes 0 - 4/10", httpcache.Range{}, 0, false},
	{"bytes -4/10", httpcache.Range{}, 0, false},
	{"bytes 4-/10", httpcache.Range{}, 0, false},
	{"bytes 0-4/x", httpcache.Range{}, 0, false},
	{"bytes 0-9223372036854775807/*", httpcache.Range{}, 0, false},
	{"bytes 0-1/9223372036854775808", httpcache.Range{}, 0, false},
	{"lines 0-4/10", httpcache.Range{}, 0, false},
	{"", httpcache.Range{}, 0, false},
}

func TestParseContentRange(t *testing.T) {
	for _, tt := range contentRangeTests {
		got, size, ok := httpcache.ParseContentRange(tt.field)
		if ok != tt.ok || ok && (got != tt.want || size != tt.size) {
			t.Errorf("ParseContentRange(%q) = %+v, %d, %v, want %+v, %d, %v", tt.field, got, size, ok, tt.want, tt.size, tt.ok)
		}
	}
}

func FuzzParseContentRange(f *testing.F) {
	for _, tt := range contentRangeTests {
		f.Add(tt.field)
	}
	f.Fuzz(func(t *testing.T, field string) {
		r, size, ok := httpcache.ParseContentRange(field)
		if !ok || size < 0 || r.Length == 0 {
			return
		}
		again, total, ok := httpcache.ParseContentRange(r.ContentRange(size))
		if !ok || again != r || total != size {
			t.Errorf("%q is %+v of %d, which is written %q", field, r, size, r.ContentRange(size))
		}
	})
}

func TestPart(t *testing.T) {
	tests := []struct {
		name   string
		status int
		lines  []string
		ok     bool
	}{
		{"plain", 206, []string{"Content-Range: bytes 5-9/10", "Content-Length: 5"}, true},
		{"nolength", 206, []string{"Content-Range: bytes 5-9/10"}, true},
		{"contradiction", 206, []string{"Content-Range: bytes 5-9/10", "Content-Length: 6"}, false},
		{"unsatisfied", 206, []string{"Content-Range: bytes */10"}, false},
		{"multipart", 206, []string{"Content-Type: multipart/byteranges; boundary=x"}, false},
		{"twice", 206, []string{"Content-Range: bytes 5-9/10", "Content-Range: bytes 0-4/10"}, false},
		{"whole", 200, []string{"Content-Range: bytes 5-9/10"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, size, ok := response(tt.status, tt.lines...).Part()
			if ok != tt.ok || ok && (got != part(5, 9) || size != 10) {
				t.Errorf("Part() = %+v, %d, %v, want ok %v", got, size, ok, tt.ok)
			}
		})
	}
}

// TestWhole: RFC 9111 section 3.3: a 206 may be stored as if it were an incomplete 200.
func TestWhole(t *testing.T) {
	r := response(206, "Content-Range: bytes 5-9/10", "Content-Length: 5", `ETag: "a"`, "Cache-Control: max-age=60")
	whole := r.Whole(10)
	want := header("Content-Length: 10", `ETag: "a"`, "Cache-Control: max-age=60", "Date: "+date(0))
	if diff := cmp.Diff(want, whole.Header); diff != "" || whole.Status != 200 {
		t.Errorf("status %d, fields (-want +got):\n%s", whole.Status, diff)
	}
	if got := httpcache.Assess(epoch, get(), whole, httpcache.Policy{}); !got.Store || !got.Share {
		t.Errorf("the whole form is %+v", got)
	}
	if h := r.Whole(-1).Header; h["Content-Length"] != nil {
		t.Errorf("a body of unknown size has Content-Length %q", h["Content-Length"])
	}
	if r.Header.Get("Content-Length") != "5" {
		t.Error("Whole changed the part")
	}
	if full := response(200, "Content-Length: 5"); full.Whole(10) != full {
		t.Error("Whole changed a 200")
	}
}

func TestAlign(t *testing.T) {
	const slice = 100
	tests := []struct {
		name string
		want httpcache.Range
		size int64
		got  httpcache.Range
	}{
		{"small", part(10, 19), 1000, part(0, 99)},
		{"aligned", part(100, 299), 1000, part(100, 299)},
		{"across", part(90, 109), 1000, part(90, 109)},
		{"most", part(10, 199), 1000, part(0, 199)},
		{"both", part(50, 249), 1000, part(0, 299)},
		{"toomuch", part(99, 300), 1000, part(99, 300)},
		{"end", part(950, 959), 960, part(900, 959)},
		{"clipped", part(950, 2000), 960, part(900, 959)},
		{"unknown", part(950, 959), -1, part(900, 999)},
		{"huge", httpcache.Range{Start: math.MaxInt64 - 20, Length: 10}, -1, httpcache.Range{Start: math.MaxInt64 - 20, Length: 10}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := httpcache.Align(tt.want, tt.size, slice); got != tt.got {
				t.Errorf("Align(%+v) = %+v, want %+v", tt.want, got, tt.got)
			}
		})
	}
	if got := httpcache.Align(part(10, 19), 1000, 0); got != part(10, 19) {
		t.Errorf("Align without slices = %+v", got)
	}
	if got := httpcache.Align(part(10, 19), 5, slice); got.Length != 0 {
		t.Errorf("Align of what does not exist = %+v", got)
	}
}

func FuzzAlign(f *testing.F) {
	f.Add(int64(10), int64(10), int64(1000), int64(100))
	f.Add(int64(math.MaxInt64-1), int64(1), int64(-1), int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, start, length, size, slice int64) {
		if start < 0 || length <= 0 || start > math.MaxInt64-length || size >= 0 && start+length > size {
			return
		}
		want := httpcache.Range{Start: start, Length: length}
		got := httpcache.Align(want, size, slice)
		switch {
		case got == want:
		case got.Start < 0 || got.Start > want.Start || got.End() < want.End() || size >= 0 && got.End() > size:
			t.Errorf("Align(%+v, %d, %d) = %+v: not around what was wanted", want, size, slice, got)
		case got.Length-want.Length > slice || got.Length > slice && got.Length-want.Length > want.Length:
			t.Errorf("Align(%+v, %d, %d) = %+v: too much", want, size, slice, got)
		}
	})
}
