package httpfront_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"nearcast/internal/outside"
	"nearcast/internal/testcert"
	"nearcast/internal/web/tlscert"
	"nearcast/scheduler/httpfront"
	"nearcast/scheduler/respond"
	"nearcast/scheduler/view"
)

// newResponder answers with a TXT record that says who asked for what.
func newResponder() func(dst, query []byte, from respond.Peer) []byte {
	return func(dst, query []byte, from respond.Peer) []byte {
		var q, a dns.Msg
		if q.Unpack(query) != nil || len(q.Question) != 1 {
			return nil
		}
		a.SetReply(&q)
		name := q.Question[0].Name
		a.Answer = []dns.RR{&dns.TXT{
			Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 17},
			Txt: []string{name, from.Addr.String(), fmt.Sprint(from.Transport == respond.HTTPS)},
		}}
		b, err := a.Pack()
		if err != nil {
			return nil
		}
		return append(dst, b...)
	}
}

func query(t testing.TB, name string) []byte {
	t.Helper()
	b, err := new(dns.Msg).SetQuestion(name, dns.TypeTXT).Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// doh is a front with everything, in cleartext and over TLS.
func doh(t *testing.T) (plain, secure string, reg *prometheus.Registry) {
	t.Helper()
	var current atomic.Pointer[view.View]
	p, err := view.Compile(fleet(80))
	if err != nil {
		t.Fatal(err)
	}
	current.Store(view.Join(p, nil))
	cert, key := testcert.Write(t, "127.0.0.1", "dns.example")
	reg = prometheus.NewRegistry()
	s, err := httpfront.New(httpfront.Config{
		Addr: "127.0.0.1:0", TLSAddrs: []string{"127.0.0.1:0", "127.0.0.1:0"}, Certificates: []tlscert.Pair{{Chain: cert, Key: key}},
		View: current.Load, Redirect: decide, NewResponder: newResponder, Log: slog.New(slog.DiscardHandler), Registry: reg,
		Resolve:     http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "resolve ", r.RemoteAddr) }),
		ServeStream: echo,
		Proxies:     func(*view.View) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return s.Addr().String(), s.TLSAddrs()[1].String(), reg
}

// echo says again what it is told.
func echo(ctx context.Context, nc net.Conn) {
	defer nc.Close()
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	defer stop()
	io.Copy(nc, nc)
}

