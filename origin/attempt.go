package origin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"

	"nearcast/cdn"
)

// defaultAttempts is what zero in [cdn.Origin] Attempts means.
const defaultAttempts = 2

// exchange is one request on its way to an origin, whichever address takes it.
type exchange struct {
	origin     *cdn.Origin
	serverName string                               // for TLS; empty means the address's own host
	method     string                               // of the request
	body       *heldBody                            // nil if there is none
	build      func(address *url.URL) *http.Request // makes the request for one address
}

// repeatable reports whether the request may reach the origin twice: its method
// is safe (RFC 9110 section 9.2.1) and nothing of it is consumed by sending it.
func (x *exchange) repeatable() bool {
	switch x.method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return x.body == nil
	}
	return false
}

// do puts the request to the origin's addresses until one answers or the attempts
// are used up. An answer of 502, 503 or 504 of a load balancer counts as a failure
// of that address while there is another to ask, but is better than none.
func (c *Client) do(ctx context.Context, x exchange) (*http.Response, error) {
	defer x.body.release()
	up, err := c.pool.get(&x, time.Now())
	if err != nil {
		return nil, err
	}
	attempts := x.origin.Attempts
	if attempts <= 0 {
		attempts = defaultAttempts
	}
	order := up.order(time.Now())
	var kept *http.Response // the best answer so far, a gateway's error
	for i := range attempts {
		if i > 0 {
			c.metrics.retries.Inc()
		}
		a := order[i%len(order)]
		resp, reached, err := c.once(ctx, up, a, &x)
		last := i == attempts-1
		switch {
		case ctx.Err() != nil:
			discard(kept)
			discard(resp)
			return nil, ctx.Err()
		case err == nil:
			discard(kept)
			if last || i+1 >= len(order) || !x.repeatable() || !gatewayFault(resp) {
				return resp, nil
			}
			kept = resp
		case last || !mayRepeat(&x, reached, err):
			if kept != nil {
				return kept, nil
			}
			return nil, err
		default:
			c.log.DebugContext(ctx, "origin attempt failed, trying again", "attempt", i+1, "error", err)
		}
	}
	return kept, nil
}

// mayRepeat reports whether the request can go to the next address after err.
func mayRepeat(x *exchange, reached progress, err error) bool {
	if reached == unconnected {
		return true // nothing of it was sent
	}
	return x.repeatable() && reached == connected && cdn.KindOf(err) == cdn.Unavailable
}

// gatewayFault reports an answer that says "not from here, not now".
func gatewayFault(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// discard closes a response that nobody will read.
func discard(resp *http.Response) {
	if resp != nil {
		resp.Body.Close() //nolint:errcheck // nothing is wanted of it any more
	}
}

// progress is how far an attempt came.
type progress int32

const (
	unconnected progress = iota // no connection: nothing was sent
	connected                   // a connection: something may have been sent
	answered                    // the origin has begun to answer
)

// once makes one attempt at one address.
func (c *Client) once(ctx context.Context, up *upstream, a *address, x *exchange) (*http.Response, progress, error) {
	var reached atomic.Int32
	ctx, cancel := context.WithCancel(ctx)
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) {
			reached.Store(int32(connected))
			x.body.give()
		},
		GotFirstResponseByte: func() { reached.Store(int32(answered)) },
	})
	out := x.build(a.url)
	if x.body != nil {
		out.Body = x.body
	}
	resp, err := up.transport.RoundTrip(out.WithContext(traced))
	got := progress(reached.Load())
	if err == nil {
		if err = acceptable(resp, out.Header["Upgrade"] != nil); err != nil {
			discard(resp)
		}
	}
	if got != unconnected {
		a.failed.Store(0)
	} else if ctx.Err() == nil { // else nothing was learnt about it
		a.failed.Store(time.Now().Add(passOver).UnixNano())
	}
	if err != nil {
		cancel()
		return nil, got, fault(a.name, got.doing(), err)
	}
	if tunnel, ok := resp.Body.(io.ReadWriteCloser); ok && resp.StatusCode == http.StatusSwitchingProtocols {
		resp.Body = &tunnelBody{ReadWriteCloser: tunnel, cancel: cancel}
		return resp, got, nil
	}
	resp.Body = watchBody(resp.Body, a.name, up.responseTimeout, cancel)
	return resp, got, nil
}

// acceptable returns what net/http lets pass and a cache must not: tunnels that nobody asked for, and
// field names and values that the next parser might read in another way.
func acceptable(resp *http.Response, upgrade bool) error {
	if resp.StatusCode == http.StatusSwitchingProtocols && !upgrade {
		return errors.New("the origin switched protocols unasked")
	}
	for name, values := range resp.Header {
		if !isToken(name) {
			return fmt.Errorf("%q is not a field name", name)
		}
		for _, v := range values {
			if !isFieldValue(v) {
				return fmt.Errorf("field %s has a control octet in its value", name)
			}
		}
	}
	return nil
}

// doing names the step that an attempt failed in.
func (p progress) doing() string {
	switch p {
	case unconnected:
		return "connecting"
	case connected:
		return "waiting for the response"
	default:
		return "reading the response's header"
	}
}
