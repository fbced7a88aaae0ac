package dnsfront_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"nearcast/scheduler/dnsfront"
	"nearcast/scheduler/respond"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newResponder answers every query with a TXT record that says who asked and how; "long." has an answer of 60,000 octets.
func newResponder() dnsfront.Responder {
	return func(dst, query []byte, from respond.Peer) []byte {
		q := new(dns.Msg)
		if err := q.Unpack(query); err != nil || q.Response || len(q.Question) != 1 {
			return nil
		}
		r := new(dns.Msg).SetReply(q)
		hdr := dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET}
		r.Answer = []dns.RR{&dns.TXT{Hdr: hdr, Txt: []string{from.Addr.String(), string('0' + rune(from.Transport))}}}
		if hdr.Name == "long." {
			for range 240 {
				r.Answer = append(r.Answer, &dns.TXT{Hdr: hdr, Txt: []string{strings.Repeat("x", 240)}})
			}
		}
		if hdr.Name == "idle." {
			r.Answer = []dns.RR{&dns.TXT{Hdr: hdr, Txt: []string{from.Idle.String()}}}
		}
		packet, err := r.Pack()
		if err != nil {
			return nil
		}
		return append(dst, packet...)
	}
}

// front is a running server.
type front struct {
	*dnsfront.Server

	reg  *prometheus.Registry
	addr string
	end  func()
}

func start(t testing.TB, addr string, transfer dnsfront.Transfer) *front {
	t.Helper()
	f := &front{reg: prometheus.NewRegistry()}
	s, err := dnsfront.New(dnsfront.Config{Addr: addr, NewResponder: newResponder, Transfer: transfer, Log: slog.New(slog.DiscardHandler), Registry: f.reg})
	if err != nil {
		t.Fatal(err)
	}
	f.Server, f.addr = s, s.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	ended := false
	f.end = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(5 * time.Second):
			t.Error("Run did not return within 5 s")
		}
	}
	t.Cleanup(f.end)
	return f
}

func query(name string, qtype uint16) *dns.Msg { return new(dns.Msg).SetQuestion(name, qtype) }

func ask(t testing.TB, network, addr string) []string {
	t.Helper()
	c := &dns.Client{Net: network, Timeout: 5 * time.Second, UDPSize: 4096}
	r, _, err := c.Exchange(query("who.", dns.TypeTXT), addr)
	if err != nil {
		t.Fatalf("asking %s over %s: %v", addr, network, err)
	}
	return r.Answer[0].(*dns.TXT).Txt
}

func dial(t testing.TB, addr string) *dns.Conn {
	t.Helper()
	c, err := dns.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(5 * time.Second))
	return c
}

// The responder is told who asks, over what.
func TestPeer(t *testing.T) {
	f := start(t, "127.0.0.1:0", nil)
	for network, transport := range map[string]string{"udp": "0", "tcp": "1"} {
		if got := ask(t, network, f.addr); got[0] != "127.0.0.1" || got[1] != transport {
			t.Errorf("over %s: %v", network, got)
		}
	}
	if problems, err := testutil.GatherAndLint(f.reg); err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v, %v", problems, err)
	}
	if n, err := testutil.GatherAndCount(f.reg, "nearcast_scheduler_dns_dropped_total"); n != 5 || err != nil {
		t.Errorf("%d reasons for drops (%v), want 5", n, err)
	}
}

// On sockets for all addresses the answer leaves from where the query went, and an IPv4 address is one.
func TestWildcard(t *testing.T) {
	f := start(t, ":0", nil)
	for _, host := range []string{"127.0.0.1", "127.0.0.77", "::1"} {
		from := ask(t, "udp", netip.AddrPortFrom(netip.MustParseAddr(host), f.Addr().Port()).String())[0]
		if a := netip.MustParseAddr(from); !a.IsLoopback() || a.Is4In6() || a.Is4() != (host != "::1") {
			t.Errorf("asking %s: it is asked by %s", host, from)
		}
	}
}

