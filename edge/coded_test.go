package edge_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/edge"
)

// coding is the route of most of these tests.
func coding(c cdn.Compress) cdn.Route { return cdn.Route{Compress: &c} }

// prose is n octets of text that can be coded and that differs from place to place.
func prose(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "line %d of a text that says %x\n", i, i*i*7919)
	}
	return b.String()[:n]
}

// page serves a text of its own kind, with a validator.
func page(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "max-age=60")
		h.Set("Etag", `"1"`)
		h.Set("Content-Type", "text/html")
		http.ServeContent(w, req, "", time.Time{}, strings.NewReader(text))
	}
}

// plainOf takes off whatever coding an answer says it has, with other decoders than the node's own where there are some.
func plainOf(t *testing.T, a answer) string {
	t.Helper()
	var r io.Reader = strings.NewReader(a.body)
	switch c := a.Header.Get("Content-Encoding"); c {
	case "":
	case "gzip":
		z, err := gzip.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		r = z
	case "br":
		r = brotli.NewReader(r)
	case "zstd":
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		r = z
	default:
		t.Fatalf("Content-Encoding %q", c)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("decoding %s of %d octets: %v", a.Header.Get("Content-Encoding"), len(a.body), err)
	}
	return string(plain)
}

// gzipped is a text in gzip.
func gzipped(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, text)
	z.Close()
	return b.String()
}

// into is an option: the node counts into a registry.
func into(registry *prometheus.Registry) func(*edge.Config) {
	return func(cfg *edge.Config) { cfg.Registry = registry }
}

// TestCodedOnceAndStored: the first reader of a coding has it made, the next gets what was made; the head is
// that of the variant (RFC 9110 sections 8.4, 8.8.3.3 and 12.5.5).
func TestCodedOnceAndStored(t *testing.T) {
	text := prose(20000)
	accepted := make(chan string, 1)
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		accepted <- req.Header.Get("Accept-Encoding")
		page(text)(w, req)
	}, coding(cdn.Compress{}))
	registry := prometheus.NewRegistry()
	r.start(t, "ams-1", into(registry))
	addr := r.addr("ams-1")
	for i, c := range []string{"gzip", "br", "zstd"} {
		for j := range 3 {
			a := r.get(t, addr, "/a", "Accept-Encoding", c)
			if a.Header.Get("Content-Encoding") != c || plainOf(t, a) != text || a.err != nil {
				t.Fatalf("%s: %s, %d octets of %q, %v", c, a.Status, len(a.body), a.Header.Get("Content-Encoding"), a.err)
			}
			if got, want := a.Header.Get("Etag"), `"1~`+c+`.1"`; got != want || a.Header.Get("Vary") != "Accept-Encoding" {
				t.Errorf("%s: Etag %s, want %s; Vary %q", c, got, want, a.Header.Get("Vary"))
			}
			if hit := a.word() == "HIT"; hit != (i+j > 0) || j > 0 && a.Header.Get("Content-Length") != strconv.Itoa(len(a.body)) {
				t.Errorf("%s: %s, Content-Length %q of %d", c, a.word(), a.Header.Get("Content-Length"), len(a.body))
			}
		}
	}
	if a := r.get(t, addr, "/a", "Accept-Encoding", "identity"); a.body != text || a.Header.Get("Etag") != `"1"` ||
		a.Header.Get("Vary") != "Accept-Encoding" || a.Header.Get("Content-Encoding") != "" || a.Header.Get("Content-Length") != "20000" {
		t.Errorf("identity: %d octets, %v", len(a.body), a.Header)
	}
	if got, n := <-accepted, r.origin.requests("/a"); got != "identity" || n != 1 {
		t.Errorf("the origin was asked for %q in %d requests", got, n)
	}
	if n := metric(t, registry, "nearcast_edge_variants_coded_total"); n != 3 {
		t.Errorf("coded %v times, want once for each coding", n)
	}
}

// grounds is a response and a request, and the coding that comes of them.
type grounds struct {
	route       cdn.Compress
	contentType string
	size        int
	extra       string // a field of the response
	accept      string // "" for none
	want        string
}

