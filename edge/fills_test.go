package edge_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
)

func TestThousandFirstRequests(t *testing.T) {
	object := bytes.Repeat([]byte("0123456789abcdef"), 1<<12) // 64 KiB
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Length", strconv.Itoa(len(object)))
		w.Write(object[:1000])
		http.NewResponseController(w).Flush()
		w.Write(object[1000:])
	})
	r.chain(t)
	var readers sync.WaitGroup
	for range 1000 {
		readers.Go(func() {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.addr("fra-1")+"/big", http.NoBody)
			if err != nil {
				t.Error(err)
				return
			}
			req.Host = domain
			resp, err := r.client.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if body, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(body, object) {
				t.Errorf("%d octets, %v", len(body), err)
			}
		})
	}
	readers.Wait()
	if n := r.origin.requests("/big"); n != 1 {
		t.Errorf("%d origin requests, want exactly 1", n)
	}
}

func TestOriginThatDiesInTheMiddle(t *testing.T) {
	for _, framing := range []string{"length", "chunked"} {
		t.Run(framing, func(t *testing.T) {
			r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				if framing == "length" {
					w.Header().Set("Content-Length", "1000")
				}
				w.Write(bytes.Repeat([]byte("x"), 500))
				http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			})
			r.chain(t)
			for range 2 {
				// Until the end of the connection: the error may come before or after the head.
				all := raw(t, r.addr("fra-1"), "GET /a HTTP/1.1\r\nHost: "+domain+"\r\n\r\n")
				if strings.Contains(all, "X-Cache: HIT") || strings.HasSuffix(all, "\r\n0\r\n\r\n") || strings.Count(all, "x") >= 1000 {
					t.Errorf("a response that looks complete:\n%s", all)
				}
			}
			if n := r.origin.requests("/a"); n < 2 {
				t.Errorf("%d origin requests: the truncated body was stored", n)
			}
		})
	}
}

func TestReaderThatLeavesHarmsNobody(t *testing.T) {
	first, rest := make(chan struct{}), make(chan struct{})
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Length", "10")
		io.WriteString(w, "01234")
		http.NewResponseController(w).Flush()
		close(first)
		<-rest
		io.WriteString(w, "56789")
	})
	_, addr := r.startAlone(t)
	leaver, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(leaver, "GET /a HTTP/1.1\r\nHost: %s\r\n\r\n", domain)
	<-first
	if line, err := bufio.NewReader(leaver).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Fatalf("%q, %v: want the head before the body is complete", line, err)
	}
	leaver.Close()
	close(rest)
	if a := r.get(t, addr, "/a"); a.body != "0123456789" || a.err != nil {
		t.Errorf("the next reader got %q, %v", a.body, a.err)
	}
	if n := r.origin.requests("/a"); n != 1 {
		t.Errorf("%d origin requests, want 1", n)
	}
}

func TestUnknownLengthAndTooLarge(t *testing.T) {
	large := bytes.Repeat([]byte("l"), 9<<20) // more than an eighth of the store
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		if req.URL.Path == "/small" {
			io.WriteString(w, "small")
			http.NewResponseController(w).Flush() // no Content-Length
			return
		}
		if req.URL.Path == "/known" {
			w.Header().Set("Content-Length", strconv.Itoa(len(large)))
		}
		w.Write(large)
	})
	_, addr := r.startAlone(t)
	for path, want := range map[string]struct {
		size int
		word string
	}{"/small": {5, "HIT"}, "/known": {len(large), "MISS"}, "/unknown": {len(large), "MISS"}} {
		first := r.get(t, addr, path)
		if tooLarge := strings.Contains(first.status(), `detail="too large"`); tooLarge != (path == "/known") {
			t.Errorf("%s: Cache-Status %q", path, first.status())
		}
		if a := r.get(t, addr, path); len(a.body) != want.size || a.word() != want.word || a.err != nil {
			t.Errorf("%s: %d octets, %s, %v; want %d, %s", path, len(a.body), a.word(), a.err, want.size, want.word)
		}
	}
}
