package httpcache_test

import (
	"io"
	"mime"
	"mime/multipart"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearcast/edge/httpcache"
)

// TestMultipart: RFC 9110 section 14.6, read back by the standard library.
func TestMultipart(t *testing.T) {
	const body = "0123456789abcdefghij"
	ranges := []httpcache.Range{part(0, 3), part(10, 10), part(18, 19)}
	m := httpcache.NewMultipart(ranges, int64(len(body)), "text/plain", "0102ff00000000000000000000000000")
	var b strings.Builder
	for i, r := range ranges {
		b.WriteString(m.Head(i))
		b.WriteString(body[r.Start:r.End()])
	}
	b.WriteString(m.Tail())
	if int64(b.Len()) != m.ContentLength() {
		t.Errorf("%d octets, announced %d", b.Len(), m.ContentLength())
	}
	h := header("Content-Range: bytes 0-3/20", "Content-Type: text/plain", "ETag: x")
	m.SetHeader(h)
	want := header("Content-Type: "+m.ContentType(), "Content-Length: "+strconv.Itoa(b.Len()), "ETag: x")
	if diff := cmp.Diff(want, h); diff != "" {
		t.Errorf("fields of the 206 (-want +got):\n%s", diff)
	}
	_, parameters, err := mime.ParseMediaType(m.ContentType())
	if err != nil {
		t.Fatal(err)
	}
	reader := multipart.NewReader(strings.NewReader(b.String()), parameters["boundary"])
	for _, r := range ranges {
		p, err := reader.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		octets, err := io.ReadAll(p)
		if err != nil || string(octets) != body[r.Start:r.End()] {
			t.Errorf("part %+v is %q, %v", r, octets, err)
		}
		if got := p.Header.Get("Content-Range"); got != r.ContentRange(20) || p.Header.Get("Content-Type") != "text/plain" {
			t.Errorf("part %+v has the head %v", r, p.Header)
		}
	}
	if _, err := reader.NextPart(); err != io.EOF {
		t.Errorf("after the last part: %v", err)
	}
}

func TestMultipartWithoutType(t *testing.T) {
	m := httpcache.NewMultipart([]httpcache.Range{part(0, 0)}, 2, "", "b")
	if got, want := m.Head(0), "--b\r\nContent-Range: bytes 0-0/2\r\n\r\n"; got != want {
		t.Errorf("head %q, want %q", got, want)
	}
}