// codedOrNot are the grounds for and against.
func codedOrNot() map[string]grounds {
	all := cdn.Compress{}
	return map[string]grounds{
		"preference of the route":  {all, "text/css", 2000, "", "gzip, zstd, br", "br"},
		"another preference":       {cdn.Compress{Codings: []string{"gzip", "br"}}, "text/css", 2000, "", "zstd, br, gzip", "gzip"},
		"weight of the visitor":    {all, "text/css", 2000, "", "gzip, br;q=0.5", "gzip"},
		"refused":                  {all, "text/css", 2000, "", "gzip;q=0, br;q=0", ""},
		"anything":                 {all, "text/css", 2000, "", "*", "br"},
		"an alias":                 {all, "text/css", 2000, "", "x-gzip", "gzip"},
		"no field":                 {all, "text/css", 2000, "", "", ""},
		"unknown":                  {all, "text/css", 2000, "", "lzma", ""},
		"smallest":                 {all, "text/css", 1024, "", "gzip", "gzip"},
		"too small":                {all, "text/css", 1023, "", "gzip", ""},
		"smaller by rule":          {cdn.Compress{MinSize: 10}, "text/css", 20, "", "gzip", "gzip"},
		"a picture":                {all, "image/png", 2000, "", "gzip", ""},
		"a type by rule":           {cdn.Compress{Types: []string{"image/*"}}, "image/png", 2000, "", "gzip", "gzip"},
		"not a type by rule":       {cdn.Compress{Types: []string{"image/*"}}, "text/css", 2000, "", "gzip", ""},
		"type with parameter":      {all, "Application/JSON; charset=utf-8", 2000, "", "gzip", "gzip"},
		"events":                   {all, "text/event-stream", 2000, "", "gzip", ""},
		"no-transform (section 7)": {all, "text/css", 2000, "Cache-Control: max-age=60, no-transform", "gzip", ""},
		"another status":           {all, "text/css", 2000, "Status: 404", "gzip", ""},
		"not stored":               {all, "text/css", 2000, "Cache-Control: no-store", "gzip", "gzip"},
		"never twice":              {all, "text/css", 2000, "Content-Encoding: br", "gzip, br", "br"},
		"no other on top":          {all, "text/css", 2000, "Content-Encoding: compress", "gzip", "compress"},
	}
}

// TestWhatIsCoded goes through the grounds for and against.
func TestWhatIsCoded(t *testing.T) {
	for name, tt := range codedOrNot() {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("Content-Type", tt.contentType)
				field, value, _ := strings.Cut(tt.extra, ": ")
				if field != "" {
					w.Header().Set(field, value)
				}
				w.Header().Set("Content-Length", strconv.Itoa(tt.size))
				if field == "Status" {
					w.WriteHeader(http.StatusNotFound)
				}
				io.WriteString(w, prose(tt.size))
			}, coding(tt.route))
			registry := prometheus.NewRegistry()
			r.start(t, "ams-1", into(registry))
			fields := []string{"Accept-Encoding", tt.accept}
			if tt.accept == "" {
				fields = nil
			}
			for range 2 {
				a := r.get(t, r.addr("ams-1"), "/a", fields...)
				if got := a.Header.Values("Content-Encoding"); strings.Join(got, "|") != tt.want {
					t.Errorf("Content-Encoding %q, want %q; %v", got, tt.want, a.Header)
				}
				if strings.HasPrefix(tt.extra, "Content-Encoding") {
					a.Header.Del("Content-Encoding") // the origin did not really
				}
				if plainOf(t, a) != prose(tt.size) {
					t.Errorf("%d octets that are not the text's %d", len(a.body), tt.size)
				}
			}
			if n := metric(t, registry, "nearcast_edge_store_objects"); (n == 0) != strings.HasSuffix(tt.extra, "no-store") {
				t.Errorf("%v things are stored", n)
			}
		})
	}
}

