package tlscert_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nearcast/internal/web/tlscert"
)

// until waits for what must happen.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("it never happened: %s", what)
		}
	}
}

// gatehouse is a gate before a listener.
type gatehouse struct {
	t      *testing.T
	addr   string
	gate   *tlscert.Gate
	ca     *authority
	failed chan error
}

// keep has a gate shake hands with whoever connects, until the test ends.
func keep(t *testing.T, o tlscert.GateOptions) *gatehouse {
	t.Helper()
	ca := newAuthority(t)
	config := open(t, tlscert.Options{}, ca.pair(t, leaf{names: []string{"a.test"}})).Config(tlscert.ConfigOptions{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &gatehouse{t: t, addr: l.Addr().String(), gate: tlscert.NewGate(o), ca: ca, failed: make(chan error, 1000)}
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				c, err := h.gate.Handshake(ctx, nc, config)
				if err != nil {
					h.failed <- err
					return
				}
				c.Write([]byte{1})
				c.Close()
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		l.Close()
		all.Wait()
		if c := h.gate.Counts(); c.Pending != 0 || h.gate.Clients() != 0 {
			t.Errorf("handshakes are left: %+v", c)
		}
	})
	return h
}

// stall connects from an address, sends octets and no more.
func (h *gatehouse) stall(from string, octets []byte) net.Conn {
	h.t.Helper()
	before := h.gate.Counts().Pending
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", h.addr)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	c.Write(octets)
	until(h.t, "a stall", func() bool { return h.gate.Stalled() > int(before) || h.gate.Counts().Dropped > 0 })
	return c
}

// visit is an honest handshake.
func (h *gatehouse) visit() error {
	c, err := tls.Dial("tcp", h.addr, h.ca.visitor("a.test"))
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	_, err = io.ReadFull(c, make([]byte, 1))
	return err
}

func closed(c net.Conn) bool {
	_, err := io.Copy(io.Discard, c)
	return err == nil || !strings.Contains(err.Error(), "timeout")
}

// Clients that stall have no slot: one slot is enough beside many of them.
func TestStalledHaveNoSlot(t *testing.T) {
	h := keep(t, tlscert.GateOptions{Computing: 1})
	for i := range 20 {
		h.stall("127.0.0.1", []byte{22, 3, 1, 0, 100, 1, 0}[:i%8]) // nothing, a part of a record, of a ClientHello
	}
	for range 5 {
		if err := h.visit(); err != nil {
			t.Fatal(err)
		}
	}
	if c := h.gate.Counts(); c.Done != 5 || c.Dropped+c.Refused != 0 {
		t.Errorf("%+v", c)
	}
}

func TestOldestStalledIsDropped(t *testing.T) {
	var log journal
	h := keep(t, tlscert.GateOptions{Pending: 3, Log: log.logger()})
	first := h.stall("127.0.0.2", []byte{22})
	h.stall("127.0.0.3", nil)
	h.stall("127.0.0.4", nil)
	if err := h.visit(); err != nil {
		t.Fatal(err)
	}
	if !closed(first) || h.gate.Stalled() != 2 {
		t.Errorf("%d are left", h.gate.Stalled())
	}
	if err := <-h.failed; !strings.Contains(err.Error(), "oldest") {
		t.Error(err)
	}
	if c := h.gate.Counts(); c.Done != 1 || c.Dropped != 1 || c.Refused != 0 {
		t.Errorf("%+v", c)
	}
	if log.count("127.0.0.2") != 1 {
		t.Error("nobody was told whom it was")
	}
}

// A client with too many of them loses its own.
func TestOneClientsOldestIsDropped(t *testing.T) {
	h := keep(t, tlscert.GateOptions{PerClient: 2})
	h.stall("127.0.0.2", nil)
	first := h.stall("127.0.0.1", nil)
	h.stall("127.0.0.1", nil)
	if err := h.visit(); err != nil {
		t.Fatal(err)
	}
	if !closed(first) || h.gate.Stalled() != 2 || h.gate.Clients() != 2 {
		t.Errorf("%d of %d clients are left", h.gate.Stalled(), h.gate.Clients())
	}
}

