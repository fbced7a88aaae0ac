package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// webOrigin is the origin: a web server of this process. A GET yields the URL's content in its present version, a POST makes a new
// version. Each response names its content (X-Content) and tells when it was made (X-Made, in milliseconds since 1970).
type webOrigin struct {
	addr   string
	server *http.Server
	ended  chan struct{}

	gets   atomic.Int64
	octets atomic.Int64 // of contents sent

	mu       sync.Mutex // guards versions
	versions map[string]int64
}

func startOrigin(ctx context.Context) (*webOrigin, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting the origin: %w", err)
	}
	o := &webOrigin{addr: l.Addr().String(), ended: make(chan struct{}), versions: make(map[string]int64)}
	o.server = &http.Server{Handler: o, ReadHeaderTimeout: time.Minute}
	go func() {
		defer close(o.ended)
		if err := o.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			l.Close() //nolint:errcheck // nobody is served any more: the judge will say so
		}
	}()
	return o, nil
}

func (o *webOrigin) stop() {
	o.server.Close() //nolint:errcheck // all clients are edges that are to stop too
	<-o.ended
}

// version is the present one of a path.
func (o *webOrigin) version(path string) int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return 1 + o.versions[path]
}

// change makes a new version and returns it.
func (o *webOrigin) change(path string) int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.versions[path]++
	return 1 + o.versions[path]
}

// ServeHTTP implements [http.Handler].
func (o *webOrigin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return // who asked has gone
	}
	kind, _ := strconv.Atoi(r.Header.Get(kindField)) // none is 0
	var version int64
	if r.Method == http.MethodPost {
		version = o.change(r.URL.Path)
	} else {
		version = o.version(r.URL.Path)
	}
	f, err := newContent(r.URL.Path, kind, version)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set(nameField, f.name())
	if r.Method == http.MethodPost {
		h.Set("Cache-Control", "no-store")
		io.WriteString(w, "changed\n") //nolint:errcheck // who asked has gone
		return
	}
	o.gets.Add(1)
	h.Set("Cache-Control", fmt.Sprintf("public, max-age=%d", f.class.maxAge))
	h.Set("Content-Type", "application/octet-stream")
	h.Set(madeField, strconv.FormatInt(time.Now().UnixMilli(), 10))
	if f.class.tagged {
		h.Set("Etag", f.tag())
	}
	if f.class.kinds > 0 {
		h.Set("Vary", kindField)
	}
	var modified time.Time
	if f.class.dated {
		modified = time.Unix(1<<30+f.version, 0)
	}
	if f.size == 0 {
		r.Header.Del("Range") // ServeContent would answer with octets 0 to -1
	}
	http.ServeContent(&counting{w, &o.octets}, r, "", modified, &reader{content: f})
}

// The fields by which origin, visitors and judge understand each other.
const (
	kindField = "X-Kind"
	nameField = "X-Content"
	madeField = "X-Made"
)

// counting counts the octets of contents.
type counting struct {
	http.ResponseWriter
	octets *atomic.Int64
}

func (c *counting) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.octets.Add(int64(n))
	return n, err
}