func TestDoH(t *testing.T) {
	plain, secure, reg := doh(t)
	ask := query(t, "a.example.")
	get := "/dns-query?dns=" + base64.RawURLEncoding.EncodeToString(ask)
	media := []string{"Content-Type", "application/dns-message"}
	for _, protocol := range []string{"HTTP/1.1", "HTTP/1.1 over TLS", "HTTP/2 over TLS"} {
		client, base := clientOf(t, protocol), "https://"+secure
		if protocol == "HTTP/1.1" {
			base = "http://" + plain
		}
		for name, test := range map[string]struct {
			method, path string
			content      []byte
			fields       []string
			status       int
			want         string // the client that was seen, or a part of the body
		}{
			"GET":                {"GET", get, nil, nil, 200, "127.0.0.1"},
			"GET with others":    {"GET", strings.Replace(get, "?", "?ct&x=1&", 1) + "&y", nil, nil, 200, "127.0.0.1"},
			"HEAD":               {"HEAD", get, nil, nil, 200, ""},
			"forwarded":          {"GET", get, nil, []string{"X-Forwarded-For", "203.0.113.1, 198.51.100.7"}, 200, "198.51.100.7"},
			"forwarded, wrong":   {"GET", get, nil, []string{"X-Forwarded-For", "unknown"}, 200, "127.0.0.1"},
			"POST":               {"POST", "/dns-query", ask, media, 200, "127.0.0.1"},
			"POST forwarded":     {"POST", "/dns-query", ask, append([]string{"X-Forwarded-For", "2001:db8::1"}, media...), 200, "2001:db8::1"},
			"POST, parameter":    {"POST", "/dns-query", ask, []string{"Content-Type", "Application/DNS-Message; x=y"}, 200, "127.0.0.1"},
			"POST, other type":   {"POST", "/dns-query", ask, []string{"Content-Type", "text/plain"}, 415, "application/dns-message"},
			"POST, no type":      {"POST", "/dns-query", ask, nil, 415, "application/dns-message"},
			"POST, nothing":      {"POST", "/dns-query", nil, media, 400, "no DNS query"},
			"POST, no query":     {"POST", "/dns-query", []byte("x"), media, 400, "no DNS query"},
			"POST, large":        {"POST", "/dns-query", append(ask, make([]byte, 65535-len(ask))...), media, 200, "127.0.0.1"},
			"POST, too large":    {"POST", "/dns-query", make([]byte, 65536), media, 413, "65,535"},
			"POST, much larger":  {"POST", "/dns-query", make([]byte, 250_000), media, 413, "65,535"},
			"GET without":        {"GET", "/dns-query", nil, nil, 400, "dns parameter is missing"},
			"GET, empty":         {"GET", "/dns-query?dns=", nil, nil, 400, "dns parameter is missing"},
			"GET, twice":         {"GET", get + "&dns=AAAA", nil, nil, 400, "more than one"},
			"GET, padded":        {"GET", get + "=", nil, nil, 400, "base64url"},
			"GET, not base64url": {"GET", "/dns-query?dns=ab+/", nil, nil, 400, "base64url"},
			"GET, escaped":       {"GET", "/dns-query?dns=%41AAA", nil, nil, 400, "base64url"},
			"GET, no query":      {"GET", "/dns-query?dns=AAAA", nil, nil, 400, "no DNS query"},
			"PUT":                {"PUT", "/dns-query", ask, media, 405, "GET or POST"},
			"DELETE":             {"DELETE", "/dns-query", nil, nil, 405, "GET or POST"},
			"elsewhere":          {"GET", "/dns-query/", nil, nil, 404, "not configured"},
			"resolve":            {"GET", "/resolve?host=a", nil, []string{"X-Forwarded-For", "198.51.100.7"}, 200, "resolve 198.51.100.7:0"},
			"a visitor's":        {"GET", get, nil, []string{"Host", "www.shop.example"}, 302, "dns-query"},
			"a visitor's POST":   {"POST", "/dns-query", ask, append([]string{"Host", "www.shop.example"}, media...), 307, "dns-query"},
			"a visitor's other":  {"GET", "/resolve?x", nil, []string{"Host", "n1.www.shop.example.cdn.test"}, 508, ""},
		} {
			t.Run(protocol+"/"+name, func(t *testing.T) {
				r, err := http.NewRequest(test.method, base+test.path, bytes.NewReader(test.content))
				if err != nil {
					t.Fatal(err)
				}
				for i := 0; i < len(test.fields); i += 2 {
					r.Header.Set(test.fields[i], test.fields[i+1])
				}
				if r.Header.Get("Host") != "" {
					r.Host = r.Header.Get("Host")
					r.Header.Del("Host")
				}
				resp, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != test.status {
					t.Fatalf("status %d, body %q (%v); want %d", resp.StatusCode, body, err, test.status)
				}
				checkAnswer(t, resp, body, test.want)
			})
		}
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v, %v", problems, err)
	}
}

// checkAnswer checks an answer whose status is right.
func checkAnswer(t *testing.T, resp *http.Response, body []byte, want string) {
	t.Helper()
	h := resp.Header
	switch {
	case resp.StatusCode >= 400:
		if !strings.Contains(string(body), want) || h.Get("Cache-Control") != "no-store" || resp.StatusCode == http.StatusMethodNotAllowed && h.Get("Allow") != "GET, HEAD, POST" {
			t.Errorf("body %q, fields %v", body, h)
		}
	case resp.StatusCode >= 300:
		if !strings.Contains(h.Get("Location"), want) {
			t.Errorf("Location %q", h.Get("Location"))
		}
	case strings.HasPrefix(want, "resolve"):
		if string(body) != want {
			t.Errorf("%q, want %q", body, want)
		}
	default:
		if h.Get("Content-Type") != "application/dns-message" || h.Get("Cache-Control") != "private, max-age=17" || h.Get("Date") == "" || resp.ContentLength <= 0 {
			t.Errorf("fields %v", h)
		}
		if want == "" { // HEAD
			return
		}
		var m dns.Msg
		if err := m.Unpack(body); err != nil {
			t.Fatal(err)
		}
		if txt := m.Answer[0].(*dns.TXT).Txt; txt[0] != "a.example." || txt[1] != want || txt[2] != "true" {
			t.Errorf("%q, want %s", txt, want)
		}
	}
}

