package routequality

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"nearcast/cdn"
	"nearcast/internal/httpjson"
	"nearcast/routequality/table"
)

const (
	maxWait    = 8 * time.Second        // how long a poll waits; there is a table each 5 s, and who hears nothing for 12 s takes the server for dead
	firstWait  = patience + time.Second // likewise, while there is no table at all
	maxWaiters = 1024                   // polls that may wait at the same time
)

// serveTable answers with what makes the newest table of the caller's at once if the caller does not have it, and else when there is a newer one. After 8 s
// without one the answer is 204: what the caller has is still right. While there is no table at all it is 503 after 4 s: the caller should ask another server.
func (s *Server) serveTable(w http.ResponseWriter, r *http.Request) {
	epoch := r.FormValue("epoch")
	version, err := parseVersion(r.FormValue("version"))
	if err != nil {
		httpjson.WriteError(w, err)
		return
	}
	pieces, changed := s.feed.After(epoch, version)
	if len(pieces) == 0 {
		select {
		case s.waiters <- struct{}{}:
			defer func() { <-s.waiters }()
		default:
			s.metrics.polls.Inc()
			httpjson.WriteError(w, cdn.Errorf(cdn.Unavailable, "", "too many polls are waiting"))
			return
		}
		if s.await(r, changed) {
			pieces, _ = s.feed.After(epoch, version)
		}
	}
	switch {
	case len(pieces) > 0:
		answer(w, r, pieces)
	case s.feed.Latest() == nil:
		httpjson.WriteError(w, cdn.Errorf(cdn.Unavailable, "", "there is no route table yet"))
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// answer sends tables, compressed if the caller takes that and it is worth it.
func answer(w http.ResponseWriter, r *http.Request, pieces []*table.Piece) {
	packed := acceptsGzip(r.Header.Get("Accept-Encoding")) && (len(pieces) > 1 || !pieces[0].Small())
	parts, err := table.Answer(pieces, packed)
	if err != nil {
		httpjson.WriteError(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Vary", "Accept-Encoding")
	if packed {
		w.Header().Set("Content-Encoding", "gzip")
	}
	w.WriteHeader(http.StatusOK)
	for _, part := range parts {
		if _, err := w.Write(part); err != nil {
			return // the caller has gone, which is its own business
		}
	}
}

// acceptsGzip reports whether a caller takes gzip. Ours say so plainly; of others, who weigh codings, only those that name it.
func acceptsGzip(header string) bool {
	for item := range strings.SplitSeq(header, ",") {
		coding, weight, _ := strings.Cut(strings.TrimSpace(item), ";")
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			return !strings.HasPrefix(strings.ReplaceAll(weight, " ", ""), "q=0") || strings.ContainsAny(weight, "123456789")
		}
	}
	return false
}

// await reports whether there was a newer version in time.
func (s *Server) await(r *http.Request, changed <-chan struct{}) bool {
	wait := maxWait
	if s.feed.Latest() == nil {
		wait = firstWait
	}
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	select {
	case <-changed:
		return true
	case <-timeout.C:
	case <-r.Context().Done():
	case <-s.ending.Done():
	}
	return false
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
