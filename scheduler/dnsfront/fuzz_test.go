package dnsfront_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/miekg/dns"

	"nearcast/scheduler/respond"
)

// script is a connection whose peer sends what is in it, a few octets at a time, and takes everything.
type script struct {
	in, out []byte
	step    int
}

func (s *script) Read(p []byte) (int, error) {
	if len(s.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.in[:min(s.step, len(s.in))])
	s.in = s.in[n:]
	return n, nil
}
func (s *script) Write(p []byte) (int, error)    { s.out = append(s.out, p...); return len(p), nil }
func (*script) Close() error                     { return nil }
func (*script) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (*script) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1} }
func (*script) SetDeadline(time.Time) error      { return nil }
func (*script) SetReadDeadline(time.Time) error  { return nil }
func (*script) SetWriteDeadline(time.Time) error { return nil }

// split cuts a stream into its messages; what is no whole one at its end is left out.
func split(stream []byte) [][]byte {
	var out [][]byte
	for len(stream) >= 2 {
		end := 2 + int(binary.BigEndian.Uint16(stream))
		if end > len(stream) {
			break
		}
		out = append(out, stream[2:end])
		stream = stream[end:]
	}
	return out
}

// FuzzStream sends whatever in whatever pieces: each query gets its answer in its turn, up to the first that must not be answered.
func FuzzStream(f *testing.F) {
	p, err := query("who.", dns.TypeTXT).Pack()
	if err != nil {
		f.Fatal(err)
	}
	one := append(binary.BigEndian.AppendUint16(nil, uint16(len(p))), p...)
	f.Add(one, byte(1))
	f.Add(append(append([]byte{}, one...), one...), byte(200))
	f.Add(append(append([]byte{}, one...), 0, 0, 1), byte(7))
	f.Add(append([]byte{255, 255}, make([]byte, 3000)...), byte(100))
	front := start(f, "127.0.0.1:0", func(_ context.Context, query []byte, _ respond.Peer, write func([]byte) error) {
		write(query)
	})
	answer := newResponder()
	f.Fuzz(func(t *testing.T, stream []byte, step byte) {
		s := &script{in: stream, step: 1 + int(step)}
		front.ServeStream(t.Context(), s, respond.TCP)
		want := 0
		for _, q := range split(stream) {
			m := new(dns.Msg)
			isTransfer := m.Unpack(q) == nil && len(m.Question) == 1 && (m.Question[0].Qtype == dns.TypeAXFR || m.Question[0].Qtype == dns.TypeIXFR)
			if isTransfer {
				return // answered at any time
			}
			if answer(nil, q, respond.Peer{}) == nil {
				break
			}
			want++
		}
		if got := split(s.out); len(got) != want {
			t.Errorf("%x: %d answers, want %d", stream, len(got), want)
		}
	})
}
