package httpfront

import (
	"strconv"
	"strings"
	"time"

	"nearcast/scheduler/querylog"
	"nearcast/scheduler/redirect"
)

// note logs a visitor's request if it is its turn; without an answer it is relayed. Of the URL there is nothing behind the "?": that is between the visitor and the site,
// and where targets are signed, a signature.
func (s *Server) note(ask *redirect.Request, o *redirect.Outcome, answer *reply) {
	if !s.cfg.QueryLog.Sampled() {
		return
	}
	e := querylog.Entry{
		At: ask.Now, Front: querylog.Redirect, Peer: ask.Client, Name: querylog.Clip(ask.Host), Type: querylog.Clip(ask.Method), Code: querylog.Relayed,
		POP: o.POP, Reason: o.Reason, Micros: time.Since(ask.Now).Microseconds(),
	}
	if path, _, _ := strings.Cut(ask.Target, "?"); strings.HasPrefix(path, "/") {
		e.Path = querylog.Clip(path)
	}
	if answer != nil {
		e.Code, e.Octets = strconv.Itoa(answer.status), len(answer.content)
	}
	s.cfg.QueryLog.Add(e)
}
