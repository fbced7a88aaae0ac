package dnsfront

import (
	"runtime/debug"
	"time"

	"nearcast/scheduler/dnswire"
	"nearcast/scheduler/respond"
)

// guard is a responder whose panics cost one answer, and not the process: the same query will come again.
type guard struct {
	server  *Server
	respond Responder
}

func (s *Server) newGuard() *guard { return &guard{s, s.cfg.NewResponder()} }

// answer is the responder's answer, or SERVFAIL if it panics. Another takes the place of one that has: what it was at is half done.
func (g *guard) answer(dst, query []byte, from respond.Peer) (out []byte) {
	defer func() {
		if v := recover(); v != nil {
			g.server.panicked(v)
			g.respond = g.server.cfg.NewResponder()
			out = failure(dst, query)
		}
	}()
	return g.respond(dst, query, from)
}

// panicked counts a panic, and tells of it if nobody has been told of one within a second.
func (s *Server) panicked(v any) {
	s.metrics.panics.Inc()
	if others, ok := s.told.Allow(time.Now()); ok {
		s.log.Error("a defect: answering a DNS query has panicked", "panic", v, "others", others, "stack", string(debug.Stack()))
	}
}

// failure appends SERVFAIL without a question, or returns nil for what must not be answered.
func failure(dst, query []byte) []byte {
	const header = 12
	if len(query) < header || query[2]&0x80 != 0 {
		return nil
	}
	return append(dst, query[0], query[1], 0x80|query[2]&0x79, byte(dnswire.ServFail), 0, 0, 0, 0, 0, 0, 0, 0)
}
