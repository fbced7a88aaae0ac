package edge_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"nearcast/edge"
)

// content is n octets that differ from place to place.
func content(n int, seed uint64) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	r.Read(b)
	return b
}

// rangeOrigin serves a content with validators and ranges, and counts the octets that it sends.
type rangeOrigin struct {
	body      []byte
	etag      string
	generated int64 // if positive, the length of a content of zeros in place of body
	sent      atomic.Int64
	asks      atomic.Int64
}

func (o *rangeOrigin) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	o.asks.Add(1)
	h := w.Header()
	h.Set("Cache-Control", "max-age=60")
	h.Set("Etag", o.etag)
	h.Set("Content-Type", "video/mp4")
	var body io.ReadSeeker = bytes.NewReader(o.body)
	if o.generated > 0 {
		body = io.NewSectionReader(zeros{}, 0, o.generated)
	}
	http.ServeContent(counted{w, &o.sent}, req, "", time.Time{}, body)
}

// zeros is a content of any length.
type zeros struct{}

func (zeros) ReadAt(p []byte, _ int64) (int, error) {
	clear(p)
	return len(p), nil
}

// counted counts the octets of a body.
type counted struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (c counted) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.n.Add(int64(n))
	return n, err
}

const mib = 1 << 20

// TestRangesOfALargeObject: whatever ranges are asked for in whatever order, the octets are right, and
// the origin never sends more than a slice beyond what visitors get.
func TestRangesOfALargeObject(t *testing.T) {
	origin := &rangeOrigin{body: content(9*mib+12345, 1), etag: `"v1"`}
	r := newRig(t, origin.ServeHTTP)
	_, addr := r.startAlone(t)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		start := rng.Int64N(int64(len(origin.body)))
		length := 1 + rng.Int64N(2*mib)
		end := min(start+length, int64(len(origin.body)))
		field := fmt.Sprintf("bytes=%d-%d", start, start+length-1)
		switch rng.IntN(6) {
		case 0:
			field, end = fmt.Sprintf("bytes=%d-", start), int64(len(origin.body))
		case 1:
			start = max(0, int64(len(origin.body))-length)
			field, end = fmt.Sprintf("bytes=-%d", length), int64(len(origin.body))
		}
		before := origin.sent.Load()
		a := r.get(t, addr, "/v", "Range", field)
		want := origin.body[start:end]
		if a.StatusCode != http.StatusPartialContent || a.body != string(want) {
			t.Fatalf("%s: %s with %d octets, want 206 with %d; %s", field, a.Status, len(a.body), len(want), a.status())
		}
		if got, want := a.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-%d/%d", start, end-1, len(origin.body)); got != want {
			t.Errorf("%s: Content-Range %q, want %q", field, got, want)
		}
		if cost := origin.sent.Load() - before; cost > max(mib, 2*int64(len(want))) || cost > int64(len(want))+mib {
			t.Errorf("%s: %d octets from the origin for %d", field, cost, len(want))
		}
	}
	asks := origin.asks.Load()
	if a := r.get(t, addr, "/v"); a.StatusCode != http.StatusOK || a.body != string(origin.body) {
		t.Errorf("the whole: %s with %d octets", a.Status, len(a.body))
	}
	if origin.sent.Load() > int64(len(origin.body))+3*mib {
		t.Errorf("the origin sent %d octets of %d in %d requests and more", origin.sent.Load(), len(origin.body), asks)
	}
	asks = origin.asks.Load()
	if a := r.get(t, addr, "/v"); a.word() != "HIT" || a.body != string(origin.body) || origin.asks.Load() != asks {
		t.Errorf("the whole again: %s, %d more requests", a.word(), origin.asks.Load()-asks)
	}
}

