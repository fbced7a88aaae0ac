package http1

import "nearcast/internal/web/lane"

// scratch is the memory that a connection works in. Connections come and go, so that it is
// handed from one to the next.
type scratch struct {
	in    []byte
	out   []byte
	vec   [][]byte
	held  []byte // content that is not sent yet
	head  head
	names []string // of response fields, being sorted

	request lane.Request // for the lane, as is
	answer  lane.Answer
}

// takeScratch returns memory to work in, which may be zero.
func (s *Server) takeScratch() *scratch {
	if m, ok := s.pool.Get().(*scratch); ok {
		return m
	}
	return &scratch{in: make([]byte, smallBuffer), out: make([]byte, 0, smallBuffer), held: make([]byte, 0, smallBuffer)}
}

// giveScratch takes it back, unless somebody made it grow a lot.
func (s *Server) giveScratch(m *scratch) {
	if len(m.in) > 4*smallBuffer || cap(m.out) > 2*maxWaiting || cap(m.held) > 4*smallBuffer || cap(m.vec) > 256 {
		return
	}
	clear(m.names[:cap(m.names)])
	m.head.reset()
	clear(m.request.Fields[:cap(m.request.Fields)]) // they may lie in a larger buffer than there is now
	m.request.Reset()
	m.answer.Reset()
	s.pool.Put(m)
}
