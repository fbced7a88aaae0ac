package edge_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/edge"
)

// contradictory is an origin of a content of 100 octets that says of parts that they go to the end, and then sends
// the first half only. The rest of an answer to a Range waits for release.
func contradictory(whole []byte, release <-chan struct{}) func(io.Writer, *http.Request) {
	const common = "Cache-Control: max-age=60\r\nETag: \"1\"\r\nAccept-Ranges: bytes\r\n"
	return func(w io.Writer, req *http.Request) {
		switch {
		case req.Header.Get("If-None-Match") != "":
			<-release
			io.WriteString(w, "HTTP/1.1 304 Not Modified\r\n"+common+"\r\n")
		case req.Header.Get("Range") == "bytes=0-99":
			io.WriteString(w, "HTTP/1.1 206 Partial Content\r\n"+common+"Content-Range: bytes 0-99/100\r\nContent-Length: 50\r\n\r\n")
			w.Write(whole[:10])
			<-release
			w.Write(whole[10:50])
		default:
			fmt.Fprintf(w, "HTTP/1.1 200 OK\r\n"+common+"Content-Length: %d\r\n\r\n%s", len(whole), whole)
		}
	}
}

// TestAttackDoubtfulLength: where the end of a content is in doubt, nobody who wants the whole gets what there is as if
// it were all, neither while it comes nor by validating it.
func TestAttackDoubtfulLength(t *testing.T) {
	whole := bytes.Repeat([]byte("0123456789"), 10)
	check := func(t *testing.T, r *rig, addr string) {
		t.Helper()
		if status, body, err := r.tryGet(t, addr, "/a"); err == nil && (status != http.StatusOK || body != string(whole)) {
			t.Errorf("a visitor who wants the whole gets %d and %d of %d octets, without an error", status, len(body), len(whole))
		}
	}
	t.Run("while it comes", func(t *testing.T) {
		release := make(chan struct{})
		v := newVillain(t, contradictory(whole, release))
		r := newRig(t, cacheable)
		registry := prometheus.NewRegistry()
		_, addr := r.startBefore(t, v, "", into(registry))
		var visitors sync.WaitGroup
		visitors.Go(func() { r.tryGet(t, addr, "/a", "Range", "bytes=0-99") })
		eventually(t, "a part is on its way", func() bool { return metric(t, registry, "nearcast_edge_store_objects") >= 1 })
		visitors.Go(func() { check(t, r, addr) })
		eventually(t, "both are served", func() bool {
			n, _ := v.asked()
			return n >= 2 || metric(t, registry, "nearcast_edge_fill_readers") >= 2
		})
		close(release)
		visitors.Wait()
	})
	t.Run("by validation", func(t *testing.T) {
		release := make(chan struct{}, 2)
		release <- struct{}{}
		v := newVillain(t, contradictory(whole, release))
		r := newRig(t, cacheable)
		registry := prometheus.NewRegistry()
		_, addr := r.startBefore(t, v, "", into(registry))
		r.tryGet(t, addr, "/a", "Range", "bytes=0-99")
		r.clock.advance(2 * time.Minute)
		var visitors sync.WaitGroup
		visitors.Go(func() { r.tryGet(t, addr, "/a", "Range", "bytes=0-9") })
		eventually(t, "a validation is on its way", func() bool { n, _ := v.asked(); return n == 2 })
		visitors.Go(func() { check(t, r, addr) })
		eventually(t, "both are served", func() bool {
			n, _ := v.asked()
			return n >= 3 || metric(t, registry, "nearcast_edge_fill_readers") >= 2
		})
		close(release)
		visitors.Wait()
	})
}

// TestAttackSeveralRangesOfAChangingContent: an origin whose content is another at every request, by its tag or without
// one, never makes a node put together what does not belong together, nor ask for ever.
func TestAttackSeveralRangesOfAChangingContent(t *testing.T) {
	for name, tag := range map[string]string{"another tag": `"%d"`, "weak tags": `W/"%d"`, "no tag": ""} {
		t.Run(name, func(t *testing.T) {
			var version atomic.Int64
			r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
				n := version.Add(1)
				w.Header().Set("Cache-Control", "max-age=60")
				if tag != "" {
					w.Header().Set("Etag", fmt.Sprintf(tag, n))
				}
				http.ServeContent(w, req, "", time.Time{}, strings.NewReader(strings.Repeat(string(rune('a'+n%26)), 3*mib)))
			})
			_, addr := r.startAlone(t)
			for _, field := range []string{"bytes=0-0", "bytes=0-0,2000000-2000009", "", "bytes=-10", "bytes=5-5, 1048570-1048580,3000000-", "bytes=9-2500000", ""} {
				before := version.Load()
				var fields []string
				if field != "" {
					fields = []string{"Range", field}
				}
				status, body, err := r.tryGet(t, addr, "/a", fields...)
				if n := version.Load() - before; n > 8 {
					t.Errorf("%q: %d requests for one visitor", field, n)
				}
				if err != nil || status == http.StatusPartialContent && strings.Contains(field, ",") {
					continue // broken off, or in a form that has letters of its own
				}
				if body == "" || strings.Trim(body, body[:1]) != "" {
					t.Errorf("%q: status %d, the octets are of different contents", field, status)
				}
			}
		})
	}
}

// endless is an edge.Origin whose bodies have no end. It counts what is taken of them.
type endless struct{ taken *atomic.Int64 }

func (e endless) Fetch(ctx context.Context, _ *cdn.Origin, req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Request: req, ContentLength: -1,
		Header: http.Header{"Cache-Control": {"no-store"}}, Body: io.NopCloser(endlessBody{ctx, e.taken}),
	}, nil
}

type endlessBody struct {
	ctx   context.Context //nolint:containedctx // of the request
	taken *atomic.Int64
}

func (b endlessBody) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	b.taken.Add(int64(len(p)))
	return len(p), nil
}

// TestAttackStalledVisitors: visitors who take nothing of large answers do not make a node hold more than its budget.
func TestAttackStalledVisitors(t *testing.T) {
	const visitors, budget = 24, 16 * mib
	taken := new(atomic.Int64)
	r := newRig(t, cacheable)
	_, addr := r.startAlone(t, func(cfg *edge.Config) { cfg.RAM, cfg.Origin = budget, endless{taken} })
	for i := range visitors {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		fmt.Fprintf(conn, "GET /large/%d HTTP/1.1\r\nHost: %s\r\n\r\n", i, domain)
	}
	last, same := int64(-1), 0
	eventually(t, "nothing is taken any more", func() bool {
		now := taken.Load()
		if same++; now != last {
			last, same = now, 0
		}
		return same == 40 && last > 0
	})
	const sent = visitors * 4 * mib // what the kernel may have taken for each (tcp_wmem)
	if held := last - sent; held > budget*3/2 {
		t.Errorf("%d stalled visitors make a node with %d MiB hold about %d MiB", visitors, budget/mib, held/mib)
	}
}
