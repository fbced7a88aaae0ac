package edge_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

// sizedOrigin answers with the request's path and query, again and again, in as many octets as the path ends with.
func sizedOrigin(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if r.Method == http.MethodPost {
		w.Write(body)
		return
	}
	w.Header().Set("Cache-Control", "max-age=1000")
	w.Header().Set("Etag", `"v1"`)
	size, _ := strconv.Atoi(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:])
	io.WriteString(w, sizedContent(r.URL.RequestURI(), size))
}

func sizedContent(uri string, size int) string {
	return strings.Repeat(uri+" ", size/len(uri)+1)[:size]
}

// piped is a request in a pipeline, and the answer that it must get.
type piped struct {
	raw, method string
	status      int
	body        string
}

var pipedSizes = [...]int{0, 10, 3000, 9000, 70_000, 300_000}

// pipedRequest makes a request at random: one for the lane, for the general way or for the origin.
func pipedRequest(random *rand.Rand) piped {
	const host = " HTTP/1.1\r\nHost: x.example\r\n"
	uri := fmt.Sprintf("/%d/%d", random.IntN(4), pipedSizes[random.IntN(len(pipedSizes))])
	var size int
	fmt.Sscanf(uri[3:], "%d", &size)
	content := sizedContent(uri, size)
	switch random.IntN(8) {
	case 0:
		return piped{"GET " + uri + host + "CDN-Loop: other\r\n\r\n", "GET", 200, content}
	case 1:
		return piped{"HEAD " + uri + host + "\r\n", "HEAD", 200, ""}
	case 2:
		return piped{"GET " + uri + host + "If-None-Match: \"v1\"\r\n\r\n", "GET", 304, ""}
	case 3:
		if size > 0 {
			return piped{"GET " + uri + host + "Range: bytes=3-5\r\n\r\n", "GET", 206, content[3:6]}
		}
	case 4:
		return piped{
			"POST /post" + host + "Transfer-Encoding: chunked\r\n\r\n2f\r\nGET /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n\r\n0\r\n\r\n",
			"POST", 200, "GET /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n",
		}
	case 5:
		return piped{"GET " + uri + host + "Content-Length: 3\r\n\r\nabc", "GET", 200, content}
	}
	return piped{"GET " + uri + host + "\r\n", "GET", 200, content}
}

// pipedFills are requests after which all contents are stored, so that their lengths are known and parts of them can be had.
func pipedFills() (all []piped) {
	for path := range 4 {
		for _, size := range pipedSizes {
			uri := fmt.Sprintf("/%d/%d", path, size)
			all = append(all, piped{"GET " + uri + " HTTP/1.1\r\nHost: x.example\r\n\r\n", "GET", 200, sizedContent(uri, size)})
		}
	}
	return all
}

// TestPipelineOfBothWays: answers come in the order of their requests, whole, and nothing else does, whichever way each takes and
// however the requests' octets arrive.
func TestPipelineOfBothWays(t *testing.T) {
	r := newRig(t, sizedOrigin)
	s, addr := r.startAlone(t, withTLS(t, "x.example"))
	plain := func() (net.Conn, error) { return net.Dial("tcp", addr) }
	secure := func() (net.Conn, error) {
		return tls.Dial("tcp", s.TLSAddr().String(), &tls.Config{InsecureSkipVerify: true, ServerName: "x.example"})
	}
	random := rand.New(rand.NewPCG(5, 6))
	for round := range 24 {
		dial := plain
		if round%2 == 1 {
			dial = secure
		}
		c, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(20 * time.Second))
		all := pipedFills()
		for range 60 {
			all = append(all, pipedRequest(random))
		}
		var raw strings.Builder
		for _, p := range all {
			raw.WriteString(p.raw)
		}
		cuts := rand.New(rand.NewPCG(7, uint64(round)))
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for rest := raw.String(); rest != ""; {
				n := min(len(rest), 1+cuts.IntN(1+40*round))
				io.WriteString(c, rest[:n])
				rest = rest[n:]
			}
		}()
		checkPipeline(t, c, all)
		c.Close()
		<-sent
	}
}

func checkPipeline(t *testing.T, c net.Conn, all []piped) {
	t.Helper()
	in := bufio.NewReader(c)
	for i, p := range all {
		resp, err := http.ReadResponse(in, httptest.NewRequest(p.method, "/", http.NoBody))
		if err != nil {
			t.Fatalf("answer %d to %q: %v", i, p.raw, err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != p.status || string(body) != p.body {
			t.Fatalf("answer %d to %q: %d, %d octets %.40q (%v); want %d, %d octets %.40q", i, p.raw, resp.StatusCode, len(body), body, err, p.status, len(p.body), p.body)
		}
	}
	if n := in.Buffered(); n > 0 {
		t.Fatalf("%d octets behind the last answer", n)
	}
}
