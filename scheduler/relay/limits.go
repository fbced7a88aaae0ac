package relay

import (
	"io"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"nearcast/internal/clientip"
)

// slots bound what is under way. The fewer are left, the fewer a client may have: some that take as long as they may do not leave others without.
type slots struct {
	total, perClient int

	mu      sync.Mutex // guards what follows
	running int
	of      map[netip.Addr]int   // by client; no zeros
	wide    map[netip.Prefix]int // of IPv6, by the network that a customer may be given; no zeros
}

func newSlots(total, perClient int) *slots {
	return &slots{total: total, perClient: perClient, of: make(map[netip.Addr]int), wide: make(map[netip.Prefix]int)}
}

const (
	clientPart = 16 // a client gets another slot while it has less than what is left divided by this,
	widePart   = 8  // and the network that it is in, by this,
	wideBits   = 48 // which is of so many bits
)

// take takes a slot for a client, to be released once.
func (s *slots) take(client netip.Addr) (release func(), ok bool) {
	client = clientip.Share(client)
	var network netip.Prefix
	if client.Is6() {
		network, _ = client.Prefix(wideBits) // fails for a bad number of bits only
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	left := s.total - s.running
	if left <= 0 || s.of[client] >= min(s.perClient, (left+clientPart-1)/clientPart) || network.IsValid() && s.wide[network] >= (left+widePart-1)/widePart {
		return nil, false
	}
	s.running++
	s.of[client]++
	if network.IsValid() {
		s.wide[network]++
	}
	return func() { s.release(client, network) }, true
}

func (s *slots) release(client netip.Addr, network netip.Prefix) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	if s.of[client]--; s.of[client] == 0 {
		delete(s.of, client)
	}
	if !network.IsValid() {
		return
	}
	if s.wide[network]--; s.wide[network] == 0 {
		delete(s.wide, network)
	}
}

func (s *slots) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running
}

// stall is how long nothing may move, from or to a visitor.
const stall = 60 * time.Second

// moving is a visitor's connection whose deadlines move with what is moved. Those of the server are for short answers.
type moving struct {
	http.ResponseWriter
	rc   *http.ResponseController
	from io.ReadCloser
	now  func() time.Time
}

func movingOf(w http.ResponseWriter, req *http.Request, limit int64, now func() time.Time) *moving {
	m := &moving{ResponseWriter: w, rc: http.NewResponseController(w), now: now}
	m.extendWrite()
	if req.Body != nil && req.Body != http.NoBody {
		m.from = http.MaxBytesReader(w, req.Body, limit)
	}
	return m
}

func (m *moving) extendWrite() {
	m.rc.SetWriteDeadline(m.now().Add(stall)) //nolint:errcheck // a server without deadlines has its own bounds
}

// Unwrap is for [http.ResponseController].
func (m *moving) Unwrap() http.ResponseWriter { return m.ResponseWriter }

// Write implements [http.ResponseWriter].
func (m *moving) Write(p []byte) (int, error) {
	m.extendWrite()
	return m.ResponseWriter.Write(p)
}

// body is the content of the visitor's request.
func (m *moving) body() io.ReadCloser {
	if m.from == nil {
		return http.NoBody
	}
	return (*incoming)(m)
}

// incoming is a moving's other direction.
type incoming moving

// Read implements [io.Reader].
func (m *incoming) Read(p []byte) (int, error) {
	m.rc.SetReadDeadline(m.now().Add(stall)) //nolint:errcheck // as for writing
	return m.from.Read(p)
}

// Close implements [io.Closer].
func (m *incoming) Close() error { return m.from.Close() }