// TestSeveralRanges: they come as multipart/byteranges, in order, those that touch as one.
func TestSeveralRanges(t *testing.T) {
	origin := &rangeOrigin{body: content(5*mib, 2), etag: `"v1"`}
	r := newRig(t, origin.ServeHTTP)
	_, addr := r.startAlone(t)
	for i := range 2 {
		a := r.get(t, addr, "/v", "Range", "bytes=4000000-4000009,0-4,-3,5-9")
		if a.StatusCode != http.StatusPartialContent || strconv.Itoa(len(a.body)) != a.Header.Get("Content-Length") {
			t.Fatalf("%s with %d octets, Content-Length %s", a.Status, len(a.body), a.Header.Get("Content-Length"))
		}
		typ, params, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
		if typ != "multipart/byteranges" || err != nil {
			t.Fatalf("Content-Type %q", a.Header.Get("Content-Type"))
		}
		parts := multipart.NewReader(strings.NewReader(a.body), params["boundary"])
		n := len(origin.body)
		for _, want := range [][2]int{{0, 10}, {4000000, 4000010}, {n - 3, n}} {
			p, err := parts.NextPart()
			if err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(p)
			if !bytes.Equal(got, origin.body[want[0]:want[1]]) || p.Header.Get("Content-Range") != fmt.Sprintf("bytes %d-%d/%d", want[0], want[1]-1, n) {
				t.Errorf("round %d: part %q has %d octets", i, p.Header.Get("Content-Range"), len(got))
			}
		}
		if _, err := parts.NextPart(); err != io.EOF {
			t.Errorf("after the last part: %v", err)
		}
	}
}

// TestFirstRangeIsOfNothing: of several ranges the first is beyond the end, which nobody can know before the content's
// length is. The one from the end exists nevertheless.
func TestFirstRangeIsOfNothing(t *testing.T) {
	origin := &rangeOrigin{body: content(1000, 4), etag: `"v1"`}
	r := newRig(t, origin.ServeHTTP)
	_, addr := r.startAlone(t)
	for i, field := range []string{"bytes=5000-6000,-10", "bytes=-10, 5000-", "bytes=5000-6000, -10,7000-7001"} {
		for _, want := range []string{"MISS", "HIT"} {
			a := r.get(t, addr, "/"+strconv.Itoa(i), "Range", field)
			if a.StatusCode != http.StatusPartialContent || a.body != string(origin.body[990:]) || a.word() != want {
				t.Errorf("%s: %s, %s, %d octets, want 206, %s and the last 10", field, a.Status, a.word(), len(a.body), want)
			}
		}
	}
}

// TestLastRangeComesFirst: of ranges counted from both ends, that which is counted from the end begins before the
// others, which nobody can know before the content's length is. None is left out.
func TestLastRangeComesFirst(t *testing.T) {
	for _, length := range []int{1000, 3 * mib} {
		for _, etag := range []string{`"v1"`, ""} {
			origin := &rangeOrigin{body: content(length, 3), etag: etag}
			r := newRig(t, origin.ServeHTTP)
			_, addr := r.startAlone(t)
			from := length - 900
			field := fmt.Sprintf("bytes=-900, %d-%d, %d-%d", from+100, from+5000, from+500, from+900)
			for range 2 {
				a := r.get(t, addr, "/v", "Range", field)
				want := fmt.Sprintf("bytes %d-%d/%d", from, length-1, length)
				if a.Header.Get("Content-Range") != want || a.body != string(origin.body[from:]) {
					t.Errorf("length %d, tag %s: %s %q with %d octets, want %q", length, etag, a.Status, a.Header.Get("Content-Range"), len(a.body), want)
				}
			}
		}
	}
}

