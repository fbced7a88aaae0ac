package edge_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// dying is an origin whose connection dies in the middle of the first body.
type dying struct {
	body     []byte
	ranges   bool // it serves ranges, with a validator
	length   bool // it says how long the body is
	changed  bool // what it serves after the death is of another version
	requests atomic.Int64
	half     chan struct{} // closed when half of the first body is out
	die      chan struct{} // closed to let it die
}

func (o *dying) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "max-age=60")
	if o.ranges {
		h.Set("Etag", `"v1"`)
		h.Set("Accept-Ranges", "bytes")
	}
	if o.requests.Add(1) > 1 {
		if o.changed {
			h.Set("Etag", `"v2"`)
		}
		http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(o.body))
		return
	}
	if o.length {
		h.Set("Content-Length", strconv.Itoa(len(o.body)))
	}
	w.Write(o.body[:len(o.body)/2])
	w.(http.Flusher).Flush()
	close(o.half)
	<-o.die
	panic(http.ErrAbortHandler)
}

// TestThousandReadersOfAFillThatDies: a thousand readers, some of them slow, some of which leave, share one
// fetch whose connection dies half-way. If the origin has ranges, nobody notices; if it has not, or has another content by
// then, everybody learns that the body is not whole; nobody gets a wrong octet.
func TestThousandReadersOfAFillThatDies(t *testing.T) {
	for _, tt := range []struct {
		name                           string
		ranges, length, changed, whole bool
	}{
		{"resumed", true, true, false, true},
		{"no ranges", false, true, false, false},
		{"no length", false, false, false, false},
		{"another version", true, true, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := &dying{
				body: content(3*mib+77, 9), ranges: tt.ranges, length: tt.length, changed: tt.changed,
				half: make(chan struct{}), die: make(chan struct{}),
			}
			r := newRig(t, o.ServeHTTP)
			_, addr := r.startAlone(t)
			r.client.Transport.(*http.Transport).MaxIdleConnsPerHost = 1
			readers := crowd{rig: r, addr: addr, body: o.body, reading: make(chan struct{}, 1000)}
			readers.start(t, 1000, o.half)
			for range 1000 {
				<-readers.reading
			}
			close(o.die)
			readers.wg.Wait()
			stayed := int64(1000 - 100)
			switch {
			case tt.whole && readers.whole.Load() != stayed:
				t.Errorf("%d of %d who stayed got the whole", readers.whole.Load(), stayed)
			case !tt.whole && readers.broken.Load() != stayed:
				t.Errorf("%d of %d who stayed were told that it broke off", readers.broken.Load(), stayed)
			}
			if n := o.requests.Load(); tt.whole && n > 4 {
				t.Errorf("%d requests to the origin", n)
			}
		})
	}
}

// TestNewcomerAmidASlice: who comes while the first slice of a large content is on its way, and its first reader far ahead,
// shares that fill: the slice is not stored yet.
func TestNewcomerAmidASlice(t *testing.T) {
	body := content(3*mib, 9)
	more := make(chan int)
	var requests atomic.Int64
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1) > 1 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		h := w.Header()
		h.Set("Cache-Control", "max-age=60")
		h.Set("Etag", `"v1"`)
		h.Set("Accept-Ranges", "bytes")
		h.Set("Content-Length", strconv.Itoa(len(body)))
		for rest := body; len(rest) > 0; {
			n, open := <-more
			if !open {
				return
			}
			w.Write(rest[:n])
			w.(http.Flusher).Flush()
			rest = rest[n:]
		}
	})
	defer close(more)
	_, addr := r.startAlone(t)
	get := func() io.ReadCloser {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/v", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		return resp.Body
	}
	const step = 400 << 10
	go func() { more <- step }()
	first := get()
	defer first.Close()
	got := make([]byte, 2*step)
	if _, err := io.ReadFull(first, got[:step]); err != nil {
		t.Fatal(err)
	}
	more <- step
	if _, err := io.ReadFull(first, got[step:]); err != nil {
		t.Fatal(err)
	}
	late := get()
	defer late.Close()
	if _, err := io.ReadFull(late, got); err != nil || !bytes.Equal(got, body[:2*step]) {
		t.Errorf("the newcomer got other octets, or %v", err)
	}
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests to the origin, want 1", n)
	}
}

// crowd is many readers of one URL.
type crowd struct {
	*rig
	addr          string
	body          []byte
	reading       chan struct{} // gets one for each reader that has its first octet
	wg            sync.WaitGroup
	whole, broken atomic.Int64
}

// start starts the readers: the first by itself, so that it starts the fill.
func (c *crowd) start(t *testing.T, n int, half <-chan struct{}) {
	t.Helper()
	for i := range n {
		c.wg.Go(func() { c.read(t, i) })
		if i == 0 {
			<-half
		}
	}
}

// read reads in the manner of reader i: every tenth leaves, every seventh takes small bites.
func (c *crowd) read(t *testing.T, i int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+c.addr+"/v", http.NoBody)
	if err != nil {
		t.Error(err)
		return
	}
	resp, err := c.client.Do(req)
	if err != nil {
		t.Errorf("reader %d: %v", i, err)
		c.reading <- struct{}{}
		return
	}
	defer resp.Body.Close()
	bite := make([]byte, 64<<10)
	if i%7 == 0 {
		bite = bite[:512]
	}
	got := 0
	for first := true; ; first = false {
		n, err := resp.Body.Read(bite)
		if got+n > len(c.body) || !bytes.Equal(bite[:n], c.body[got:got+n]) {
			t.Errorf("reader %d: wrong octets at %d", i, got)
			err = errors.New("wrong octets")
		}
		got += n
		if first {
			c.reading <- struct{}{}
		}
		switch {
		case i%10 == 9:
			return
		case err == io.EOF && got == len(c.body):
			c.whole.Add(1)
			return
		case err == io.EOF:
			t.Errorf("reader %d: a silent end after %d octets", i, got)
			return
		case err != nil:
			c.broken.Add(1)
			return
		}
	}
}
