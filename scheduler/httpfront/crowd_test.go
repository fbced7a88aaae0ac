package httpfront_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"nearcast/internal/testcert"
	"nearcast/internal/web/tlscert"
	"nearcast/scheduler/dnsfront"
	"nearcast/scheduler/httpfront"
	"nearcast/scheduler/respond"
	"nearcast/scheduler/view"
)

// crowded is a front with few places.
type crowded struct {
	addr   string
	secure bool // TLS
	http   bool // and not DNS
	reg    *prometheus.Registry
	prefix string // of its metrics
	places int
}

func newCrowded(t *testing.T, name string, places int) *crowded {
	t.Helper()
	p, err := view.Compile(fleet(80))
	if err != nil {
		t.Fatal(err)
	}
	v, log := view.Join(p, nil), slog.New(slog.DiscardHandler)
	c := &crowded{reg: prometheus.NewRegistry(), prefix: "nearcast_scheduler_http_connections", secure: name == "DoT", http: name == "HTTP", places: places}
	d, err := dnsfront.New(dnsfront.Config{
		Addr: "127.0.0.1:0", NewResponder: func() dnsfront.Responder { return newLongResponder() }, Connections: places, Log: log, Registry: c.reg,
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, d.Run)
	if name == "TCP" {
		c.addr, c.prefix = d.Addr().String(), "nearcast_scheduler_dns_connections"
		return c
	}
	cfg := httpfront.Config{
		View: func() *view.View { return v }, Redirect: decide, NewResponder: newResponder, Log: log, Registry: c.reg,
		Limits:      httpfront.Limits{Connections: places},
		ServeStream: func(ctx context.Context, nc net.Conn) { d.ServeStream(ctx, nc, respond.TLS) },
	}
	if cfg.Addr = "127.0.0.1:0"; c.secure {
		chain, key := testcert.Write(t, "127.0.0.1")
		cfg.Addr, cfg.TLSAddrs, cfg.Certificates = "", []string{"127.0.0.1:0"}, []tlscert.Pair{{Chain: chain, Key: key}}
	}
	h, err := httpfront.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	run(t, h.Run)
	if c.addr = ""; c.secure {
		c.addr = h.TLSAddrs()[0].String()
	} else {
		c.addr = h.Addr().String()
	}
	return c
}

func run(t *testing.T, serve func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// newLongResponder is newResponder, whose answers to "long." have 60,000 octets.
func newLongResponder() dnsfront.Responder {
	short, long := newResponder(), make([]byte, 60_000)
	return func(dst, query []byte, from respond.Peer) []byte {
		if bytes.Contains(query, []byte("\x04long\x00")) {
			return append(dst, long...) // nobody reads it
		}
		return short(dst, query, from)
	}
}

// sum is what a metric has in all.
func (c *crowded) sum(t *testing.T, name string) (n float64) {
	t.Helper()
	families, err := c.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == c.prefix+name {
			for _, m := range f.GetMetric() {
				n += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return n
}

// dial connects from an address. What the kernel holds for it is little.
func (c *crowded) dial(ctx context.Context, from string) (net.Conn, error) {
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		failed := raw.Control(func(fd uintptr) {
			err = errors.Join(syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096), syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, 4096))
		})
		return errors.Join(failed, err)
	}}
	var nc net.Conn
	var err error
	if nc, err = d.DialContext(ctx, "tcp", c.addr); err != nil || !c.secure {
		return nc, err
	}
	secured := tls.Client(nc, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"dot"}})
	if err := secured.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, err
	}
	return secured, nil
}

// ask asks once over a connection, for as long as it takes on a slow machine.
func (c *crowded) ask(nc net.Conn) error {
	if err := nc.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	if c.http {
		if _, err := io.WriteString(nc, "GET / HTTP/1.1\r\nHost: www.shop.example\r\n\r\n"); err != nil {
			return err
		}
		resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
		}
		return err
	}
	d := &dns.Conn{Conn: nc}
	if err := d.WriteMsg(new(dns.Msg).SetQuestion("a.example.", dns.TypeTXT)); err != nil {
		return err
	}
	r, err := d.ReadMsg()
	if err == nil && len(r.Answer) != 1 {
		return errors.New("there is no answer")
	}
	return err
}