// One connection carries many queries, also when they come in one segment, or octet by octet.
func TestPipeline(t *testing.T) {
	f := start(t, "127.0.0.1:0", nil)
	var all []byte
	for i := range 200 {
		q := query("who.", dns.TypeTXT)
		q.Id = uint16(i)
		p, err := q.Pack()
		if err != nil {
			t.Fatal(err)
		}
		all = append(binary.BigEndian.AppendUint16(all, uint16(len(p))), p...)
	}
	for name, step := range map[string]int{"whole": len(all), "octets": 1, "odd": 37} {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, f.addr)
			go func() {
				for rest := all; len(rest) > 0; rest = rest[min(step, len(rest)):] {
					if _, err := conn.Conn.Write(rest[:min(step, len(rest))]); err != nil {
						t.Error(err)
						return
					}
				}
			}()
			for i := range 200 {
				if r, err := conn.ReadMsg(); err != nil || r.Id != uint16(i) {
					t.Fatalf("answer %d: %v, %v", i, r, err)
				}
			}
		})
	}
}

// Answers to queries that came together are written together.
func TestOneWrite(t *testing.T) {
	f := start(t, "127.0.0.1:0", nil)
	client, server := net.Pipe()
	counted := &countingConn{Conn: server}
	done := make(chan struct{})
	go func() { defer close(done); f.ServeStream(t.Context(), counted, respond.TLS) }()
	p, err := query("who.", dns.TypeTXT).Pack()
	if err != nil {
		t.Fatal(err)
	}
	one := append(binary.BigEndian.AppendUint16(nil, uint16(len(p))), p...)
	if _, err := client.Write(append(append(append([]byte{}, one...), one...), one...)); err != nil {
		t.Fatal(err)
	}
	conn := &dns.Conn{Conn: client}
	for range 3 {
		r, err := conn.ReadMsg()
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Answer[0].(*dns.TXT).Txt[1]; got != "2" {
			t.Errorf("transport %s, want TLS", got)
		}
	}
	client.Close()
	<-done
	if counted.writes != 1 {
		t.Errorf("%d writes for 3 answers", counted.writes)
	}
}

type countingConn struct {
	net.Conn

	writes int
}

func (c *countingConn) Write(p []byte) (int, error) { c.writes++; return c.Conn.Write(p) }

// Queries and answers as long as a length can say.
func TestLong(t *testing.T) {
	f := start(t, "127.0.0.1:0", nil)
	conn := dial(t, f.addr)
	q := query("long.", dns.TypeTXT)
	q.SetEdns0(1232, false)
	q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_PADDING{Padding: make([]byte, 65000)}}
	for range 3 {
		if err := conn.WriteMsg(q); err != nil {
			t.Fatal(err)
		}
		r, err := conn.ReadMsg()
		if err != nil || len(r.Answer) != 241 {
			t.Fatalf("%v: %d answers", err, len(r.Answer))
		}
	}
}

// Who sends what must not be answered is not listened to any further.
func TestSilence(t *testing.T) {
	f := start(t, "127.0.0.1:0", nil)
	for name, octets := range map[string]string{"answer": "\x00\x0c\x12\x34\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00", "empty": "\x00\x00", "scrap": "\x00\x03abc"} {
		conn := dial(t, f.addr)
		if _, err := conn.Conn.Write([]byte(octets)); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(conn.Conn); err != nil || len(got) > 0 {
			t.Errorf("%s: %x, %v; want the end", name, got, err)
		}
	}
}

// A transfer is another function's, does not hold up other answers, and goes on when the client has no more to ask.
func TestTransfer(t *testing.T) {
	asked, next := make(chan struct{}), make(chan struct{})
	f := start(t, "127.0.0.1:0", func(ctx context.Context, packet []byte, from respond.Peer, write func([]byte) error) {
		q := new(dns.Msg)
		if err := q.Unpack(packet); err != nil || from.Transport != respond.TCP {
			t.Errorf("%v from %v", err, from)
		}
		close(asked)
		for range 2 {
			select {
			case <-next:
			case <-ctx.Done():
				return
			}
			p, err := new(dns.Msg).SetReply(q).Pack()
			if err == nil {
				err = write(p)
			}
			if err != nil {
				t.Error(err)
			}
		}
		if err := write(make([]byte, 65536)); err == nil {
			t.Error("65,536 octets are written")
		}
	})
	conn := dial(t, f.addr)
	axfr := query("zone.", dns.TypeAXFR)
	if err := errors.Join(conn.WriteMsg(axfr), conn.WriteMsg(query("who.", dns.TypeTXT))); err != nil {
		t.Fatal(err)
	}
	if r, err := conn.ReadMsg(); err != nil || r.Question[0].Qtype != dns.TypeTXT {
		t.Fatalf("%v, %v: want the other answer", r, err)
	}
	<-asked
	if err := conn.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		next <- struct{}{}
		if r, err := conn.ReadMsg(); err != nil || r.Id != axfr.Id {
			t.Fatalf("%v, %v: want the transfer", r, err)
		}
	}
	if got, err := io.ReadAll(conn.Conn); err != nil || len(got) > 0 {
		t.Errorf("%x, %v: want the end", got, err)
	}
}

