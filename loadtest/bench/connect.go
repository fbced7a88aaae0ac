package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// patience is how long anything on one connection may take.
const patience = 20 * time.Second

// workers is how many connections are made at the same time.
const workers = 16

// dialer makes connections from several addresses of this machine: one has only 28,000 ports.
type dialer struct {
	job  clientJob
	tls  *tls.Config
	next atomic.Uint32
}

func newDialer(job clientJob) *dialer {
	return &dialer{job: job, tls: &tls.Config{
		InsecureSkipVerify: true, ServerName: "localhost", MinVersion: tls.VersionTLS13,
		// What all peers have: OpenSSL 3.0 knows no ML-KEM.
		CurvePreferences: []tls.CurveID{tls.X25519}, NextProtos: []string{"http/1.1"},
	}}
}

// dial makes a connection. The session cache is nil for a full handshake.
func (d *dialer) dial(ctx context.Context, sessions tls.ClientSessionCache) (net.Conn, error) {
	from := net.IPv4(127, 0, 0, byte(2+d.next.Add(1)%60))
	conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: from}, Timeout: patience}).DialContext(ctx, "tcp", d.job.Addr)
	if err != nil || !d.job.TLS {
		return conn, err
	}
	cfg := d.tls.Clone()
	cfg.ClientSessionCache = sessions
	secure := tls.Client(conn, cfg)
	conn.SetDeadline(time.Now().Add(patience)) //nolint:errcheck // the handshake will say
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close() //nolint:errcheck // of no use
		return nil, err
	}
	if s := secure.ConnectionState(); s.CurveID != tls.X25519 || s.Version != tls.VersionTLS13 {
		conn.Close() //nolint:errcheck // of no use
		return nil, fmt.Errorf("the server chose %s and version %x", s.CurveID, s.Version)
	}
	return secure, nil
}

// request asks for the job's path and reads the response. The host is that of wrk and h2load: caches may keep an object for each.
func (d *dialer) request(conn net.Conn) error {
	conn.SetDeadline(time.Now().Add(patience)) //nolint:errcheck // the write will say
	if _, err := io.WriteString(conn, "GET "+d.job.Path+" HTTP/1.1\r\nHost: "+d.job.Addr+"\r\n\r\n"); err != nil {
		return err
	}
	return readResponse(bufio.NewReaderSize(conn, 2048))
}

// readResponse reads a response that has a Content-Length, with less work than net/http.
func readResponse(r *bufio.Reader) error {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
		return fmt.Errorf("the server answers %q", line)
	}
	length := -1
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(line)) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return errors.New("a response without Content-Length")
	}
	_, err = r.Discard(length)
	return err
}

// tally collects what several goroutines did.
type tally struct {
	mu   sync.Mutex // guards the following
	took []time.Duration
	sum  clientReport
}

func (t *tally) add(took time.Duration, resumed bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err != nil:
		t.sum.Failed++
		if t.sum.Error == "" {
			t.sum.Error = err.Error()
		}
		return
	case resumed:
		t.sum.Resumed++
	}
	t.sum.Connections++
	t.took = append(t.took, took)
}
