package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// Origin is a web server in this process whose only work is to fill caches: /1k.bin, /16k.bin, /128k.bin, /1m.bin and
// /10m.bin, of random octets, each fresh for a day. It reads the content of a request to its end before it answers.
type Origin struct {
	// Addr is where it listens, host:port.
	Addr string

	server   *http.Server
	bodies   map[string][]byte
	requests atomic.Int64
	ended    chan struct{}
}

// StartOrigin starts an origin on a free port of 127.0.0.1.
func StartOrigin(ctx context.Context) (*Origin, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting the origin: %w", err)
	}
	o := &Origin{Addr: l.Addr().String(), ended: make(chan struct{}), bodies: map[string][]byte{
		"/1k.bin": body(1 << 10), "/16k.bin": body(16 << 10), "/128k.bin": body(128 << 10), "/1m.bin": body(1 << 20), "/10m.bin": body(10 << 20),
	}}
	o.server = &http.Server{Handler: o, ReadHeaderTimeout: time.Minute}
	go func() {
		defer close(o.ended)
		if err := o.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			l.Close() //nolint:errcheck // nobody is served any more: the measurements will say so
		}
	}()
	return o, nil
}

// body returns octets that do not compress, always the same.
func body(n int) []byte {
	chance := rand.NewChaCha8([32]byte{1})
	b := make([]byte, n)
	chance.Read(b) //nolint:errcheck // never fails
	return b
}

// ServeHTTP implements [http.Handler].
func (o *Origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.requests.Add(1)
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return // who asked has gone
	}
	b, ok := o.bodies[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.Header().Set("Cache-Control", "public, max-age=86400")
	w.Header().Set("ETag", `"`+strconv.Itoa(len(b))+`"`)
	w.Header().Set("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
	w.Write(b) //nolint:errcheck // the cache's to ask again
}

// Requests returns how many requests have come.
func (o *Origin) Requests() int64 { return o.requests.Load() }

// Stop ends the origin.
func (o *Origin) Stop() {
	o.server.Close() //nolint:errcheck // all clients are caches that are to stop too
	<-o.ended
}
