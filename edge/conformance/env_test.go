package conformance_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/edge"
	"nearcast/internal/testcert"
	"nearcast/internal/waitfor"
	"nearcast/internal/web/tlscert"
)

// domain is the host that requests are for, unless they say otherwise.
const domain = "www.shop.example"

// clock stands still at a whole second until a test moves it, so that ages are exact. It
// is not in GMT, so that a local time zone that counts shows (RFC 9111 section 4.2).
type clock struct {
	base   time.Time
	offset atomic.Int64
}

func (c *clock) now() time.Time { return c.base.Add(time.Duration(c.offset.Load())) }

// protocol is what visitors speak.
type protocol int

const (
	plain    protocol = iota // HTTP/1.1 in cleartext
	overTLS                  // HTTP/1.1 over TLS
	overH2                   // HTTP/2 over TLS
	fromDisk                 // HTTP/1.1 in cleartext, to an edge with so little RAM that all it stores is on disk
)

// env is one edge, or several, before one scripted origin. The edge starts with the
// first request, so that a test can say before that what it is to be like.
type env struct {
	t      *testing.T
	speaks protocol
	clock  *clock
	origin *origin
	addr   string // of the edge that visitors ask; empty before the first request
	client *http.Client
}

func newEnv(t *testing.T, speaks protocol) *env {
	t.Helper()
	c := &clock{base: time.Now().Truncate(time.Second).In(time.FixedZone("elsewhere", 5*3600+1800))}
	transport := &http.Transport{
		DisableCompression: true, MaxIdleConnsPerHost: 16, ForceAttemptHTTP2: speaks == overH2,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the test is about what is said over TLS
	}
	if speaks != overH2 {
		transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	e := &env{t: t, speaks: speaks, clock: c, origin: newOrigin(t, c), client: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       20 * time.Second,
	}}
	t.Cleanup(e.client.CloseIdleConnections)
	return e
}

// fresh returns another environment like this one was.
func (e *env) fresh() *env { return newEnv(e.t, e.speaks) }

// scheme is that of visitors' URLs.
func (e *env) scheme() string {
	if e.secure() {
		return "https"
	}
	return "http"
}

// secure reports whether visitors use TLS.
func (e *env) secure() bool { return e.speaks == overTLS || e.speaks == overH2 }

// version is what visitors speak, as Via has it.
func (e *env) version() string {
	if e.speaks == overH2 {
		return "2"
	}
	return "1.1"
}

// url is the address of a path at the edge.
func (e *env) url(path string) string { return e.scheme() + "://" + e.addr + path }

// fetcher is a plain edge.Origin: it asks the first URL.
type fetcher struct{ transport *http.Transport }

func (f fetcher) Fetch(ctx context.Context, o *cdn.Origin, req *http.Request) (*http.Response, error) {
	out := req.Clone(ctx)
	out.URL.Scheme, out.URL.Host = "http", strings.TrimPrefix(o.URLs[0], "http://")
	resp, err := f.transport.RoundTrip(out)
	if err != nil {
		return nil, cdn.Errorf(cdn.Unavailable, "", "asking the origin: %w", err)
	}
	return resp, nil
}

// run runs an edge until the test ends.
func (e *env) run(cfg edge.Config, apply func(*edge.Server) error) *edge.Server {
	e.t.Helper()
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16}
	cfg.RAM, cfg.Origin, cfg.Now, cfg.Log = 64<<20, fetcher{transport}, e.clock.now, slog.New(slog.DiscardHandler)
	if e.speaks == fromDisk {
		cfg.RAM, cfg.Disks = 1, []cdn.Disk{{Path: e.t.TempDir(), Size: 64 << 20}}
	}
	if e.secure() {
		cert, key := testcert.Write(e.t, domain)
		cfg.TLSAddr, cfg.Certificates = "127.0.0.1:0", []tlscert.Pair{{Chain: cert, Key: key}}
	}
	s, err := edge.New(cfg)
	if err != nil {
		e.t.Fatal(err)
	}
	if err := apply(s); err != nil {
		e.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	e.t.Cleanup(func() {
		e.client.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			e.t.Errorf("running the edge: %v", err)
		}
		transport.CloseIdleConnections()
	})
	e.eventually("the edge is ready", func() bool { return s.Ready() == nil })
	return s
}

// alone starts a stand-alone edge that obeys its visitors' Cache-Control, if none has been started.
func (e *env) alone() {
	e.t.Helper()
	if e.addr != "" {
		return
	}
	s := e.run(edge.Config{Addr: "127.0.0.1:0"}, func(s *edge.Server) error {
		return s.ApplyStandalone(&cdn.Origin{URLs: []string{e.origin.url}}, cdn.Route{ObeyRequestCacheControl: true})
	})
	e.addr = e.visitorsAddr(s)
}

// visitorsAddr is where visitors who speak what is to be spoken find an edge.
func (e *env) visitorsAddr(s *edge.Server) string {
	if e.secure() {
		return s.TLSAddr().String()
	}
	return s.Addr().String()
}

