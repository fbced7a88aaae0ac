package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// session is a connection of HTTP/2 on which requests of any content can be made, one after the other.
type session struct {
	conn   *tls.Conn
	framer *http2.Framer
	stream uint32
}

func (t *tempter) dial2(ctx context.Context) (*session, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", t.s.TLS)
	if err != nil {
		return nil, err
	}
	s := &session{conn: tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}), stream: 1} //nolint:gosec // the certificate is the test's
	if err := s.conn.SetDeadline(time.Now().Add(forever)); err != nil {
		return nil, err
	}
	s.framer = http2.NewFramer(s.conn, bufio.NewReader(s.conn))
	s.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if _, err := s.conn.Write([]byte(http2.ClientPreface)); err != nil {
		return nil, err
	}
	return s, s.framer.WriteSettings()
}

// errCut is a connection or a stream that the server has ended without an answer.
var errCut = errors.New("cut off")

// ask makes a request of fields as they are, and returns the values of Location and the status of the answer.
func (s *session) ask(fields [][2]string) (status string, locations []string, err error) {
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	e.SetMaxDynamicTableSize(0)
	for _, f := range fields {
		if err := e.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			return "", nil, err
		}
	}
	stream := s.stream
	s.stream += 2
	if err := s.conn.SetDeadline(time.Now().Add(forever)); err != nil {
		return "", nil, err
	}
	if err := s.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}); err != nil {
		return "", nil, errCut
	}
	for {
		f, err := s.framer.ReadFrame()
		if err != nil {
			return "", nil, errCut
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				s.framer.WriteSettingsAck() //nolint:errcheck // the next read fails
			}
		case *http2.MetaHeadersFrame:
			for _, field := range f.Fields {
				switch field.Name {
				case ":status":
					status = field.Value
				case "location":
					locations = append(locations, field.Value)
				}
			}
		case *http2.GoAwayFrame:
			return "", nil, errCut
		case *http2.RSTStreamFrame:
			if f.StreamID == stream {
				return status, locations, nil
			}
		}
		h := f.Header()
		if h.StreamID == stream && h.Flags.Has(http2.FlagDataEndStream) && (h.Type == http2.FrameData || h.Type == http2.FrameHeaders) {
			return status, locations, nil
		}
	}
}

// try2 is try over HTTP/2, where the host may be in two places, and neither has a grammar.
func (t *tempter) try2(ctx context.Context) error {
	if t.second == nil {
		s, err := t.dial2(ctx)
		if err != nil {
			return err
		}
		t.second = s
	}
	host, target := "d1.cdn.test", t.bent(pick(t.rng, temptingTargets))
	if t.rng.IntN(2) == 0 {
		host = t.bent(pick(t.rng, temptingHosts))
	}
	fields := [][2]string{{":method", pick(t.rng, temptingMethods)}, {":scheme", pick(t.rng, []string{"https", "https", "http", "evil"})}, {":authority", host}, {":path", target}}
	if t.rng.IntN(8) == 0 {
		fields = append(fields[:2], fields[3])
	}
	for range t.rng.IntN(3) {
		fields = append(fields, [2]string{strings.ToLower(pick(t.rng, temptingFields)), t.bent(pick(t.rng, temptingValues))})
	}
	status, locations, err := t.second.ask(fields)
	switch {
	case errors.Is(err, errCut):
		t.second.conn.Close() //nolint:errcheck // it is over
		t.second = nil
		return nil
	case err != nil:
		return err
	case len(locations) == 0 && !strings.HasPrefix(status, "3"):
		return nil
	}
	t.sent.Add(1)
	if len(locations) != 1 {
		return fmt.Errorf("%q: %s to %q", fields, status, locations)
	}
	if err := t.s.world.configured(locations[0]); err != nil {
		return fmt.Errorf("%q: %w", fields, err)
	}
	return nil
}