// besiegers hold as many connections as they get, until ctx ends, each in its way.
func besiegers(c *crowded) map[string]func(ctx context.Context, nc net.Conn) {
	listen := func(nc net.Conn) { io.Copy(io.Discard, nc) }
	half, long := []byte{0}, []byte("GET / HTTP/1.1\r\nHost: www.shop.example\r\n\r\n")
	slow, octet := []byte("POST /dns-query HTTP/1.1\r\nHost: x.example\r\nContent-Type: application/dns-message\r\nContent-Length: 60000\r\n\r\n"), []byte{0}
	if c.http {
		half = long[:len(long)-4]
	} else {
		q, _ := new(dns.Msg).SetQuestion("long.", dns.TypeTXT).Pack()
		long = append([]byte{0, byte(len(q))}, q...)
		slow = []byte{0xff, 0xff}
	}
	return map[string]func(ctx context.Context, nc net.Conn){
		"say nothing": func(_ context.Context, nc net.Conn) { listen(nc) },
		"say half": func(_ context.Context, nc net.Conn) {
			nc.Write(half)
			listen(nc)
		},
		"ask now and then": func(ctx context.Context, nc net.Conn) {
			for c.ask(nc) == nil && passes(ctx, 700*time.Millisecond) {
			}
		},
		"send slowly": func(ctx context.Context, nc net.Conn) {
			if _, err := nc.Write(slow); err != nil {
				return
			}
			for passes(ctx, 100*time.Millisecond) {
				if _, err := nc.Write(octet); err != nil {
					return
				}
			}
		},
		"never read": func(ctx context.Context, nc net.Conn) {
			for many := bytes.Repeat(long, 100); passes(ctx, 500*time.Millisecond); {
				if _, err := nc.Write(many); err != nil {
					return
				}
			}
		},
	}
}

// passes waits, and reports whether ctx lasts.
func passes(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// besiege has 200 addresses of four networks hold connections until ctx ends, and returns when the attackers are gone.
func (c *crowded) besiege(ctx context.Context, hold func(context.Context, net.Conn)) {
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			for ok := true; ok; ok = passes(ctx, time.Second) {
				nc, err := c.dial(ctx, fmt.Sprintf("127.10.%d.%d", i%4, 1+i/4%50))
				if err != nil {
					continue
				}
				stop := context.AfterFunc(ctx, func() { nc.Close() })
				hold(ctx, nc)
				stop()
				nc.Close()
			}
		})
	}
	all.Wait()
}

// stay asks over one connection again and again until ctx ends. If it is lost within a second after an answer that is a failure.
func (c *crowded) stay(ctx context.Context, t *testing.T, from string, answered *atomic.Int32) {
	t.Helper()
	for ctx.Err() == nil {
		nc, err := c.dial(context.WithoutCancel(ctx), from)
		if err != nil {
			t.Errorf("%s cannot connect: %v", from, err)
			return
		}
		asked := false // over this connection; before, it may be refused
		for last := time.Now(); passes(ctx, 20*time.Millisecond); last = time.Now() {
			if err := c.ask(nc); err != nil {
				if lost := time.Since(last); asked && lost < time.Second { // else this machine is busy: the client has been idle, or the server has not come to it
					t.Errorf("%s loses its connection %v after an answer: %v", from, lost, err)
				}
				break
			}
			answered.Add(1)
			asked = true
		}
		nc.Close()
	}
}

// until waits for something that comes soon, but on a slow machine.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for late := time.After(time.Minute); !is(); {
		select {
		case <-late:
			t.Fatalf("it does not come that %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}

// TestCrowd: two hundred addresses of a few networks that want all connections do not keep others out, nor do they drive anybody away.
func TestCrowd(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	const places = 100 // half of what is wanted: more would show how busy this machine can be
	for _, front := range []string{"TCP", "HTTP", "DoT"} {
		for name := range besiegers(&crowded{}) {
			t.Run(front+"/"+name, func(t *testing.T) {
				c := newCrowded(t, front, places)
				ctx, cancel := context.WithCancel(t.Context())
				var others sync.WaitGroup
				defer others.Wait()
				defer cancel()
				var answered [3]atomic.Int32
				for i := range answered {
					others.Go(func() { c.stay(ctx, t, fmt.Sprintf("127.30.%d.1", i), &answered[i]) })
				}
				others.Go(func() { c.besiege(ctx, besiegers(c)[name]) })
				until(t, "all places are taken", func() bool { return c.sum(t, "") >= float64(c.places) })
				if name == "never read" || name == "send slowly" {
					passes(ctx, 4*time.Second) // that they take or send next to nothing shows when they have not for a while
				}
				c.welcome(t, 100)
				for i := range answered {
					before := answered[i].Load()
					until(t, "who has come before is answered", func() bool { return answered[i].Load() > before+10 })
				}
			})
		}
	}
}

// welcome has so many come, one after the other, ask once, and stay a while.
func (c *crowded) welcome(t *testing.T, n int) {
	t.Helper()
	answered := 0
	var open []net.Conn
	defer func() {
		for _, nc := range open {
			nc.Close()
		}
	}()
	for i := range n {
		nc, err := c.dial(t.Context(), fmt.Sprintf("127.20.%d.1", i))
		if err != nil {
			t.Errorf("newcomer %d cannot connect: %v", i, err)
			continue
		}
		if open = append(open, nc); len(open) > 20 {
			open[0].Close()
			open = open[1:]
		}
		if err := c.ask(nc); err != nil {
			t.Errorf("newcomer %d: %v", i, err)
			continue
		}
		answered++
	}
	if lost := c.sum(t, "_lost_total"); answered != n || lost == 0 {
		t.Errorf("%d of %d newcomers are answered; %v connections were closed for others", answered, n, lost)
	}
	t.Logf("%d of %d answered, %v lost, %v refused", answered, n, c.sum(t, "_lost_total"), c.sum(t, "_refused_total"))
}
