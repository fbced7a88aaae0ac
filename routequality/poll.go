package routequality

import (
	"net/http"
	"strconv"
	"time"

	"nearcast/cdn"
	"nearcast/internal/httpjson"
)

const (
	maxWait    = 25 * time.Second // how long a poll waits; shorter than what middleboxes allow
	maxWaiters = 1024             // polls that may wait at the same time
)

// serveTable answers with the newest table at once if the caller does not have it,
// and else when there is a newer one. After 25 s without one the answer is 204:
// what the caller has is still right.
func (s *Server) serveTable(w http.ResponseWriter, r *http.Request) {
	epoch := r.FormValue("epoch")
	version, err := parseVersion(r.FormValue("version"))
	if err != nil {
		httpjson.WriteError(w, err)
		return
	}
	p := s.published.Load()
	if current(p.table, epoch, version) {
		select {
		case s.waiters <- struct{}{}:
			defer func() { <-s.waiters }()
		default:
			s.metrics.refused.Inc()
			httpjson.WriteError(w, cdn.Errorf(cdn.Unavailable, "", "too many polls are waiting"))
			return
		}
		if p = s.await(r, p); p == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	httpjson.Write(w, http.StatusOK, p.table)
}

// await returns the publication after p, or nil if there was none in time.
func (s *Server) await(r *http.Request, p *publication) *publication {
	timeout := time.NewTimer(maxWait)
	defer timeout.Stop()
	select {
	case <-p.superseded:
		return s.published.Load()
	case <-timeout.C:
	case <-r.Context().Done():
	case <-s.ending.Done():
	}
	return nil
}

// current reports whether a caller with that epoch and version has nothing to get.
func current(t *cdn.RouteTable, epoch string, version uint64) bool {
	return t == nil || t.Epoch == epoch && t.Version <= version
}

// parseVersion reads the version parameter; none means that the caller has no table.
func parseVersion(s string) (uint64, error) {
	if s == "" {
		return 0, nil
	}
	v, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, cdn.Errorf(cdn.Invalid, "", "version: want a whole number")
	}
	return v, nil
}
