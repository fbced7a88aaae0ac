package routequality

import (
	"net/http"

	"nearcast/cdn"
	"nearcast/internal/httpjson"
	"nearcast/routequality/report"
)

// serveReport takes a POP's report. The answer is 200 with what the POP should know (a [report.Answer]) if it was taken, 409 if it was heard before or has
// been overtaken.
func (s *Server) serveReport(w http.ResponseWriter, r *http.Request) {
	answer, err := s.hear(w, r)
	if err != nil {
		reason := reasonOf(err)
		s.metrics.refused.WithLabelValues(reason).Inc()
		if others, ok := s.refusals.Allow(s.now()); ok && reason != "replayed" {
			s.log.WarnContext(r.Context(), "a report was refused", "error", err, "others", others)
		}
		httpjson.WriteError(w, err)
		return
	}
	s.metrics.taken.Inc()
	httpjson.Write(w, http.StatusOK, answer)
}

func (s *Server) hear(w http.ResponseWriter, r *http.Request) (*report.Answer, error) {
	select {
	case s.decoded <- struct{}{}:
		defer func() { <-s.decoded }()
	default:
		return nil, cdn.Errorf(cdn.Unavailable, "", "too many reports at the same time")
	}
	now := s.now()
	said, refused, err := report.Decode(http.MaxBytesReader(w, r.Body, report.MaxBody+1), now)
	s.metrics.parts.WithLabelValues("absurd").Add(float64(refused.Count))
	if err != nil {
		return nil, err
	}
	if refused.Count > 0 {
		if others, ok := s.refusals.Allow(now); ok {
			s.log.WarnContext(r.Context(), "parts of a report were refused", "pop", said.POP, "from", said.From, "errors", refused.Errors, "others", others)
		}
	}
	news, repeated, absurd, err := s.world.hear(now, said)
	if err != nil {
		return nil, err
	}
	s.metrics.parts.WithLabelValues("repeated").Add(float64(repeated))
	s.metrics.parts.WithLabelValues("absurd").Add(float64(absurd))
	if absurd > 0 {
		if others, ok := s.refusals.Allow(now); ok {
			s.log.WarnContext(r.Context(), "nodes say what cannot be of their load or their visitors", "pop", said.POP, "from", said.From, "parts", absurd, "others", others)
		}
	}
	if news {
		s.wake()
	}
	s.enqueue(said)
	return &report.Answer{Unusable: s.world.helpless(said.POP)}, nil
}

// reasonOf names why a report was refused.
func reasonOf(err error) string {
	switch cdn.KindOf(err) {
	case cdn.Invalid:
		return "malformed"
	case cdn.Conflict:
		return "replayed"
	case cdn.NotFound:
		return "stranger"
	case cdn.Unavailable:
		return "busy"
	default:
		return "other"
	}
}
