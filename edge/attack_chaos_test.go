package edge_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/edge"
	"nearcast/edge/httpcache"
)

// chaos is an origin that has several versions of a content, and answers each request in some way, right or wrong.
type chaos struct {
	versions [][]byte
	tagged   bool

	current  atomic.Int64
	requests atomic.Int64
	good     atomic.Int64 // answers that were right and whole

	mu  sync.Mutex // guards rng
	rng *rand.Rand
}

func newChaos(seed uint64, tagged bool) *chaos {
	o := &chaos{tagged: tagged, rng: rand.New(rand.NewPCG(seed, 1))}
	for i := range 4 {
		o.versions = append(o.versions, content(mib+mib/2+i/2*100_000, seed*10+uint64(i)))
	}
	return o
}

func (o *chaos) dice(n int) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.rng.IntN(n)
}

// ServeHTTP lies about nothing but lengths that it does not keep: where it puts octets, there they belong.
func (o *chaos) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	o.requests.Add(1)
	if o.dice(12) == 0 {
		o.current.Store(int64(o.dice(len(o.versions))))
	}
	n := o.current.Load()
	body := o.versions[n]
	h := w.Header()
	h.Set("Cache-Control", "max-age=5, stale-while-revalidate=5")
	h.Set("Content-Type", "text/plain")
	if o.tagged {
		h.Set("Etag", fmt.Sprintf(`"%d"`, n))
	}
	way := o.dice(14)
	if way < 3 {
		h.Set("Cache-Control", "no-store") // or it would be kept, as it should be
	}
	switch way {
	case 0:
		w.WriteHeader(http.StatusNotModified)
	case 1:
		h.Set("Content-Range", fmt.Sprintf("bytes */%d", len(body)))
		w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
	case 2:
		w.WriteHeader(http.StatusServiceUnavailable)
	case 3:
		panic(http.ErrAbortHandler)
	case 4: // a part that nobody may have asked for
		o.part(w, body, o.dice(len(body)-1))
	case 5: // the condition is not looked at
		req.Header.Del("If-Range")
		http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(body))
	case 6, 7: // it dies on the way
		http.ServeContent(&dyingWriter{w, o.dice(len(body))}, req, "", time.Time{}, bytes.NewReader(body))
	case 8: // ranges are not known
		req.Header.Del("Range")
		http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(body))
	default:
		http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(body))
	}
}

func (o *chaos) part(w http.ResponseWriter, body []byte, from int) {
	to := min(from+1+o.dice(len(body)), len(body))
	w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, len(body)))
	w.Header().Set("Content-Length", strconv.Itoa(to-from))
	w.WriteHeader(http.StatusPartialContent)
	w.Write(body[from:to])
}

// dyingWriter ends the connection after so many octets.
type dyingWriter struct {
	http.ResponseWriter
	left int
}

func (d *dyingWriter) Write(p []byte) (int, error) {
	if len(p) > d.left {
		d.ResponseWriter.Write(p[:d.left])
		panic(http.ErrAbortHandler)
	}
	d.left -= len(p)
	return d.ResponseWriter.Write(p)
}

// explains reports whether what a visitor has got is of one version, and in its place.
func (o *chaos) explains(a answer) bool {
	for i, v := range o.versions {
		if tag := a.Header.Get("Etag"); tag != "" && tag != fmt.Sprintf(`"%d"`, i) && !strings.HasPrefix(tag, fmt.Sprintf(`"%d~gzip`, i)) {
			continue
		}
		switch a.StatusCode {
		case http.StatusOK:
			if body, err := decoded(a); err == nil && body == string(v) {
				return true
			}
		case http.StatusPartialContent:
			if a.Header.Get("Content-Encoding") != "" {
				return true // only the whole of it could be looked into
			}
			part, size, ok := httpcache.ParseContentRange(a.Header.Get("Content-Range"))
			if ok && (size == int64(len(v)) || size < 0) && part.End() <= int64(len(v)) && a.body == string(v[part.Start:part.End()]) {
				return true
			}
		}
	}
	return false
}

// decoded is the body without its content coding.
func decoded(a answer) (string, error) {
	if a.Header.Get("Content-Encoding") == "" {
		return a.body, nil
	}
	in, err := gzip.NewReader(strings.NewReader(a.body))
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(in)
	return string(b), err
}

// TestAttackChaos: whatever an origin does, however its content changes, and whatever is purged meanwhile: each
// visitor gets octets of one version in their places, or a failure, or a body that is visibly not whole; and the origin is asked
// only so often.
func TestAttackChaos(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			o := newChaos(seed, seed%2 == 0)
			r := newRig(t, o.ServeHTTP, coding(cdn.Compress{}))
			var node *edge.Server
			addr := ""
			if seed < 2 {
				node, addr = r.start(t, "ams-1"), r.addr("ams-1")
			} else {
				node, _ = r.chain(t)
				addr = r.addr("fra-1")
			}
			const visitors, each = 6, 25
			var wg sync.WaitGroup
			for i := range uint64(visitors) {
				wg.Go(func() {
					rng := rand.New(rand.NewPCG(seed, i+100))
					for range each {
						r.chaoticVisit(t, addr, o, node, rng)
					}
				})
			}
			wg.Wait()
			if n, good := o.requests.Load(), o.good.Load(); n > visitors*each*8 || good < visitors*each/4 {
				t.Errorf("%d requests for %d visitors, of whom %d were served", n, visitors*each, good)
			}
		})
	}
}

func (r *rig) chaoticVisit(t *testing.T, addr string, o *chaos, node *edge.Server, rng *rand.Rand) {
	t.Helper()
	switch rng.IntN(12) {
	case 0:
		r.clock.advance(time.Duration(rng.IntN(12)) * time.Second)
	case 1:
		node.Purge(cdn.Purge{Targets: []cdn.Target{target("/a")}})
	}
	field, length := "", len(o.versions[0])
	switch from := rng.IntN(length); rng.IntN(5) {
	case 0:
		field = fmt.Sprintf("bytes=%d-%d", from, from+rng.IntN(length))
	case 1:
		field = fmt.Sprintf("bytes=%d-", from)
	case 2:
		field = fmt.Sprintf("bytes=-%d", 1+rng.IntN(length))
	case 3:
		field = fmt.Sprintf("bytes=%d-%d", from, from+rng.IntN(100))
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/a", http.NoBody)
	if err != nil {
		t.Error(err)
		return
	}
	req.Host = domain
	if field != "" {
		req.Header.Set("Range", field)
	}
	if rng.IntN(2) == 0 {
		req.Header.Set("Accept-Encoding", "gzip")
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return // broken off
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	a := answer{resp, string(body), err}
	switch {
	case err != nil, a.StatusCode >= 400:
	case o.explains(a):
		o.good.Add(1)
	default:
		t.Errorf("Range %q: %s, %d octets, Content-Range %q, Etag %s, %s, are of no version", field, a.Status, len(a.body),
			strings.Join(a.Header["Content-Range"], "|"), a.Header.Get("Etag"), a.status())
	}
}