// answer is a response that has been read to its end.
type answer struct {
	*http.Response

	body string
	err  error // of reading the body
}

// field returns all lines of a field as one.
func (a answer) field(name string) string { return strings.Join(a.Header.Values(name), ", ") }

// get asks for /a. The fields are lines: "Name: value".
func (e *env) get(fields ...string) answer {
	e.t.Helper()
	return e.ask(http.MethodGet, "/a", fields...)
}

// ask sends a request to the edge. A field Host replaces the usual one.
func (e *env) ask(method, path string, fields ...string) answer {
	e.t.Helper()
	e.alone()
	a, err := e.try(method, path, nil, fields...)
	if err != nil {
		e.t.Fatal(err)
	}
	return a
}

// send is ask with content.
func (e *env) send(method, path, body string, fields ...string) answer {
	e.t.Helper()
	e.alone()
	a, err := e.try(method, path, strings.NewReader(body), fields...)
	if err != nil {
		e.t.Fatal(err)
	}
	return a
}

// try sends a request; unlike ask it may be called on any goroutine, once there is an edge.
func (e *env) try(method, path string, body io.Reader, fields ...string) (answer, error) {
	req, err := http.NewRequestWithContext(e.t.Context(), method, e.url(path), body)
	if err != nil {
		return answer{}, err
	}
	req.Host = domain
	for _, line := range fields {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Host" {
			req.Host = value
			continue
		}
		req.Header.Add(name, value)
	}
	resp, err := e.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	return answer{resp, string(content), err}, nil
}

// raw sends octets to the edge and returns all that come back until it closes.
func (e *env) raw(request string) string {
	e.t.Helper()
	e.alone()
	c, err := net.Dial("tcp", e.addr)
	if err != nil {
		e.t.Fatal(err)
	}
	if e.secure() { // HTTP/2 has no such octets, so that it is HTTP/1.1 then too
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		e.t.Fatal(err)
	}
	if _, err := io.WriteString(c, request); err != nil {
		e.t.Fatal(err)
	}
	all, err := io.ReadAll(c)
	if err != nil {
		e.t.Errorf("reading what the edge sends: %v", err)
	}
	return string(all)
}

// rawGet asks for a path with exactly these header lines, and returns the response's head
// as it came, and its body.
func (e *env) rawGet(path string, lines ...string) (head string, body []byte) {
	e.t.Helper()
	request := "GET " + path + " HTTP/1.1\r\nHost: " + domain + "\r\nConnection: close\r\n"
	for _, line := range lines {
		request += line + "\r\n"
	}
	all := e.raw(request + "\r\n")
	head, _, _ = strings.Cut(all, "\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(all)), nil)
	if err != nil {
		e.t.Fatalf("%v in %q", err, all)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	if err != nil {
		e.t.Errorf("reading the body: %v", err)
	}
	return head, bytes.Clone(body)
}

func (e *env) advance(d time.Duration) { e.clock.offset.Add(int64(d)) }

// date formats the clock's time, moved by d, as an HTTP-date.
func (e *env) date(d time.Duration) string {
	return e.clock.now().Add(d).UTC().Format(http.TimeFormat)
}

func (e *env) eventually(what string, done func() bool) {
	e.t.Helper()
	waitfor.That(e.t, 10*time.Second, what, done)
}

// served checks that an answer is a 200 with a body.
func (e *env) served(a answer, body string) {
	e.t.Helper()
	if a.StatusCode != http.StatusOK || a.body != body || a.err != nil {
		e.t.Errorf("got %s %q (%v), want 200 %q\n%s", a.Status, a.body, a.err, body, e.history(a))
	}
}

// status checks an answer's status code.
func (e *env) status(a answer, want int) {
	e.t.Helper()
	if a.StatusCode != want {
		e.t.Errorf("got %s, want %d\n%s", a.Status, want, e.history(a))
	}
}

// has checks a field of an answer; an empty value says that it is not to be there.
func (e *env) has(a answer, name, value string) {
	e.t.Helper()
	if got := a.field(name); got != value {
		e.t.Errorf("%s: %q, want %q\n%s", name, got, value, e.history(a))
	}
}

// asked checks how many requests the origin has had so far.
func (e *env) asked(want int) {
	e.t.Helper()
	if got := len(e.origin.requests()); got != want {
		e.t.Errorf("the origin had %d requests, want %d\n%s", got, want, e.history(answer{}))
	}
}

// history shows an answer and what the origin was asked.
func (e *env) history(a answer) string {
	var b strings.Builder
	if a.Response != nil {
		fmt.Fprintf(&b, "answer: %s %v\n", a.Status, a.Header)
	}
	for i, r := range e.origin.requests() {
		fmt.Fprintf(&b, "origin request %d: %s %s %v\n", i+1, r.Method, r.URL, r.Header)
	}
	return b.String()
}
