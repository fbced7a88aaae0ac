package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"golang.org/x/sync/errgroup"
)

// webClients is how many connections ask over HTTP, one request at a time each.
const webClients = 64

// asking is a connection that is ready to be asked over. It makes one request and reads the answer.
type asking struct {
	conn net.Conn
	once func() error
}

// connect makes connections. Who calls it closes those that it returns, also with an error.
func connect(ctx context.Context, open func(ctx context.Context, i int) (*asking, error)) (all []*asking, err error) {
	for i := range webClients {
		a, err := open(ctx, i)
		if err != nil {
			return all, err
		}
		all = append(all, a)
	}
	return all, nil
}

// askAll asks over all connections until ctx ends, and once at least.
func askAll(ctx context.Context, all []*asking, answered *atomic.Int64) error {
	var group errgroup.Group
	for _, a := range all {
		group.Go(func() error {
			for {
				if err := a.conn.SetDeadline(time.Now().Add(forever)); err != nil {
					return err
				}
				if err := a.once(); err != nil {
					return err
				}
				answered.Add(1)
				if ctx.Err() != nil {
					return nil //nolint:nilerr // the time is over
				}
			}
		})
	}
	return group.Wait()
}

// overHTTP2 asks DNS over HTTPS by HTTP/2, with as little work for each request as a client can have.
func (s *stage) overHTTP2(ctx context.Context, i int) (*asking, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.TLS)
	if err != nil {
		return nil, err
	}
	secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}) //nolint:gosec // the certificate is the test's
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	out := bufio.NewWriterSize(secure, 4096)
	framer := http2.NewFramer(out, bufio.NewReaderSize(secure, 16<<10))
	framer.SetReuseFrames()
	if _, err := out.WriteString(http2.ClientPreface); err != nil {
		return nil, err
	}
	const window = 1<<31 - 1
	if err := framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window}); err != nil {
		return nil, err
	}
	if err := framer.WriteWindowUpdate(0, window-65535); err != nil { // more than it will get
		return nil, err
	}
	var heads [16][]byte
	for j := range heads {
		if heads[j], err = s.dohHead(16*i + j); err != nil {
			return nil, err
		}
	}
	stream := uint32(1)
	return &asking{secure, func() error {
		err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: heads[stream/2%16], EndStream: true, EndHeaders: true})
		if err == nil {
			err = out.Flush()
		}
		if err == nil {
			err = readStream(framer, stream)
		}
		stream += 2
		return err
	}}, nil
}

// dohHead is the head of a request in HPACK, without the dynamic table.
func (s *stage) dohHead(i int) ([]byte, error) {
	m := question(fmt.Sprintf("d%d.%s.", i%worldNames+1, worldZone), dns.TypeA, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), 7, 0}), 24), false)
	m.Id = 0
	packet, err := m.Pack()
	if err != nil {
		return nil, err
	}
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	e.SetMaxDynamicTableSize(0)
	for _, field := range [][2]string{
		{":method", "GET"},
		{":scheme", "https"},
		{":authority", s.TLS},
		{":path", "/dns-query?dns=" + base64.RawURLEncoding.EncodeToString(packet)},
		{"accept", "application/dns-message"},
	} {
		if err := e.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}); err != nil {
			return nil, err
		}
	}
	return block.Bytes(), nil
}

// readStream reads to the end of a stream, and that it has an answer of DNS.
func readStream(framer *http2.Framer, stream uint32) error {
	octets := 0
	for {
		f, err := framer.ReadFrame()
		if err != nil {
			return err
		}
		switch f := f.(type) {
		case *http2.DataFrame:
			octets += len(f.Data())
		case *http2.SettingsFrame:
			if !f.IsAck() {
				if err := framer.WriteSettingsAck(); err != nil {
					return err
				}
			}
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return fmt.Errorf("the server ends it: %v", f)
		}
		h := f.Header()
		if h.StreamID == stream && h.Flags.Has(http2.FlagDataEndStream) && (h.Type == http2.FrameData || h.Type == http2.FrameHeaders) {
			if octets < 12+20 {
				return fmt.Errorf("an answer of %d octets", octets)
			}
			return nil
		}
	}
}

// overHTTP1 asks the redirecting front over a kept connection.
func (s *stage) overHTTP1(ctx context.Context, i int) (*asking, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.Plain)
	if err != nil {
		return nil, err
	}
	request := fmt.Appendf(nil, "GET /videos/a/segment-00001.ts?session=12345678 HTTP/1.1\r\nHost: d%d.%s\r\nUser-Agent: load\r\nAccept: */*\r\nX-Forwarded-For: 10.%d.7.9\r\n\r\n", i+1, worldZone, i)
	in := bufio.NewReaderSize(conn, 4096)
	return &asking{conn, func() error {
		if _, err := conn.Write(request); err != nil {
			return err
		}
		return readRedirect(in)
	}}, nil
}

// readRedirect reads a redirect with its content.
func readRedirect(in *bufio.Reader) error {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 302 ")) {
		return fmt.Errorf("%q, want %d", line, http.StatusFound)
	}
	length := 0
	for {
		if line, err = in.ReadSlice('\n'); err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && bytes.EqualFold(name, []byte("content-length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
	}
	_, err = io.CopyN(io.Discard, in, int64(length))
	return err
}
