package attack

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var (
	// errOwn is the end of a connection that the attacker has ended.
	errOwn = errors.New("ended by the attacker")
	// errNotYet is the end of a connection before the attack could begin.
	errNotYet = errors.New("not connected")
	// errGone is the end of a connection that the server takes no more requests from.
	errGone = errors.New("the server goes away")
)

// patience is how long connecting may take.
const patience = 10 * time.Second

// dialer makes connections from many addresses of this machine.
type dialer struct {
	target Target
	addr   string
	hello  []byte // a ClientHello
	small  bool   // a small receive buffer
	begun  func() // called by every session whose attack begins
	next   atomic.Uint32
}

func newDialer(a Attack, t Target, begun func()) (*dialer, error) {
	if t.Drip == 0 {
		t.Drip = time.Second
	}
	if t.Network == 0 {
		t.Network = 1
	}
	d := &dialer{target: t, addr: t.TLS, small: a.Slow, begun: begun}
	if a.Plain {
		d.addr = t.Plain
	}
	if err := local(d.addr); err != nil {
		return nil, err
	}
	var err error
	d.hello, err = clientHello()
	return d, err
}

func (d *dialer) dial(ctx context.Context) (net.Conn, error) {
	n := d.next.Add(1)
	dialer := net.Dialer{
		Timeout:   patience,
		LocalAddr: &net.TCPAddr{IP: net.IPv4(127, d.target.Network, byte(n/200%200), byte(1+n%200))},
	}
	if d.small {
		dialer.Control = func(_, _ string, raw syscall.RawConn) (err error) {
			return errors.Join(raw.Control(func(fd uintptr) {
				err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 2048)
			}), err)
		}
	}
	return dialer.DialContext(ctx, "tcp", d.addr)
}

// clientHello returns the first flight of a TLS client.
func clientHello() ([]byte, error) {
	ours, theirs := net.Pipe()
	client := tls.Client(theirs, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", NextProtos: []string{"h2", "http/1.1"}})
	go func() {
		client.Handshake() //nolint:errcheck,noctx // it fails: nobody answers
		theirs.Close()     //nolint:errcheck // a pipe
	}()
	defer ours.Close()                            //nolint:errcheck // a pipe
	ours.SetDeadline(time.Now().Add(time.Second)) //nolint:errcheck // the read will say
	hello := make([]byte, 5)
	if _, err := io.ReadFull(ours, hello); err != nil {
		return nil, fmt.Errorf("making a ClientHello: %w", err)
	}
	hello = append(hello, make([]byte, int(hello[3])<<8|int(hello[4]))...)
	if _, err := io.ReadFull(ours, hello[5:]); err != nil {
		return nil, fmt.Errorf("making a ClientHello: %w", err)
	}
	return hello, nil
}

// session is an attacker's connection. Its owner is the goroutine that attacks, except where said.
type session struct {
	ctx    context.Context //nolint:containedctx // a session is no longer than one call
	tcp    net.Conn
	conn   net.Conn // tcp, or TLS over it once secure has returned
	target Target
	hello  []byte
	begun  func()
	units  int64

	reading sync.WaitGroup // for the goroutine that reads, if there is one
	mu      sync.Mutex     // guards said
	said    string         // what the server said, from the goroutine that reads
}

// abort ends the connection at once, without a word. Any goroutine may call it.
func (s *session) abort() {
	if tcp, ok := s.tcp.(*net.TCPConn); ok {
		tcp.SetLinger(0) //nolint:errcheck // it may be closed
	}
	s.tcp.Close() //nolint:errcheck // it may be closed
}

// secure makes the connection one over TLS.
func (s *session) secure(protocol string) error {
	// Session tickets would make an attacker cheaper; but a flood of new connections is an attack of its own.
	conn := tls.Client(s.conn, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", NextProtos: []string{protocol}})
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		return errors.Join(errNotYet, err)
	}
	if got := conn.ConnectionState().NegotiatedProtocol; got != protocol && protocol == "h2" {
		return fmt.Errorf("%w: the server chose protocol %q", errNotYet, got)
	}
	s.conn = conn
	return nil
}

// say notes what the server said.
func (s *session) say(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = what
}

// lastWords returns how the server ended the connection.
func (s *session) lastWords(err error) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.said != "" {
		return s.said
	}
	return ending(err)
}

func ending(err error) string {
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return "closed"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed):
		return "reset"
	}
	if alert := (*net.OpError)(nil); errors.As(err, &alert) && alert.Op == "remote error" {
		return "TLS alert: " + strings.TrimPrefix(alert.Err.Error(), "tls: ")
	}
	return err.Error()
}

// write sends octets and counts units.
func (s *session) write(units int64, p []byte) error {
	s.begun()
	n, err := s.conn.Write(p)
	if n == len(p) {
		s.units += units
	}
	return err
}

// hold reads until the server ends the connection.
func (s *session) hold() error {
	s.begun()
	buf := make([]byte, 512)
	for first := true; ; first = false {
		n, err := s.conn.Read(buf)
		if first && bytes.HasPrefix(buf[:n], []byte("HTTP/1.")) {
			line, _, _ := bytes.Cut(buf[:n], []byte("\r\n"))
			s.say(string(line))
		}
		if err != nil {
			return err
		}
	}
}

// drip does something again and again, slowly, until the server ends the connection.
func (s *session) drip(step func() error) error {
	tick := time.NewTicker(s.target.Drip)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			return s.ctx.Err()
		}
		if err := step(); err != nil {
			return err
		}
		s.units++
	}
}

// background reads in a goroutine until the connection ends, which then ends the session.
func (s *session) background(read func() error) (ended <-chan error) {
	done := make(chan error, 1)
	s.reading.Go(func() {
		err := read()
		done <- err
		if err != nil {
			s.abort() // so that who writes hears of it
		}
	})
	return done
}