// TestRangesOfAVariant: they count octets of the coded form, and If-Range with the tag of one variant never
// brings octets of another (RFC 9110 section 13.1.5).
func TestRangesOfAVariant(t *testing.T) {
	text := prose(50000)
	r := newRig(t, page(text), coding(cdn.Compress{}))
	node := r.start(t, "ams-1")
	addr := r.addr("ams-1")
	coded := r.get(t, addr, "/a", "Accept-Encoding", "gzip").body
	total := "/" + strconv.Itoa(len(coded))
	for name, tt := range map[string]struct {
		accept, field, ifRange string
		status                 int
		body, contentRange     string
	}{
		"first":             {"gzip", "bytes=5-14", "", 206, coded[5:15], "bytes 5-14" + total},
		"last":              {"gzip", "bytes=-7", "", 206, coded[len(coded)-7:], ""},
		"own tag":           {"gzip", "bytes=5-14", `"1~gzip.1"`, 206, coded[5:15], "bytes 5-14" + total},
		"the identity's":    {"gzip", "bytes=5-14", `"1"`, 200, coded, ""},
		"behind the end":    {"gzip", "bytes=" + strconv.Itoa(len(coded)) + "-", "", 416, "", "bytes *" + total},
		"of the identity":   {"identity", "bytes=5-14", `"1"`, 206, text[5:15], "bytes 5-14/50000"},
		"not its tag":       {"identity", "bytes=5-14", `"1~gzip.1"`, 200, text, ""},
		"not made yet":      {"br", "bytes=5-14", "", 206, text[5:15], "bytes 5-14/50000"},
		"of an unmade kind": {"br", "bytes=5-14", `"1~br.1"`, 200, text, ""},
	} {
		t.Run(name, func(t *testing.T) {
			fields := []string{"Accept-Encoding", tt.accept, "Range", tt.field, "If-Range", tt.ifRange}
			if tt.ifRange == "" {
				fields = fields[:4]
			}
			a := r.get(t, addr, "/a", fields...)
			if a.StatusCode != tt.status || a.body != tt.body || tt.contentRange != "" && a.Header.Get("Content-Range") != tt.contentRange {
				t.Errorf("%s, %d octets, Content-Range %q; %v", a.Status, len(a.body), a.Header.Get("Content-Range"), a.Header)
			}
			tag := `"1"`
			if a.Header.Get("Content-Encoding") != "" {
				tag = `"1~gzip.1"`
			}
			if tt.status != 416 && a.Header.Get("Etag") != tag {
				t.Errorf("Etag %s with Content-Encoding %q", a.Header.Get("Etag"), a.Header.Get("Content-Encoding"))
			}
		})
	}
	// A node that has nothing must not make octets of the identity of the rest of a coded download.
	node.PurgeAll(0)
	a := r.get(t, addr, "/a", "Accept-Encoding", "gzip", "Range", "bytes=100-", "If-Range", `"1~gzip.1"`)
	if a.StatusCode == http.StatusPartialContent && a.body != coded[100:] || plainOf(t, a) != text && a.StatusCode == http.StatusOK {
		t.Errorf("after a purge: %s with %d octets, %v", a.Status, len(a.body), a.Header)
	}
}

// TestReadersOfAllCodingsWhileTheOriginSends: one fetch feeds the readers of every coding, each made once.
func TestReadersOfAllCodingsWhileTheOriginSends(t *testing.T) {
	for name, length := range map[string]bool{"length": true, "no length": false} {
		t.Run(name, func(t *testing.T) {
			text, half, rest := prose(600_000), make(chan struct{}), make(chan struct{})
			r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("Content-Type", "text/plain")
				if length {
					w.Header().Set("Content-Length", strconv.Itoa(len(text)))
				}
				io.WriteString(w, text[:len(text)/2])
				w.(http.Flusher).Flush()
				close(half)
				<-rest
				io.WriteString(w, text[len(text)/2:])
			}, coding(cdn.Compress{}))
			registry := prometheus.NewRegistry()
			r.start(t, "ams-1", into(registry))
			var readers sync.WaitGroup
			read := func(c string) {
				a := r.get(t, r.addr("ams-1"), "/a", "Accept-Encoding", c)
				if a.err != nil || plainOf(t, a) != text || a.Header.Get("Content-Encoding") != strings.TrimPrefix(c, "identity") {
					t.Errorf("%s: %v, %d octets, %v", c, a.err, len(a.body), a.Header)
				}
			}
			readers.Go(func() { read("gzip") })
			<-half
			for range 5 {
				for _, c := range []string{"gzip", "br", "zstd", "identity"} {
					readers.Go(func() { read(c) })
				}
			}
			eventually(t, "all are reading", func() bool { return metric(t, registry, "nearcast_edge_fill_readers") >= 21 })
			close(rest)
			readers.Wait()
			if n, made := r.origin.requests("/a"), metric(t, registry, "nearcast_edge_variants_coded_total"); n != 1 || made != 3 {
				t.Errorf("%d origin requests, coded %v times; want 1 and 3", n, made)
			}
		})
	}
}

