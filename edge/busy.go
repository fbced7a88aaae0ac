package edge

import (
	"context"
	"errors"
	"net/http"
	"net/netip"

	"nearcast/edge/fill"
	"nearcast/internal/clientip"
)

// refuseFill counts and logs a fill that was refused for a client's request.
func (s *Server) refuseFill(ctx context.Context, client string, why error) {
	limit := "fills"
	if errors.Is(why, fill.ErrBusyClient) {
		limit = "client-fills"
	}
	s.metrics.fillsRefused.WithLabelValues(limit).Inc()
	if others, ok := s.refusals.Allow(s.now()); ok {
		s.log.WarnContext(ctx, "a fetch from upstream was refused", "client", client, "limit", limit, "running", s.fills.Running(), "others_since_last", others)
	}
}

// sendRefused answers a request whose fill must not be started: with what is stored, if that may stand in, or with 503
// (RFC 9209 section 2.3.12). The visitor may come again in a moment, for fills are short.
func (x *exchange) sendRefused(why error) {
	if errors.Is(why, fill.ErrClosed) {
		x.fail(http.StatusServiceUnavailable, "the node is closing")
		return
	}
	x.s.refuseFill(x.r.Context(), x.client, why)
	if x.stored != nil && x.standsIn(x.s.now(), x.stored, true) {
		x.sendStored(x.stored, wordStale, cacheStatus{fwd: x.forwardReason(), detail: "busy"})
		return
	}
	x.failBusy(why)
}

// failBusy is sendRefused without anything that may stand in.
func (x *exchange) failBusy(why error) {
	x.rec.cache = wordMiss
	x.w.Header().Set("Retry-After", "1")
	x.failOwn(http.StatusServiceUnavailable, "connection_limit_reached", why.Error())
}

// shareOf is whom a fill for an address counts for.
func shareOf(client string) string {
	ip, err := netip.ParseAddr(client)
	if err != nil {
		return client
	}
	return clientip.Share(ip).String()
}