// TestWholeBesideAPart: of a content without a validator a part is on its way, and somebody wants the whole. What the part lacks could
// not be put together with it, so the whole is fetched by itself.
func TestWholeBesideAPart(t *testing.T) {
	body := content(30_000, 5)
	release := make(chan struct{})
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		if req.Header.Get("Range") != "bytes=0-19999" {
			http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(body))
			return
		}
		w.Header().Set("Content-Range", "bytes 0-19999/30000")
		w.Header().Set("Content-Length", "20000")
		w.WriteHeader(http.StatusPartialContent)
		w.Write(body[:10_000])
		w.(http.Flusher).Flush()
		<-release
		w.Write(body[10_000:20_000])
	})
	_, addr := r.startAlone(t)
	begin := func(fields ...string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/v", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(fields); i += 2 {
			req.Header.Set(fields[i], fields[i+1])
		}
		resp, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		first := make([]byte, 1)
		if _, err := io.ReadFull(resp.Body, first); err != nil || first[0] != body[0] {
			t.Fatal(first, err)
		}
		return resp
	}
	part := begin("Range", "bytes=0-19999")
	whole := begin()
	close(release)
	for _, tt := range []struct {
		name string
		resp *http.Response
		want []byte
	}{{"part", part, body[1:20_000]}, {"whole", whole, body[1:]}} {
		if got, err := io.ReadAll(tt.resp.Body); err != nil || !bytes.Equal(got, tt.want) {
			t.Errorf("the %s: %d octets and %v, want %d", tt.name, len(got), err, len(tt.want))
		}
	}
}

// TestStoredOctetsThatCannotBeHad: what a disk knows of and is too busy to give comes from upstream.
func TestStoredOctetsThatCannotBeHad(t *testing.T) {
	origin := &rangeOrigin{body: content(3*mib+77, 3), etag: `"v1"`}
	r := newRig(t, origin.ServeHTTP)
	r.prepare = (*edge.Server).Blind
	_, addr := r.startAlone(t)
	for range 3 {
		if a := r.get(t, addr, "/v"); a.body != string(origin.body) {
			t.Errorf("%s, %d octets of %d", a.Status, len(a.body), len(origin.body))
		}
	}
	if a := r.get(t, addr, "/v", "Range", "bytes=1000000-2999999"); a.body != string(origin.body[1000000:3000000]) {
		t.Errorf("%s, %d octets of a part", a.Status, len(a.body))
	}
}

// TestAllOfAContentIsLost: a visitor who has the head of a stored content gets it all from upstream, if nothing of it is to be had any more by then:
// what comes is the same content, though it comes whole and not as a part.
func TestAllOfAContentIsLost(t *testing.T) {
	for _, length := range []int{11_487, mib, 3*mib + 77} {
		origin := &rangeOrigin{body: content(length, 3), etag: `"v1"`}
		r := newRig(t, origin.ServeHTTP)
		r.prepare = (*edge.Server).Blind
		_, addr := r.startAlone(t)
		if a := r.get(t, addr, "/v", "Range", "bytes=0-6638"); a.body != string(origin.body[:6639]) {
			t.Fatalf("%s, %d octets of a part", a.Status, len(a.body))
		}
		for _, field := range []string{"bytes=0-", "bytes=3000-"} {
			if a := r.get(t, addr, "/v", "Range", field); !strings.HasSuffix(string(origin.body), a.body) || len(a.body) < length-3000 {
				t.Errorf("length %d: %s, %d octets of %s", length, a.Status, len(a.body), field)
			}
		}
		if a := r.get(t, addr, "/v"); a.body != string(origin.body) {
			t.Errorf("length %d: %s, %d octets", length, a.Status, len(a.body))
		}
	}
}