// TestCodedBodyOfADyingOrigin: when the origin dies half-way no reader can take the coded body for complete, and
// nothing of it is used again.
func TestCodedBodyOfADyingOrigin(t *testing.T) {
	for _, c := range []string{"gzip", "br", "zstd"} {
		for name, length := range map[string]bool{"length": true, "no length": false} {
			t.Run(c+" "+name, func(t *testing.T) {
				text := prose(400_000)
				var again atomic.Bool
				r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Cache-Control", "max-age=60")
					w.Header().Set("Content-Type", "text/plain")
					if length {
						w.Header().Set("Content-Length", strconv.Itoa(len(text)))
					}
					if again.Load() {
						io.WriteString(w, text)
						return
					}
					io.WriteString(w, text[:200_000])
					w.(http.Flusher).Flush()
					panic(http.ErrAbortHandler)
				}, coding(cdn.Compress{}))
				r.start(t, "ams-1")
				if _, body, err := r.tryGet(t, r.addr("ams-1"), "/a", "Accept-Encoding", c); err == nil { // maybe before the head
					t.Errorf("%d octets came to a clean end", len(body))
				}
				again.Store(true)
				for _, word := range []string{"MISS", "HIT"} {
					if a := r.get(t, r.addr("ams-1"), "/a", "Accept-Encoding", c); a.word() != word || a.err != nil || plainOf(t, a) != text {
						t.Errorf("afterwards: %s, %v", a.word(), a.err)
					}
				}
			})
		}
	}
}

// TestGzipForAVisitorWithout: an origin that codes whatever it is asked for is undone for those who
// cannot decode, and left alone for all others.
func TestGzipForAVisitorWithout(t *testing.T) {
	text := prose(30000)
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "max-age=60")
		h.Set("Content-Type", "text/plain")
		h.Set("Content-Encoding", "gzip")
		h.Set("Etag", `"z"`)
		io.WriteString(w, gzipped(text))
	}, coding(cdn.Compress{}))
	r.start(t, "ams-1")
	for i, tt := range []struct{ accept, coding, etag string }{
		{"identity", "", ""},
		{"br", "", ""},
		{"gzip", "gzip", `"z"`},
		{"br, x-gzip", "gzip", `"z"`},
		{"gzip;q=0", "", ""},
	} {
		a := r.get(t, r.addr("ams-1"), "/a", "Accept-Encoding", tt.accept)
		if a.err != nil || plainOf(t, a) != text || a.Header.Get("Content-Encoding") != tt.coding {
			t.Errorf("%s: %v, %d octets, %v", tt.accept, a.err, len(a.body), a.Header)
		}
		etag, hit := a.Header.Get("Etag"), a.word() == "HIT"
		if etag != tt.etag || hit != (i > 0) || tt.coding == "" && a.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: %s, Etag %s, want %s; Vary %q", tt.accept, a.word(), etag, tt.etag, a.Header.Get("Vary"))
		}
	}
}

// TestDecompressionBomb: a body that decodes to a thousand times its size is cut long before its end.
func TestDecompressionBomb(t *testing.T) {
	bomb := gzipped(strings.Repeat("\x00", 32*mib))
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Content-Encoding", "gzip")
		io.WriteString(w, bomb)
	}, coding(cdn.Compress{}))
	registry := prometheus.NewRegistry()
	r.start(t, "ams-1", into(registry))
	a := r.get(t, r.addr("ams-1"), "/a", "Accept-Encoding", "identity")
	if limit := 100 * len(bomb); a.err == nil || len(a.body) > limit {
		t.Errorf("%d octets of a bomb of %d, at most %d wanted; %v", len(a.body), len(bomb), limit, a.err)
	}
	if n := metric(t, registry, "nearcast_edge_decoding_refused_total"); n != 1 {
		t.Errorf("counted %v", n)
	}
	if a := r.get(t, r.addr("ams-1"), "/a", "Accept-Encoding", "gzip"); a.body != bomb || a.err != nil {
		t.Errorf("for a visitor who decodes it: %d octets, %v", len(a.body), a.err)
	}
}