// Those that wait for the processor are not dropped; there is no more room.
func TestNewestIsRefused(t *testing.T) {
	h := keep(t, tlscert.GateOptions{Computing: 1, Pending: 2})
	release := h.gate.Hold()
	visits := make(chan error, 2)
	for range 2 {
		go func() { visits <- h.visit() }()
	}
	until(t, "two in the queue", func() bool { return h.gate.Counts().Pending == 2 && h.gate.Stalled() == 0 })
	until(t, "a refusal", func() bool { // a visit may still be before its first octet, and be dropped
		h.visit()
		return h.gate.Counts().Refused > 0
	})
	release()
	for range 2 {
		<-visits
	}
	if err := h.visit(); err != nil {
		t.Error(err)
	}
}

func TestTooManyOctets(t *testing.T) {
	h := keep(t, tlscert.GateOptions{Octets: 1000})
	// A record of 4,000 octets with the beginning of a ClientHello of 60,000.
	h.stall("127.0.0.1", append([]byte{22, 3, 1, 15, 160, 1, 0, 234, 96}, make([]byte, 995-9)...))
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write(append([]byte{22, 3, 1, 15, 160, 1, 0, 234, 96}, make([]byte, 2000)...))
	if err := <-h.failed; !strings.Contains(err.Error(), "too much") {
		t.Error(err)
	}
}

func TestHandshakeTimesOut(t *testing.T) {
	ca := newAuthority(t)
	pair := ca.pair(t, leaf{names: []string{"a.test"}})
	synctest.Test(t, func(t *testing.T) {
		var log journal
		g := tlscert.NewGate(tlscert.GateOptions{Log: log.logger()})
		config := open(t, tlscert.Options{}, pair).Config(tlscert.ConfigOptions{})
		var all sync.WaitGroup
		for range 3 {
			client, server := net.Pipe()
			all.Go(func() {
				start := time.Now()
				_, err := g.Handshake(t.Context(), server, config)
				if err == nil || !strings.Contains(err.Error(), "too long") || time.Since(start) != 10*time.Second {
					t.Errorf("after %v: %v", time.Since(start), err)
				}
				io.Copy(io.Discard, client)
			})
		}
		all.Wait()
		if c := g.Counts(); c.TimedOut != 3 || c.Pending != 0 {
			t.Errorf("%+v", c)
		}
		if log.count("given up") != 1 {
			t.Errorf("logged %d times", log.count("given up"))
		}
	})
}

// The end of the server ends handshakes.
func TestHandshakeIsCancelled(t *testing.T) {
	ca := newAuthority(t)
	config := open(t, tlscert.Options{}, ca.pair(t, leaf{names: []string{"a.test"}})).Config(tlscert.ConfigOptions{})
	g := tlscert.NewGate(tlscert.GateOptions{})
	_, server := tcpPair(t)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := g.Handshake(ctx, server, config)
		failed <- err
	}()
	until(t, "a stall", func() bool { return g.Stalled() == 1 })
	cancel()
	if err := <-failed; err == nil {
		t.Error("it worked")
	}
	if c := g.Counts(); c.Failed != 1 {
		t.Errorf("%+v", c)
	}
}

// wired returns both ends of a connection through a gate.
func wired(t *testing.T) (client, server *tls.Conn) {
	t.Helper()
	ca := newAuthority(t)
	config := open(t, tlscert.Options{}, ca.pair(t, leaf{names: []string{"a.test"}})).Config(tlscert.ConfigOptions{})
	cn, sn := tcpPair(t)
	client = tls.Client(cn, ca.visitor("a.test"))
	shaken := make(chan error)
	go func() { shaken <- client.Handshake() }()
	server, err := tlscert.NewGate(tlscert.GateOptions{}).Handshake(t.Context(), sn, config)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	return client, server
}

// What is corked arrives whole and in order, whatever its size.
func TestCork(t *testing.T) {
	for name, lent := range map[string]int64{"alone": 0, "among many that take nothing": 1 << 20} {
		t.Run(name, func(t *testing.T) { testCork(t, lent) })
	}
}

