package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// elsewhere makes requests of the redirecting front that try to get a visitor sent somewhere else: by Host, target, absolute form and every field that
// proxies use. Each Location there is must be a node's name under a name of the zone, as the fleet has them.
func elsewhere(ctx context.Context, o options, r *report) error {
	s, err := open(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	var asked, sent atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	const askers = 4
	for i := range askers {
		group.Go(func() error {
			t := &tempter{s: s, rng: s.rng(80 + uint64(i)), sent: &sent} //nolint:gosec // positive
			defer t.leave()
			for range (o.requests + 2*askers - 1) / (2 * askers) {
				if err := errors.Join(t.try(ctx), t.try2(ctx)); err != nil {
					return err
				}
				asked.Add(2)
			}
			return nil
		})
	}
	err = group.Wait()
	r.say("elsewhere: %d requests, %d redirects, each to a node of the fleet", asked.Load(), sent.Load())
	if err == nil && sent.Load() < asked.Load()/20 {
		err = fmt.Errorf("only %d of %d were redirected at all", sent.Load(), asked.Load())
	}
	return err
}

// tempter makes such requests over a connection that is opened anew whenever the server closes it.
type tempter struct {
	s    *stage
	rng  *rand.Rand
	conn net.Conn
	in   *bufio.Reader
	// second is a connection of HTTP/2.
	second *session
	sent   *atomic.Int64
}

func (t *tempter) close() {
	if t.conn != nil {
		t.conn.Close() //nolint:errcheck // nothing is on its way
		t.conn = nil
	}
}

func (t *tempter) leave() {
	t.close()
	if t.second != nil {
		t.second.conn.Close() //nolint:errcheck // as above
	}
}

//nolint:gochecknoglobals // constants
var (
	temptingHosts = []string{
		"d1.cdn.test", "D7.CDN.test.", "d9.cdn.test:8080", "d1.cdn.test:443", "evil.example", "d1.cdn.test@evil.example", "evil.example@d1.cdn.test", "d1.cdn.test.evil.example",
		"p00-0.d1.cdn.test", "nope.d1.cdn.test", "p00-0.d1.cdn.test.evil.example", "d1.cdn.test\tevil.example", "d1.cdn.test/evil", "d1.cdn.test?x", "d1.cdn.test#x", `d1.cdn.test\evil`,
		"", "127.0.0.1", "[::1]", "d1.cdn.test%2eevil.example", "d1.cdn.test%00", "d1..cdn.test", "cdn.test", ".", "d1001.cdn.test", "*.cdn.test", "xn--d1.cdn.test", "d1.cdn.test,evil.example",
	}
	temptingTargets = []string{
		"/", "/a?b=c", "//evil.example", "//evil.example/..", "///evil.example", `/\evil.example`, `/\\evil.example`, "/@evil.example", "/%0d%0aLocation:%20http://evil.example", "/%5cevil.example",
		"http://evil.example/", "http://evil.example@d1.cdn.test/", "http://d1.cdn.test@evil.example/", "https://d2.cdn.test/x", "http://d2.cdn.test:80/x", "http:evil.example", "HTTP://D1.CDN.TEST/", "ftp://evil.example/",
		"http://d1.cdn.test\\@evil.example/", "*", "evil.example:443", "/..//evil.example", "/.//evil.example", "/%2e%2e//evil.example", "/?url=http://evil.example", "/#http://evil.example", "/;@evil.example", "http://", "/\x80\xff", "?x", "",
	}
	temptingFields = []string{
		"X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-For", "X-Forwarded-Server", "X-Forwarded-Port", "Forwarded", "X-Original-URL", "X-Rewrite-URL", "X-Host", "Host", "Location", "Referer", "Origin", "X-HTTP-Host-Override",
	}
	temptingValues = []string{
		"evil.example", "http://evil.example/", "host=evil.example;proto=https", "10.0.0.1", "10.0.0.1, evil.example", "127.0.0.1, 10.9.9.9", "2001:db8::1", "for=\"[2001:db8::1]\"", "https", "443", "/evil", "\"", "", "d2.cdn.test", "unknown", "%0d%0a",
	}
	temptingMethods = []string{"GET", "GET", "GET", "HEAD", "POST", "PUT", "OPTIONS", "DELETE", "CONNECT", "TRACE", "X"}
)

func pick(rng *rand.Rand, list []string) string { return list[rng.IntN(len(list))] }

// bent has now and then an octet changed.
func (t *tempter) bent(s string) string {
	if len(s) == 0 || t.rng.IntN(4) > 0 {
		return s
	}
	b := []byte(s)
	b[t.rng.IntN(len(b))] = byte(t.rng.Uint32())
	return strings.NewReplacer("\r", "", "\n", "").Replace(string(b))
}

func (t *tempter) try(ctx context.Context) error {
	method := pick(t.rng, temptingMethods)
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", method, t.bent(pick(t.rng, temptingTargets)))
	host := "d1.cdn.test"
	if t.rng.IntN(2) == 0 {
		host = t.bent(pick(t.rng, temptingHosts))
	}
	fmt.Fprintf(&b, "Host: %s\r\n", host)
	for range t.rng.IntN(3) {
		fmt.Fprintf(&b, "%s: %s\r\n", pick(t.rng, temptingFields), t.bent(pick(t.rng, temptingValues)))
	}
	b.WriteString("\r\n")
	resp, err := t.send(ctx, method, b.String()) //nolint:bodyclose // of what send returns the content was read
	if err != nil {
		return fmt.Errorf("%q: %w", b.String(), err)
	}
	if resp == nil { // it was cut off
		return nil
	}
	locations := resp.Header.Values("Location")
	if len(locations) == 0 && resp.StatusCode/100 != 3 {
		return nil
	}
	t.sent.Add(1)
	if len(locations) != 1 {
		return fmt.Errorf("%q: %s to %q", b.String(), resp.Status, locations)
	}
	if err := t.s.world.configured(locations[0]); err != nil {
		return fmt.Errorf("%q: %w", b.String(), err)
	}
	return nil
}

// configured returns an error unless a Location is a URL of a node's name under a name of the zone, and nothing but that to whoever reads it otherwise.
func (w *world) configured(location string) error {
	for i := range len(location) {
		if c := location[i]; c <= ' ' || c >= 0x7f || c == '\\' || c == '#' {
			return fmt.Errorf("the Location %q has the octet %#02x", location, c)
		}
	}
	u, err := url.Parse(location)
	if err != nil {
		return err
	}
	host := u.Host
	if u.Scheme == "https" { // the fleet has a port for it
		host = strings.TrimSuffix(host, ":8443")
	}
	node, rest, _ := strings.Cut(host, ".")
	name, zone, _ := strings.Cut(rest, ".")
	var number int
	_, err = fmt.Sscanf(name, "d%d", &number)
	if u.User != nil || u.Scheme == "https" && host == u.Host || w.popOfNode[node] == "" || zone != worldZone || err != nil || name != fmt.Sprintf("d%d", number) || number < 1 || number > worldNames || !strings.HasPrefix(location, "http://"+u.Host+"/") && !strings.HasPrefix(location, "https://"+u.Host+"/") {
		return fmt.Errorf("the Location %q is not configured", location)
	}
	return nil
}

// send sends a request and reads the answer's head; nil if the server cut off the connection in place of one.
func (t *tempter) send(ctx context.Context, method, request string) (*http.Response, error) {
	if t.conn == nil {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", t.s.Plain)
		if err != nil {
			return nil, err
		}
		t.conn, t.in = conn, bufio.NewReader(conn)
	}
	if err := t.conn.SetDeadline(time.Now().Add(forever)); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(t.conn, request); err != nil {
		t.close()
		return nil, nil //nolint:nilnil,nilerr // as it says
	}
	resp, err := http.ReadResponse(t.in, &http.Request{Method: method})
	if err != nil {
		t.close()
		if strings.Contains(err.Error(), "malformed") {
			return nil, err
		}
		return nil, nil //nolint:nilnil // as it says
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if resp.Close || err != nil || method == http.MethodConnect {
		t.close()
	}
	return resp, nil
}