// TestVariantGoesWithItsContent: it outlives a validation of its content, but no change and no purge.
func TestVariantGoesWithItsContent(t *testing.T) {
	var version atomic.Int64
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		v := strconv.FormatInt(version.Load(), 10)
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Etag", `"`+v+`"`)
		http.ServeContent(w, req, "", time.Time{}, strings.NewReader(v+prose(5000)))
	}, coding(cdn.Compress{}))
	registry := prometheus.NewRegistry()
	node := r.start(t, "ams-1", into(registry))
	for _, tt := range []struct {
		what, word string
		do         func()
		coded      float64 // so far
	}{
		{"nothing", "MISS", func() {}, 1},
		{"expiry", "REVALIDATED", func() { r.clock.advance(61 * time.Second) }, 1},
		{"change", "MISS", func() { version.Add(1); r.clock.advance(61 * time.Second) }, 2},
		{"purge", "MISS", func() { node.Purge(cdn.Purge{Revision: 1, Targets: []cdn.Target{target("/a")}}) }, 3},
		{"nothing", "HIT", func() {}, 3},
	} {
		tt.do()
		a := r.get(t, r.addr("ams-1"), "/a", "Accept-Encoding", "gzip")
		v := strconv.FormatInt(version.Load(), 10)
		if a.word() != tt.word || plainOf(t, a) != v+prose(5000) || a.Header.Get("Etag") != `"`+v+`~gzip.1"` {
			t.Errorf("after %s: %s, Etag %s", tt.what, a.word(), a.Header.Get("Etag"))
		}
		if n := metric(t, registry, "nearcast_edge_variants_coded_total"); n != tt.coded {
			t.Errorf("after %s: coded %v times, want %v", tt.what, n, tt.coded)
		}
	}
}

// TestLargeContentIsCoded: one that is stored in slices, some of which are there already, alone and through
// both tiers, of which only the one that faces the visitor codes.
func TestLargeContentIsCoded(t *testing.T) {
	text := prose(3*mib + 12345)
	for _, node := range []string{"ams-1", "fra-1"} {
		t.Run(node, func(t *testing.T) {
			r := newRig(t, page(text), coding(cdn.Compress{}))
			behind, front := prometheus.NewRegistry(), prometheus.NewRegistry()
			if node == "fra-1" {
				r.start(t, "ams-1", into(behind))
			}
			s := r.start(t, node, into(front), func(cfg *edge.Config) {
				cfg.Usable = func(n cdn.NodeName) bool { return n == "ams-1" }
			})
			addr := r.addr(node)
			if a := r.get(t, addr, "/a", "Accept-Encoding", "identity", "Range", "bytes=1500000-1500009"); a.body != text[1500000:1500010] {
				t.Errorf("a range at first: %s, %d octets", a.Status, len(a.body))
			}
			first := r.get(t, addr, "/a", "Accept-Encoding", "gzip")
			if first.err != nil || first.Header.Get("Content-Encoding") != "gzip" || plainOf(t, first) != text {
				t.Fatalf("%s, %d octets, %v, %v", first.Status, len(first.body), first.err, first.Header)
			}
			a := r.get(t, addr, "/a", "Accept-Encoding", "gzip", "Range", "bytes=1000-50000", "If-Range", first.Header.Get("Etag"))
			if a.StatusCode != http.StatusPartialContent || a.body != first.body[1000:50001] {
				t.Errorf("a range of the variant: %s, %d octets", a.Status, len(a.body))
			}
			if a := r.get(t, addr, "/a", "Accept-Encoding", "identity"); a.body != text {
				t.Errorf("the content itself: %s, %d octets", a.Status, len(a.body))
			}
			s.PurgeAll(0)
			if a := r.get(t, addr, "/a", "Accept-Encoding", "gzip"); a.err != nil || a.body != first.body {
				t.Errorf("made anew, it is another: %d and %d octets, %v", len(a.body), len(first.body), a.err)
			}
			if n := metric(t, front, "nearcast_edge_variants_coded_total"); n != 2 {
				t.Errorf("coded %v times by the node", n)
			}
			if node == "fra-1" && metric(t, behind, "nearcast_edge_variants_coded_total") != 0 {
				t.Error("coded behind the node that faces the visitor")
			}
		})
	}
}
