package edge_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/edge/fill"
	"nearcast/edge/store"
)

// TestAttackVaryOfManyNames: a response that varies by more fields than a request can have is not stored: every
// look-up would have to compare them all.
func TestAttackVaryOfManyNames(t *testing.T) {
	names := make([]string, 5000)
	for i := range names {
		names[i] = fmt.Sprint("x", i)
	}
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Vary", strings.Join(names, ","))
		io.WriteString(w, "x")
	})
	r.start(t, "ams-1")
	r.get(t, r.addr("ams-1"), "/a")
	if a := r.get(t, r.addr("ams-1"), "/a"); a.word() == "HIT" {
		t.Errorf("it is stored: %s", a.status())
	}
}

// TestAttackOffsetsAtTheEnd: offsets near the largest number there is are asked for as they are, or not at all.
func TestAttackOffsetsAtTheEnd(t *testing.T) {
	const size = 1<<63 - 2
	var wrong atomic.Pointer[string]
	v := newVillain(t, func(w io.Writer, req *http.Request) {
		var first, last int64
		field := req.Header.Get("Range")
		if n, _ := fmt.Sscanf(field, "bytes=%d-%d", &first, &last); n != 2 || first < 0 || last < first || last >= size {
			if !strings.HasSuffix(field, "-") || n != 1 {
				wrong.Store(&field)
				io.WriteString(w, "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")
				return
			}
			last = size - 1
		}
		last = min(last, first+2*mib)
		fmt.Fprintf(w, "HTTP/1.1 206 Partial Content\r\nCache-Control: max-age=60\r\nETag: \"1\"\r\nContent-Range: bytes %d-%d/%d\r\nContent-Length: %d\r\n\r\n", first, last, int64(size), last-first+1)
		io.CopyN(w, zeroes{}, last-first+1)
	})
	r := newRig(t, cacheable)
	_, addr := r.startBefore(t, v, "")
	for _, field := range []string{"bytes=0-0", "bytes=9223372036854775000-9223372036854775005", "bytes=9223372036854775010-9223372036854775011", "bytes=9223372036854775805-", "bytes=5-5,9223372036854775800-9223372036854775803"} {
		status, body, err := r.tryGet(t, addr, "/a", "Range", field)
		if status != http.StatusPartialContent || err != nil {
			t.Errorf("%s: status %d, %d octets, %v", field, status, len(body), err)
		}
	}
	if field := wrong.Load(); field != nil {
		t.Errorf("upstream was asked for %q", *field)
	}
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestAttackTransformingWhatMustNotBe: no-transform is for taking a coding off as it is for putting one on (RFC 9110
// section 7.7).
func TestAttackTransformingWhatMustNotBe(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60, no-transform")
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, gzipped("text"))
	}, coding(cdn.Compress{}))
	r.start(t, "ams-1")
	for range 2 {
		if a := r.get(t, r.addr("ams-1"), "/a", "Accept-Encoding", "identity"); a.Header.Get("Content-Encoding") != "gzip" || a.body != gzipped("text") {
			t.Errorf("Content-Encoding %q, %q", a.Header.Get("Content-Encoding"), a.body)
		}
	}
}

// TestAttackRedirectLoop: an origin that always redirects to itself is asked as often as the route says, and no more.
func TestAttackRedirectLoop(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Location", req.URL.Path+"x")
		w.WriteHeader(http.StatusFound)
	}, cdn.Route{FollowRedirects: 5})
	r.start(t, "ams-1")
	if a := r.get(t, r.addr("ams-1"), "/a"); a.StatusCode != http.StatusFound || r.origin.all() != 6 {
		t.Errorf("%s after %d requests", a.Status, r.origin.all())
	}
}

// TestAttackJoiningTheAbandoned: a fill whose only reader has hung up is about to end. Who comes then gets a fill of
// its own, instead of breaking off together with that one.
func TestAttackJoiningTheAbandoned(t *testing.T) {
	g := fill.NewGroup[string](fill.Limits{Keep: mib, Budget: mib, Window: mib})
	defer g.Close()
	announced, stuck := make(chan struct{}), make(chan struct{})
	run := func(ctx context.Context, f *fill.Fill[string]) {
		f.Unkeep()
		f.Announce("head", true)
		close(announced)
		f.ReadFrom(ctx, blocked{stuck}, 10, func() {}, func(store.Body) {})
	}
	ask := fill.Ask[string]{Span: fill.Whole(), Shared: true, Accept: func(string) (int64, bool) { return 0, true }}
	first, _, _ := g.Join("key", ask, func() fill.Run[string] { return run })
	<-announced
	first.Close()
	second, own, _ := g.Join("key", ask, func() fill.Run[string] {
		return func(_ context.Context, f *fill.Fill[string]) {
			f.Announce("another head", true)
			f.Finish(io.EOF)
		}
	})
	close(stuck)
	defer second.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	second.Wait(ctx, nil, func(string) {})
	if _, err := second.Next(ctx); !own || !errors.Is(err, io.EOF) {
		t.Errorf("the newcomer has its own fill: %v; it reads %v", own, err)
	}
}

// blocked is a body that does not come before it is told to, and then breaks off.
type blocked struct{ until <-chan struct{} }

func (b blocked) Read([]byte) (int, error) {
	<-b.until
	return 0, io.ErrUnexpectedEOF
}