func testCork(t *testing.T, lent int64) {
	t.Helper()
	client, server := wired(t)
	w := tlscert.WireUnder(server)
	w.Lend(lent)
	var want bytes.Buffer
	go func() {
		for i, size := range []int{1, 1 << 14, 1 << 17, 1, 1 << 20, 5} {
			data := bytes.Repeat([]byte{byte('a' + i)}, size)
			w.Cork()
			server.Write(data)
			if w.Collecting() != (lent == 0) {
				t.Errorf("it collects: %v; %d buffers are lent", w.Collecting(), lent)
			}
			if i%2 == 0 {
				server.Write(data)
			}
			if err := w.Uncork(); err != nil {
				t.Error(err)
			}
			server.Write([]byte("uncorked"))
		}
		server.Close()
	}()
	for i, size := range []int{1, 1 << 14, 1 << 17, 1, 1 << 20, 5} {
		data := bytes.Repeat([]byte{byte('a' + i)}, size)
		want.Write(data)
		if i%2 == 0 {
			want.Write(data)
		}
		want.WriteString("uncorked")
	}
	got, err := io.ReadAll(client)
	if err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("got %d octets (%v), want %d", len(got), err, want.Len())
	}
}

func TestCorkedSendsNothing(t *testing.T) {
	client, server := wired(t)
	w := tlscert.WireUnder(server)
	w.Cork()
	if _, err := server.Write([]byte("kept")); err != nil {
		t.Fatal(err)
	}
	client.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, _ := client.Read(make([]byte, 10)); n > 0 {
		t.Error("it was sent")
	}
	if err := server.Close(); err != nil { // drops it
		t.Error(err)
	}
	if err := w.Uncork(); err == nil {
		t.Error("Uncork knows nothing of the end")
	}
}

// A client that takes nothing ends a corked write by its deadline, and Close wakes one.
func TestUncorkEnds(t *testing.T) {
	for _, end := range []string{"deadline", "close"} {
		t.Run(end, func(t *testing.T) {
			_, server := wired(t)
			w := tlscert.WireUnder(server)
			server.SetWriteDeadline(time.Now().Add(patience))
			if end == "deadline" {
				server.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			} else {
				timer := time.AfterFunc(100*time.Millisecond, func() { w.Close() })
				defer timer.Stop()
			}
			data := make([]byte, 1<<20)
			for i := 0; ; i++ {
				w.Cork()
				_, err := server.Write(data)
				if uncorked := w.Uncork(); err != nil || uncorked != nil {
					break
				}
				if i > 1000 {
					t.Fatal("a gigabyte fits into the socket")
				}
			}
			if err := w.Uncork(); err == nil {
				t.Error("the error is forgotten")
			}
			w.Close()
		})
	}
}

func TestWirePassesThrough(t *testing.T) {
	client, server := wired(t)
	w := tlscert.WireUnder(server)
	w.Cork()
	server.Write([]byte("last"))
	w.Uncork()
	server.CloseWrite()
	if err := w.CloseWrite(); err != nil {
		t.Error(err)
	}
	if got, err := io.ReadAll(client); string(got) != "last" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	client.Write([]byte("x"))
	if n, err := server.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Error("the other half is closed too")
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if c := tls.Server(a, &tls.Config{}); tlscert.WireUnder(c) != nil {
		t.Error("a wire where there is none")
	}
}

// holder sends the first write, and keeps the others until it is told.
type holder struct {
	net.Conn

	writes int
	kept   []byte
}

func (h *holder) Write(p []byte) (int, error) {
	if h.writes++; h.writes == 1 {
		return h.Conn.Write(p)
	}
	h.kept = append(h.kept, p...)
	return len(p), nil
}

// What a client sends in one go with the end of its handshake is for after it, wherever the
// packet ends.
func TestRequestWithTheHandshake(t *testing.T) {
	ca := newAuthority(t)
	config := open(t, tlscert.Options{}, ca.pair(t, leaf{names: []string{"a.test"}})).Config(tlscert.ConfigOptions{})
	for _, size := range []int{1, 500, 2000, 40_000} {
		for _, cut := range []int{0, 1, 4, 6, size / 2} { // before the packet's end
			cn, sn := tcpPair(t)
			h := &holder{Conn: cn}
			data := bytes.Repeat([]byte("x"), size)
			sent := make(chan error, 1)
			go func() {
				client := tls.Client(h, ca.visitor("a.test"))
				_, err := client.Write(data)
				h.Conn.Write(h.kept[:len(h.kept)-cut])
				runtime.Gosched()
				h.Conn.Write(h.kept[len(h.kept)-cut:])
				sent <- err
			}()
			server, err := tlscert.NewGate(tlscert.GateOptions{}).Handshake(t.Context(), sn, config)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, size)
			if _, err := io.ReadFull(server, got); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d octets, the last %d apart: %v", size, cut, err)
			}
			if err := <-sent; err != nil {
				t.Error(err)
			}
		}
	}
}
