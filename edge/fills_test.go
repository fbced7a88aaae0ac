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
	"time"

	"nearcast/cdn"
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

// TestPrivateAnswersAreNotShared: visitors that wait for the same key each get
// their own answer when it turns out to be personal.
func TestPrivateAnswersAreNotShared(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		once.Do(func() { close(arrived); <-release })
		w.Header().Set("Cache-Control", "private, max-age=60")
		io.WriteString(w, req.Header.Get("Cookie"))
	})
	_, addr := r.startAlone(t)
	var visitors sync.WaitGroup
	visit := func(i int) {
		cookie := fmt.Sprint("visitor=", i)
		if a := r.get(t, addr, "/account", "Cookie", cookie); a.body != cookie {
			t.Errorf("visitor %d got the page of %s", i, a.body)
		}
	}
	visitors.Go(func() { visit(0) })
	<-arrived
	for i := 1; i <= 20; i++ {
		visitors.Go(func() { visit(i) })
	}
	close(release)
	visitors.Wait()
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
		r.get(t, addr, path)
		if a := r.get(t, addr, path); len(a.body) != want.size || a.word() != want.word || a.err != nil {
			t.Errorf("%s: %d octets, %s, %v; want %d, %s", path, len(a.body), a.word(), a.err, want.size, want.word)
		}
	}
}

func TestFailingOrigin(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Cache-Control", "max-age=10")
		switch req.URL.Path {
		case "/strict":
			w.Header().Set("Cache-Control", "max-age=10, must-revalidate")
		case "/swr":
			w.Header().Set("Cache-Control", "max-age=10, stale-while-revalidate=60")
		}
		io.WriteString(w, "kept")
	})
	r.chain(t)
	for _, path := range []string{"/plain", "/strict", "/swr"} {
		r.get(t, r.addr("fra-1"), path)
	}
	r.clock.advance(20 * time.Second)

	if a := r.get(t, r.addr("fra-1"), "/swr"); a.word() != "STALE" || a.body != "kept" {
		t.Errorf("stale-while-revalidate: %s %q", a.word(), a.body)
	}
	eventually(t, "a refresh in the background", func() bool { return r.get(t, r.addr("fra-1"), "/swr").word() == "HIT" })

	r.origin.Close()
	if a := r.get(t, r.addr("fra-1"), "/plain"); a.StatusCode != http.StatusOK || a.body != "kept" {
		t.Errorf("disconnected (RFC 9111 section 4.2.4): %s %q", a.Status, a.body)
	}
	for _, path := range []string{"/strict", "/never-seen"} {
		if a := r.get(t, r.addr("fra-1"), path); a.StatusCode != http.StatusBadGateway || a.status() == "" {
			t.Errorf("%s: %s, Cache-Status %q; want 502", path, a.Status, a.status())
		}
	}
}

func TestPurge(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Vary", "Accept-Language")
		io.WriteString(w, "x")
	})
	l1, l2 := r.chain(t)
	for _, language := range []string{"de", "en"} {
		r.get(t, r.addr("fra-1"), "/a", "Accept-Language", language)
	}
	r.get(t, r.addr("fra-1"), "/b")
	purge := cdn.Purge{Revision: 1, Targets: []cdn.Target{{Scheme: "http", Domain: domain, Path: "/a"}}}
	for _, node := range l2 {
		node.Purge(purge)
	}
	l1.Purge(purge)
	for _, language := range []string{"de", "en"} {
		if a := r.get(t, r.addr("fra-1"), "/a", "Accept-Language", language); a.word() != "MISS" || strings.Contains(a.status(), "; hit") {
			t.Errorf("variant %s after the purge: %s", language, a.status())
		}
	}
	if a := r.get(t, r.addr("fra-1"), "/b"); a.word() != "HIT" {
		t.Errorf("another URL after the purge: %s", a.word())
	}
	l1.PurgeAll()
	if a := r.get(t, r.addr("fra-1"), "/b"); a.word() != "MISS" {
		t.Errorf("after a purge of everything: %s", a.word())
	}
}

// TestPurgeDuringAFill: what was under way when the purge was applied is delivered
// to those who wait for it, and never stored.
func TestPurgeDuringAFill(t *testing.T) {
	arrived, release := make(chan struct{}, 10), make(chan struct{})
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-release
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "x")
	})
	node := r.start(t, "ams-1")
	var reader sync.WaitGroup
	reader.Go(func() {
		if a := r.get(t, r.addr("ams-1"), "/a"); a.body != "x" {
			t.Errorf("the waiting reader got %q", a.body)
		}
	})
	<-arrived
	node.Purge(cdn.Purge{Revision: 1, Targets: []cdn.Target{{Scheme: "http", Domain: domain, Path: "/a"}}})
	close(release)
	reader.Wait()
	if a := r.get(t, r.addr("ams-1"), "/a"); a.word() != "MISS" {
		t.Errorf("after the purge: %s, the old fill was stored", a.word())
	}
}

// TestRegionalNodeBehindInPurges: an edge node that has applied a purge does not
// get the purged content back from a regional node that has not.
func TestRegionalNodeBehindInPurges(t *testing.T) {
	r := newRig(t, cacheable)
	l1, _ := r.chain(t)
	r.get(t, r.addr("fra-1"), "/a")
	l1.Purge(cdn.Purge{Revision: 1, Targets: []cdn.Target{{Scheme: "http", Domain: domain, Path: "/a"}}})
	if a := r.get(t, r.addr("fra-1"), "/a"); strings.Contains(a.status(), "; hit") {
		t.Errorf("purged content came back from behind: %s", a.status())
	}
	if n := r.origin.requests("/a"); n != 2 {
		t.Errorf("%d origin requests, want 2", n)
	}
}
