package edge_test

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"nearcast/cdn"
	"nearcast/edge"
)

// mortal is an edge.Origin that can die. After so many vain requests it calls enough.
type mortal struct {
	edge.Origin
	dead  *atomic.Bool
	tries *atomic.Int64
	limit int64
	over  func()
}

func (m mortal) Fetch(ctx context.Context, o *cdn.Origin, req *http.Request) (*http.Response, error) {
	if !m.dead.Load() {
		return m.Origin.Fetch(ctx, o, req)
	}
	if m.tries.Add(1) == m.limit {
		m.over()
	}
	return nil, cdn.Errorf(cdn.Unavailable, "", "the origin is dead")
}

// TestAttackDeadOriginOfPartlyStoredContent: a visitor has had one octet of a large content stored; then the origin
// dies. Who asks for the whole costs a few vain requests, and gets a failure rather than an endless search.
func TestAttackDeadOriginOfPartlyStoredContent(t *testing.T) {
	for name, tt := range map[string]struct {
		stale bool
		query string
	}{
		"fresh": {false, "bytes=0-1500000"},
		"stale": {true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			source := &rangeOrigin{body: content(2*mib, 1), etag: `"v1"`}
			r := newRig(t, source.ServeHTTP)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			m := mortal{dead: new(atomic.Bool), tries: new(atomic.Int64), limit: 200, over: cancel}
			_, addr := r.startAlone(t, func(cfg *edge.Config) {
				m.Origin = cfg.Origin
				cfg.Origin = m
			})
			r.get(t, addr, "/film", "Range", "bytes=0-0")
			if tt.stale {
				r.clock.advance(61e9)
			}
			m.dead.Store(true)
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/film", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = domain
			if tt.query != "" {
				req.Header.Set("Range", tt.query)
			}
			status := 0
			if resp, err := r.client.Do(req); err == nil {
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				status = resp.StatusCode
			}
			if n := m.tries.Load(); n > 8 || status < 500 {
				t.Errorf("%d requests to a dead origin for one visitor, who got status %d; want at most 8, and a failure", n, status)
			}
		})
	}
}
