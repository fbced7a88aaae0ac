package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"nearcast/cdn"
)

// parentTries is how many regional nodes are tried before the origin is asked directly.
const parentTries = 3

// ask sends a request to where this node gets the content of the query's key from,
// and says who answered: a node's name or "origin". The header is the caller's to
// give away; body may be nil. An error is of kind Unavailable or Timeout, or
// the context's.
func (s *Server) ask(ctx context.Context, q *query, method string, h http.Header, body io.ReadCloser, length int64) (*http.Response, string, error) {
	req := &http.Request{
		Method: method, URL: q.target.URL(), Host: string(q.target.Domain), Header: h, Body: body, ContentLength: length,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if names := q.tables.candidates(q.key, s.cfg.Usable); len(names) > 0 {
		resp, node, err := s.askParents(ctx, q, req, names)
		if err == nil || ctx.Err() != nil || !repeatable(req, err) {
			return resp, node, err
		}
		s.metrics.bypassed.Inc()
	}
	resp, err := s.askOrigin(ctx, q, req)
	if err == nil && resp.StatusCode < 200 && h["Upgrade"] == nil {
		resp.Body.Close() //nolint:errcheck // nobody asked for a tunnel
		return nil, "origin", statusError(resp.StatusCode)
	}
	return resp, "origin", err
}

// askOrigin sends a request to the origin, and follows where that points to as far as the route wants it.
func (s *Server) askOrigin(ctx context.Context, q *query, req *http.Request) (*http.Response, error) {
	target := q.plan.Origin
	q.plan.RequestHeader(req.Header)
	for followed := 0; ; followed++ {
		req.URL, req.Host = target.URL(), string(target.Domain)
		s.metrics.upstream.WithLabelValues("origin").Inc()
		resp, err := s.cfg.Origin.Fetch(ctx, &q.site.Origin, req.WithContext(ctx))
		if err != nil {
			s.metrics.upstreamErrors.WithLabelValues("origin").Inc()
			return nil, err
		}
		if followed >= q.plan.Rule.FollowRedirects || req.Body != nil {
			return resp, nil
		}
		next, ok := redirected(target, resp)
		if !ok {
			return resp, nil
		}
		resp.Body.Close() //nolint:errcheck // a redirect's text that nobody reads
		target = next
	}
}

// redirected returns where a response redirects to (RFC 9110 section 15.4), if that is the same origin: of
// any other place it is the visitor who must decide to go there.
func redirected(from cdn.Target, resp *http.Response) (to cdn.Target, ok bool) {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return cdn.Target{}, false
	}
	location := resp.Header["Location"]
	if len(location) != 1 {
		return cdn.Target{}, false
	}
	u, err := from.URL().Parse(location[0])
	if err != nil {
		return cdn.Target{}, false
	}
	u.Fragment, u.RawFragment = "", ""
	to, err = cdn.ParseTarget(u.String())
	return to, err == nil && to.Domain == from.Domain && (to.Scheme == from.Scheme || to.Scheme == "https")
}

// askParents tries regional nodes in turn until one answers.
func (s *Server) askParents(ctx context.Context, q *query, req *http.Request, names []cdn.NodeName) (resp *http.Response, node string, err error) {
	for _, name := range names[:min(len(names), parentTries)] {
		node = string(name)
		s.metrics.upstream.WithLabelValues("regional").Inc()
		resp, err = s.askParent(ctx, q, req, name)
		if err == nil {
			return s.unwrap(resp, node)
		}
		s.metrics.upstreamErrors.WithLabelValues("regional").Inc()
		if ctx.Err() != nil || !repeatable(req, err) {
			break
		}
		s.log.DebugContext(ctx, "a regional node did not answer", "node", node, "error", err)
	}
	return nil, node, err
}

func (s *Server) askParent(ctx context.Context, q *query, req *http.Request, name cdn.NodeName) (*http.Response, error) {
	out := req.Clone(ctx)
	out.URL.Scheme, out.URL.Host = "http", q.tables.addrs[name]
	own := hop{node: s.cfg.Node, at: s.now(), revision: s.begun.load(), scheme: q.target.Scheme, country: countryWord(q.country)}
	out.Header.Set(hopField, own.sign(s.cfg.Secret, q.target.String(), q.client))
	if req.Body != nil {
		out.Body = io.NopCloser(req.Body) // a failed dial closes it, and the next try needs it
	}
	resp, err := s.parents.RoundTrip(out)
	if err != nil {
		kind := cdn.Unavailable
		if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() {
			kind = cdn.Timeout
		}
		return nil, cdn.Errorf(kind, "", "asking node %s: %w", name, err)
	}
	return resp, nil
}

// unwrap turns a regional node's account of an origin's failure back into the error
// that it was, so that this node may use its own stale copy.
func (s *Server) unwrap(resp *http.Response, node string) (*http.Response, string, error) {
	field := resp.Header.Get(errorField)
	if field == "" {
		return resp, node, nil
	}
	resp.Body.Close() //nolint:errcheck // a short text that nobody reads
	return nil, node, &remoteError{
		cause:  cdn.Errorf(cdn.ParseKind(field), "", "node %s could not reach the origin", node),
		status: resp.StatusCode, proxyStatus: joinLines(resp.Header["Proxy-Status"]),
	}
}

// remoteError is a failure behind the regional node: asking another one is no help.
type remoteError struct {
	cause       error
	status      int    // what the regional node answered
	proxyStatus string // its Proxy-Status
}

func (e *remoteError) Error() string { return e.cause.Error() }
func (e *remoteError) Unwrap() error { return e.cause }

// repeatable reports whether a request that failed may be sent to somebody else: if it
// changes nothing (RFC 9110 section 9.2.2), or if it was never sent.
func repeatable(req *http.Request, err error) bool {
	if _, ok := errors.AsType[*remoteError](err); ok {
		return false
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	return req.Body == nil && (req.Method == http.MethodGet || req.Method == http.MethodHead)
}

// parentTransport is the connection pool to regional nodes: plain, with many idle
// connections, since all of a node's misses go to few of them.
func parentTransport() *http.Transport {
	dialer := net.Dialer{Timeout: 2 * time.Second, KeepAlive: 15 * time.Second}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    256,
		IdleConnTimeout:        60 * time.Second, // below the other side's idle timeout
		ResponseHeaderTimeout:  65 * time.Second, // two attempts at the default of an origin's response timeout
		MaxResponseHeaderBytes: maxHeaderBytes,
		WriteBufferSize:        16 << 10,
		ReadBufferSize:         64 << 10,
	}
}

// failure says how an upstream failed, in a word for Cache-Status and the status for
// the visitor.
func failure(err error) (detail string, status int) {
	if cdn.KindOf(err) == cdn.Timeout || errors.Is(err, context.DeadlineExceeded) {
		return "timeout", http.StatusGatewayTimeout
	}
	return "unavailable", http.StatusBadGateway
}

// kindOf is the kind of an upstream's failure, for another node.
func kindOf(err error) string {
	if detail, _ := failure(err); detail == "timeout" {
		return cdn.Timeout.String()
	}
	return cdn.Unavailable.String()
}

// statusError is a response of the upstream that counts as its failure.
func statusError(status int) error { return fmt.Errorf("the upstream answered %d", status) }