// clientOf speaks a protocol, and follows nobody.
func clientOf(t *testing.T, protocol string) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(protocol != "HTTP/2 over TLS")
	transport.Protocols.SetHTTP2(protocol == "HTTP/2 over TLS")
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// TestDoT: the same port speaks DNS over TLS, to those that say so and to those that say nothing and begin with a length.
func TestDoT(t *testing.T) {
	_, secure, _ := doh(t)
	ask := query(t, "a.example.")
	message := append(binary.BigEndian.AppendUint16(nil, uint16(len(ask))), ask...)
	for name, protocols := range map[string][]string{"named": {"dot"}, "not named": nil} {
		c, err := tls.Dial("tcp", secure, &tls.Config{InsecureSkipVerify: true, NextProtos: protocols})
		if err != nil {
			t.Fatal(err)
		}
		c.Write(message)
		got := make([]byte, len(message))
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, message) {
			t.Errorf("%s: %q (%v)", name, got, err)
		}
		c.Close()
	}
	if c, err := tls.Dial("tcp", secure, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"smtp"}}); err == nil {
		c.Close()
		t.Error("a protocol that nobody speaks was agreed on")
	}
}

// TestNoCertificate: TLS without a certificate is a mistake that is told, and nothing stays open.
func TestNoCertificate(t *testing.T) {
	_, err := httpfront.New(httpfront.Config{TLSAddrs: []string{"127.0.0.1:0"}, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Error(err)
	}
	if _, err = httpfront.New(httpfront.Config{Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()}); err == nil {
		t.Error("a server without an address")
	}
}

// TestTooLargeIsTold: clients that send all of a query before they read anything hear that it is too large.
func TestTooLargeIsTold(t *testing.T) {
	plain, secure, _ := doh(t)
	for name, rest := range map[string]string{
		"length": "Content-Length: 200000\r\n\r\n" + strings.Repeat("x", 200_000),
		"chunks": "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("186a0\r\n"+strings.Repeat("x", 100_000)+"\r\n", 2) + "0\r\n\r\n",
	} {
		c, err := net.Dial("tcp", plain)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "POST /dns-query HTTP/1.1\r\nHost: dns.example\r\nContent-Type: application/dns-message\r\n"+rest); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		c.SetReadDeadline(time.Now().Add(30 * time.Second))
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %v, %v, want 413", name, resp, err)
			continue
		}
		resp.Body.Close()
	}
	t.Run("curl, HTTP/2", func(t *testing.T) {
		curl := outside.Program(t, "curl", "curl")
		for _, size := range []int{65_536, 200_000, 1 << 20} {
			cmd := exec.CommandContext(t.Context(), curl, "-sk", "--http2", "-o", os.DevNull, "-w", "%{http_version} %{http_code}",
				"-H", "Content-Type: application/dns-message", "--data-binary", "@-", "https://"+secure+"/dns-query")
			cmd.Stdin = bytes.NewReader(make([]byte, size))
			if out, err := cmd.CombinedOutput(); err != nil || string(out) != "2 413" {
				t.Errorf("%d octets: %s (%v), want 413 over HTTP/2", size, out, err)
			}
		}
	})
}

// Who asks first whether to send it is told at once, and not to send it.
func TestTooLargeIsNotAskedFor(t *testing.T) {
	plain, _, _ := doh(t)
	c, err := net.Dial("tcp", plain)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	fmt.Fprintf(c, "POST /dns-query HTTP/1.1\r\nHost: dns.example\r\nContent-Type: application/dns-message\r\nExpect: 100-continue\r\nContent-Length: 200000\r\n\r\n")
	status, err := bufio.NewReader(c).ReadString('\n')
	if err != nil || !strings.HasPrefix(status, "HTTP/1.1 413 ") {
		t.Errorf("got %q, %v, want 413", status, err)
	}
}
