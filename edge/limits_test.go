package edge_test

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	h2 "golang.org/x/net/http2"

	"nearcast/cdn"
	"nearcast/edge"
)

// startLimited runs a stand-alone edge with TLS and some limits.
func (r *rig) startLimited(t *testing.T, limits edge.Limits) (s *edge.Server, registry *prometheus.Registry) {
	t.Helper()
	registry = prometheus.NewRegistry()
	s, _ = r.startAlone(t, withTLS(t), func(cfg *edge.Config) { cfg.Limits, cfg.Registry = limits, registry })
	return s, registry
}

// TestLimits: each limit does what it says.
func TestLimits(t *testing.T) {
	const soon = 50 * time.Millisecond
	get := "GET /a HTTP/1.1\r\nHost: " + domain + "\r\n\r\n"
	post := "POST /a HTTP/1.1\r\nHost: " + domain + "\r\nContent-Length: 1000000\r\n\r\n"
	// What a visitor sends in cleartext, and the beginning of what comes back before the end.
	for name, row := range map[string]struct {
		limits     edge.Limits
		send, want string
	}{
		"HeaderBytes": {edge.Limits{HeaderBytes: 2000}, "GET /a HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 2000) + "\r\n\r\n", "HTTP/1.1 431 "},
		"HeaderTime":  {edge.Limits{HeaderTime: soon}, "GET /a HTTP/1.1\r\n", "HTTP/1.1 408 "},
		"IdleTime":    {edge.Limits{IdleTime: soon}, get, "HTTP/1.1 200 "},
		"Stall":       {edge.Limits{Stall: soon}, post, ""},
		"MinRate":     {edge.Limits{Stall: 2 * soon, MinRate: 1 << 30}, post + strings.Repeat("x", 1000), ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, cacheable)
			s, _ := r.startLimited(t, row.limits)
			start := time.Now()
			if got := raw(t, s.Addr().String(), row.send); !strings.HasPrefix(got, row.want) {
				t.Errorf("got %q, want %q", got, row.want)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestConnectionLimits(t *testing.T) {
	for name, limits := range map[string]edge.Limits{"connections": {Connections: 2, ConnectionsPerClient: 9}, "client-connections": {ConnectionsPerClient: 2}} {
		r := newRig(t, cacheable)
		s, registry := r.startLimited(t, limits)
		var conns []net.Conn
		for range 3 {
			c, err := net.Dial("tcp", s.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			conns = append(conns, c)
		}
		conns[2].SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := conns[2].Read(make([]byte, 1)); err == nil || errors.Is(err, io.ErrNoProgress) || isTimeout(err) {
			t.Errorf("%s: the third connection was not closed: %v", name, err)
		}
		if n := labelled(t, registry, "nearcast_edge_connections_refused_total", name); n != 1 {
			t.Errorf("%s: %v refusals are counted, want 1", name, n)
		}
		if n := metric(t, registry, "nearcast_edge_connections"); n != 2 {
			t.Errorf("%s: %v connections are counted, want 2", name, n)
		}
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// labelled is a counter by the value of its only label.
func labelled(t *testing.T, registry *prometheus.Registry, name, value string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && len(m.GetLabel()) == 1 && m.GetLabel()[0].GetValue() == value {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// TestStreamsLimit: the limit is what SETTINGS says.
func TestStreamsLimit(t *testing.T) {
	r := newRig(t, cacheable)
	s, _ := r.startLimited(t, edge.Limits{Streams: 7})
	c, err := tls.Dial("tcp", s.TLSAddr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, h2.ClientPreface)
	frame, err := h2.NewFramer(c, c).ReadFrame()
	if err != nil {
		t.Fatal(err)
	}
	settings, ok := frame.(*h2.SettingsFrame)
	if !ok {
		t.Fatalf("the first frame is %v", frame)
	}
	if n, _ := settings.Value(h2.SettingMaxConcurrentStreams); n != 7 {
		t.Errorf("SETTINGS_MAX_CONCURRENT_STREAMS is %d, want 7", n)
	}
}

// TestHandshakeLimits: handshakes that stall make room for others, and end in time.
func TestHandshakeLimits(t *testing.T) {
	for name, limits := range map[string]edge.Limits{"dropped": {Handshakes: 2, HandshakesPerClient: 9}, "dropped ": {HandshakesPerClient: 2}, "timed-out": {HeaderTime: 50 * time.Millisecond}} {
		r := newRig(t, cacheable)
		s, registry := r.startLimited(t, limits)
		for range 4 {
			c, err := net.Dial("tcp", s.TLSAddr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			io.WriteString(c, "\x16\x03")
		}
		eventually(t, name, func() bool {
			return labelled(t, registry, "nearcast_edge_tls_handshakes_total", strings.TrimSpace(name)) >= 2
		})
		if resp, err := secureClient(t).Get("https://" + s.TLSAddr().String() + "/a"); err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%s: another visitor got %v (%v)", name, resp, err)
		} else {
			resp.Body.Close()
		}
	}
}

// secureClient is a client that trusts everybody.
func secureClient(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// TestMisdirected: SNI and Host must be of one site and one certificate (RFC 9110 section 15.5.20), on every way
// to an answer.
func TestMisdirected(t *testing.T) {
	r := newRig(t, cacheable)
	r.sites[0].Domains = []cdn.Domain{domain, "img.shop.example", "uncertified.example"}
	r.sites = append(r.sites, cdn.Site{Name: "other", Domains: []cdn.Domain{"other.shop.example"}, Origin: r.sites[0].Origin})
	s := r.start(t, "ams-1", withTLS(t, domain, "*.shop.example"))
	for _, row := range []struct {
		sni, host string
		status    int
	}{
		{domain, domain, 200},
		{domain, "WWW.Shop.example:443", 200},
		{domain, "img.shop.example", 200},
		{domain, "other.shop.example", 421},
		{domain, "uncertified.example", 421},
		{"nobody.shop.example", domain, 421},
		{"", domain, 200},
		{"", "other.shop.example", 200},
		{"uncertified.example", "uncertified.example", 200},
		{domain, "nobody.example", 404},
	} {
		for range 2 { // the second is a hit
			for _, proto := range []string{"http/1.1", "h2"} {
				if got := statusOver(t, s.TLSAddr().String(), row.sni, row.host, proto); got != row.status {
					t.Errorf("SNI %q, Host %q over %s: %d, want %d", row.sni, row.host, proto, got, row.status)
				}
			}
		}
	}
}

// statusOver asks for /a over a connection of its own.
func statusOver(t *testing.T, addr, sni, host, proto string) int {
	t.Helper()
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, ServerName: sni, NextProtos: []string{proto}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return asker(t, c)(host)
}

// TestResumptionIsOfOneSite: a session with one site is none with another, whatever the client thinks.
func TestResumptionIsOfOneSite(t *testing.T) {
	r := newRig(t, cacheable)
	r.sites = append(r.sites, cdn.Site{Name: "other", Domains: []cdn.Domain{"other.shop.example"}, Origin: r.sites[0].Origin})
	s := r.start(t, "ams-1", withTLS(t, domain, "*.shop.example"))
	sessions := &oneSession{}
	for _, row := range []struct {
		sni     string
		resumed bool
	}{{domain, false}, {domain, true}, {"other.shop.example", false}, {"other.shop.example", true}, {domain, false}} {
		c, err := tls.Dial("tcp", s.TLSAddr().String(), &tls.Config{InsecureSkipVerify: true, ServerName: row.sni, ClientSessionCache: sessions})
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "GET /a HTTP/1.1\r\nHost: "+row.sni+"\r\nConnection: close\r\n\r\n")
		if all, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(all), "HTTP/1.1 200 ") {
			t.Errorf("%s: %q (%v)", row.sni, all, err)
		}
		if got := c.ConnectionState().DidResume; got != row.resumed {
			t.Errorf("%s: resumed %v, want %v", row.sni, got, row.resumed)
		}
		c.Close()
	}
}

// oneSession is a cache that gives every server the session that came last.
type oneSession struct{ state *tls.ClientSessionState }

func (o *oneSession) Get(string) (*tls.ClientSessionState, bool) { return o.state, o.state != nil }
func (o *oneSession) Put(_ string, s *tls.ClientSessionState)    { o.state = s }

// TestFillLimits: a request that would need one fetch too many gets 503 and is told when to come again, or what is stored if that
// may be stale; it is counted, and the log names the client.
func TestFillLimits(t *testing.T) {
	for name, limits := range map[string]edge.Limits{"fills": {Fills: 1, FillsPerClient: 9}, "client-fills": {FillsPerClient: 1}} {
		t.Run(name, func(t *testing.T) {
			var log lockedLog
			arrived, release := make(chan struct{}, 1), make(chan struct{})
			r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Cache-Control", "max-age=0, stale-if-error=60")
				if req.URL.Path == "/slow" {
					arrived <- struct{}{}
					<-release
				}
				io.WriteString(w, "content")
			})
			registry := prometheus.NewRegistry()
			s, addr := r.startAlone(t, func(cfg *edge.Config) {
				cfg.Limits, cfg.Registry, cfg.Log = limits, registry, slog.New(slog.NewTextHandler(&log, nil))
			})
			r.get(t, addr, "/stored")
			eventually(t, "no fill", func() bool { return metric(t, registry, "nearcast_edge_fills_running") == 0 })
			var slow sync.WaitGroup
			slow.Go(func() { r.get(t, addr, "/slow") })
			<-arrived
			if a := r.get(t, addr, "/other"); a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") != "1" ||
				!strings.Contains(a.Header.Get("Proxy-Status"), "error=connection_limit_reached") {
				t.Errorf("one too many: %s %v", a.Status, a.Header)
			}
			if a := r.get(t, addr, "/stored"); a.StatusCode != http.StatusOK || a.word() != "STALE" {
				t.Errorf("one that may be stale: %s %s", a.Status, a.word())
			}
			if got := labelled(t, registry, "nearcast_edge_fills_refused_total", name); got != 2 {
				t.Errorf("%v were counted, want 2", got)
			}
			if text := log.String(); strings.Count(text, "a fetch from upstream was refused") != 1 || !strings.Contains(text, "client=127.0.0.1 limit="+name) {
				t.Errorf("the log says %s", text)
			}
			close(release)
			slow.Wait()
			eventually(t, "room", func() bool { return r.get(t, s.Addr().String(), "/other").StatusCode == http.StatusOK })
		})
	}
}

// lockedLog is a log that several goroutines write to.
type lockedLog struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