// A transfer is told who asks as its client goes on asking; the race detector sees to it that nothing of that changes meanwhile.
func TestTransferBesideQueries(t *testing.T) {
	f := start(t, "127.0.0.1:0", func(_ context.Context, packet []byte, from respond.Peer, write func([]byte) error) {
		if from.Transport != respond.TCP || !from.Addr.IsLoopback() {
			t.Errorf("asked by %v", from)
		}
		packet[2] |= 0x80 // the query as its own answer
		if err := write(packet); err != nil {
			t.Error(err)
		}
	})
	axfr, other := query("zone.", dns.TypeAXFR), query("who.", dns.TypeTXT)
	for range 100 {
		conn := dial(t, f.addr)
		for range 4 {
			if err := errors.Join(conn.WriteMsg(axfr), conn.WriteMsg(other)); err != nil {
				t.Fatal(err)
			}
		}
		for range 8 {
			if r, err := conn.ReadMsg(); err != nil || r.Id != axfr.Id && r.Id != other.Id {
				t.Fatalf("%v, %v", r, err)
			}
		}
		conn.Close()
	}
}

// The end of the server ends transfers too.
func TestTransferEnds(t *testing.T) {
	asked := make(chan struct{})
	f := start(t, "127.0.0.1:0", func(ctx context.Context, _ []byte, _ respond.Peer, _ func([]byte) error) {
		close(asked)
		<-ctx.Done()
	})
	if err := dial(t, f.addr).WriteMsg(query("zone.", dns.TypeIXFR)); err != nil {
		t.Fatal(err)
	}
	<-asked
	f.end()
}

// One client cannot take all connections, and an open one does not hold up the end.
func TestConnections(t *testing.T) {
	f := start(t, "127.0.0.1:0", nil)
	var last *dns.Conn
	for range dnsfront.MaxConnsPerClient {
		last = dial(t, f.addr)
	}
	if err := last.WriteMsg(query("who.", dns.TypeTXT)); err != nil { // answered: all are accepted by now
		t.Fatal(err)
	}
	if _, err := last.ReadMsg(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(dial(t, f.addr).Conn); err != nil {
		t.Errorf("the connection too many: %v, want it closed", err)
	}
	want := `
# HELP nearcast_scheduler_dns_connections_refused_total DNS connections over TCP closed at once because there were too many, by limit.
# TYPE nearcast_scheduler_dns_connections_refused_total counter
nearcast_scheduler_dns_connections_refused_total{limit="client-connections"} 1
nearcast_scheduler_dns_connections_refused_total{limit="connections"} 0
`
	if err := testutil.GatherAndCompare(f.reg, strings.NewReader(want), "nearcast_scheduler_dns_connections_refused_total"); err != nil {
		t.Error(err)
	}
	f.end()
}

// While few places are left those that have one are told to be quick, and are waited for for as long as they are told.
func TestIdleIsTold(t *testing.T) {
	s, err := dnsfront.New(dnsfront.Config{
		Addr: "127.0.0.1:0", NewResponder: newResponder, Connections: 16, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	defer func() { cancel(); <-done }()
	for open := 1; open <= 16; open++ {
		c := dial(t, s.Addr().String())
		if err := c.WriteMsg(query("idle.", dns.TypeTXT)); err != nil {
			t.Fatal(err)
		}
		r, err := c.ReadMsg()
		if err != nil {
			t.Fatal(err)
		}
		want := dnsfront.IdleTimeout
		if open == 16 {
			want = dnsfront.ShortTimeout
		} else if open > 12 {
			want = 4 * time.Second
		}
		if got := r.Answer[0].(*dns.TXT).Txt[0]; got != want.String() {
			t.Errorf("%d of 16: %s, want %s", open, got, want)
		}
	}
}

// A port that is taken shows at once, for either protocol.
func TestTaken(t *testing.T) {
	f := start(t, "127.0.0.1:0", nil)
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	for _, addr := range []string{f.addr, udp.LocalAddr().String(), "nonsense"} {
		if _, err := dnsfront.New(dnsfront.Config{Addr: addr, NewResponder: newResponder, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()}); err == nil {
			t.Errorf("listening on %s did not fail", addr)
		}
	}
}