// TestRangeAmplification is the attack on the origin's uplink: little asked for of much (RFC 9110
// section 17.15).
func TestRangeAmplification(t *testing.T) {
	overlapping := "bytes=0-0"
	for i := range 999 {
		overlapping += ",0-" + strconv.Itoa(i)
	}
	many := "bytes=0-0"
	for i := range 7 {
		many += fmt.Sprintf(",%d-%d", (i+1)*100*mib, (i+1)*100*mib)
	}
	for name, field := range map[string]string{
		"one octet": "bytes=300000000-300000000", "last octet": "bytes=-1", "two octets of two slices": "bytes=1048575-1048576",
		"overlapping": overlapping, "far apart": many, "both ends": "bytes=-1,0-0", "middle and end": "bytes=-1,500000000-500000000",
	} {
		t.Run(name, func(t *testing.T) {
			origin := &rangeOrigin{etag: `"v1"`, generated: 1 << 30}
			r := newRig(t, origin.ServeHTTP)
			l1, l2 := r.chain(t)
			quiet := func() { // whoever has got what he wants does not wait for the rest of a slice
				t.Helper()
				eventually(t, "nothing is under way", func() bool { return l1.Fills()+l2["ams-1"].Fills()+l2["ams-2"].Fills() == 0 })
			}
			for i := range 6 {
				url := "/v?" + strconv.Itoa(i)
				if i >= 3 { // and once more with something stored
					r.get(t, r.addr("fra-1"), url, "Range", "bytes=77-77")
				}
				quiet()
				before := origin.sent.Load()
				a := r.get(t, r.addr("fra-1"), url, "Range", field)
				quiet()
				if cost, sent := origin.sent.Load()-before, int64(len(a.body)); cost > max(mib, 2*sent) {
					t.Errorf("%d octets from the origin for %d to the visitor (%s)", cost, sent, a.Status)
				}
			}
		})
	}
}

// TestContentChangesBetweenSlices: slices of two versions are never mixed.
func TestContentChangesBetweenSlices(t *testing.T) {
	old, fresh := content(4*mib, 4), content(4*mib+7, 5)
	origin := &rangeOrigin{body: old, etag: `"old"`}
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) { origin.ServeHTTP(w, req) })
	_, addr := r.startAlone(t)
	if a := r.get(t, addr, "/v", "Range", "bytes=0-9"); a.body != string(old[:10]) {
		t.Fatalf("%d octets", len(a.body))
	}
	origin = &rangeOrigin{body: fresh, etag: `"new"`}
	a := r.get(t, addr, "/v", "Range", "bytes=5-3000000")
	if want := fresh[5:3000001]; a.body != string(want) || a.Header.Get("Etag") != `"new"` || a.StatusCode != http.StatusPartialContent {
		t.Errorf("a range across what is stored and what is not: %s, %d octets, Etag %s", a.Status, len(a.body), a.Header.Get("Etag"))
	}
	if a := r.get(t, addr, "/v"); a.body != string(fresh) {
		t.Errorf("the whole: %d octets, Etag %s", len(a.body), a.Header.Get("Etag"))
	}
	origin = &rangeOrigin{body: fresh[:100], etag: `"short"`}
	r.clock.advance(2 * time.Minute)
	if a := r.get(t, addr, "/v", "Range", "bytes=3000000-3000001"); a.StatusCode != http.StatusRequestedRangeNotSatisfiable || a.Header.Get("Content-Range") != "bytes */100" {
		t.Errorf("a range that is gone: %s, Content-Range %q", a.Status, a.Header.Get("Content-Range"))
	}
}

// TestPartsWithoutValidator: what cannot be shown to belong together is not put together.
func TestPartsWithoutValidator(t *testing.T) {
	body := content(100, 6)
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(body))
	})
	_, addr := r.startAlone(t)
	for _, tt := range []struct{ field, word string }{
		{"bytes=0-49", "MISS"}, {"bytes=10-19", "HIT"}, {"bytes=0-59", "MISS"}, {"", "MISS"}, {"bytes=90-", "HIT"}, {"", "HIT"},
	} {
		var fields []string
		want := body
		if tt.field != "" {
			fields = []string{"Range", tt.field}
			var start, end int
			if n, _ := fmt.Sscanf(tt.field, "bytes=%d-%d", &start, &end); n < 2 {
				end = 99
			}
			want = body[start : end+1]
		}
		if a := r.get(t, addr, "/a", fields...); a.word() != tt.word || a.body != string(want) {
			t.Errorf("%q: %s with %d octets, want %s with %d; %s", tt.field, a.word(), len(a.body), tt.word, len(want), a.status())
		}
	}
}
