package memnet

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// stream is one end of a connection.
type stream struct {
	host, peer *Host
	in, out    *half
}

// half is one direction of a connection.
type half struct {
	reader *Host // what it has not fetched waits while it stands still

	mu       sync.Mutex    // guards the following
	changed  chan struct{} // closed when something below changes
	chunks   []chunk
	last     time.Time // when the last chunk arrives
	stalled  bool      // something was lost for good: nothing arrives any more
	ended    bool      // by the writer, after the chunks
	gone     bool      // by the reader
	deadline time.Time // of the reader
}

type chunk struct {
	at   time.Time
	data []byte
}

func pair(a, b *Host) (near, far *stream) {
	there, back := newHalf(b), newHalf(a)
	return &stream{a, b, back, there}, &stream{b, a, there, back}
}

func newHalf(reader *Host) *half { return &half{reader: reader, changed: make(chan struct{})} }

// change does something to a half and wakes who waits.
func (h *half) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	close(h.changed)
	h.changed = make(chan struct{})
}

// Read returns what has arrived, or waits for it.
func (s *stream) Read(p []byte) (int, error) {
	for {
		n, wait, changed, err := s.in.poll(p)
		if wait == 0 {
			return n, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-changed:
		}
		timer.Stop()
	}
}

// poll reads without waiting. A wait above zero says for how long nothing will change, unless changed is closed.
func (h *half) poll(p []byte) (n int, wait time.Duration, changed chan struct{}, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	switch {
	case h.gone:
		return 0, 0, nil, net.ErrClosed
	case !h.deadline.IsZero() && !now.Before(h.deadline):
		return 0, 0, nil, os.ErrDeadlineExceeded
	}
	wait = time.Hour
	if !h.deadline.IsZero() {
		wait = h.deadline.Sub(now)
	}
	if len(h.chunks) == 0 {
		if h.ended && !h.stalled {
			return 0, 0, nil, io.EOF
		}
		return 0, wait, h.changed, nil
	}
	first := &h.chunks[0]
	if arrives := max(first.at.Sub(now), h.reader.Standstill()); arrives > 0 {
		return 0, min(wait, arrives), h.changed, nil
	}
	n = copy(p, first.data)
	if first.data = first.data[n:]; len(first.data) == 0 {
		h.chunks = h.chunks[1:]
	}
	return n, 0, nil, nil
}

// Write sends. It never waits; what chance takes arrives late, and what is sent into silence stops the stream.
func (s *stream) Write(p []byte) (int, error) {
	if s.host.closed.Load() {
		return 0, net.ErrClosed
	}
	segments := (len(p) + segmentSize - 1) / segmentSize
	s.host.octets.Add(int64(len(p) + segments*segmentOverhead))
	s.peer.octets.Add(int64((segments + 1) / 2 * segmentOverhead)) // acknowledgements
	l := link{s.host.addr, s.peer.addr}
	passes := s.host.net.passes(l.from, l.to)
	delay, late := s.host.net.fate(l, s.host.count(l.to))
	delay += s.host.Standstill()
	for rto := retransmitTimeout; late && rto < time.Minute; rto *= 2 {
		delay += rto
		late = s.host.net.lost(l, s.host.count(l.to))
	}
	s.out.change(func() {
		if s.out.stalled = s.out.stalled || !passes; s.out.stalled {
			return
		}
		if at := time.Now().Add(delay); at.After(s.out.last) {
			s.out.last = at
		}
		s.out.chunks = append(s.out.chunks, chunk{s.out.last, append([]byte(nil), p...)})
	})
	return len(p), nil
}

// Close ends both directions. What was written still arrives.
func (s *stream) Close() error {
	s.out.change(func() { s.out.ended = true })
	s.in.change(func() { s.in.gone = true })
	return nil
}

// SetDeadline bounds reading; writing never waits.
func (s *stream) SetDeadline(t time.Time) error { return s.SetReadDeadline(t) }

// SetReadDeadline bounds reading.
func (s *stream) SetReadDeadline(t time.Time) error {
	s.in.change(func() { s.in.deadline = t })
	return nil
}

// SetWriteDeadline does nothing: writing never waits.
func (s *stream) SetWriteDeadline(time.Time) error { return nil }

// LocalAddr returns the host's address.
func (s *stream) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(s.host.addr) }

// RemoteAddr returns the peer's address.
func (s *stream) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(s.peer.addr) }
