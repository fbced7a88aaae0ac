package origin

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
)

// Config says what a [Client] works with. Its zero value is usable.
type Config struct {
	// Log gets, for debugging, the failures that a retry hid from the caller. Nil
	// discards them; nearcast_origin_retries_total counts them anyway.
	Log *slog.Logger
	// Registry gets the metrics nearcast_origin_*. Nil means that nobody collects them.
	Registry *prometheus.Registry
	// RootCAs verify the certificates of https origins. Nil means the system's.
	RootCAs *x509.CertPool
	// Dial connects to "host:port". It must return once ctx ends. Nil means TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Client fetches from origins. It is safe for concurrent use.
type Client struct {
	log     *slog.Logger
	metrics *metrics
	pool    *pool
}

// New returns a client. It starts nothing; connections come with the requests.
func New(cfg Config) *Client {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Dial == nil {
		cfg.Dial = new(net.Dialer).DialContext
	}
	m := newMetrics(cfg.Registry)
	return &Client{log: cfg.Log, metrics: m, pool: newPool(cfg, m)}
}

// Fetch sends req to the origin and returns its response with the body unread;
// the caller closes it. ctx ends the exchange, the reading of the body included.
//
// req.URL is the normalised target, of which path and query are sent exactly as
// they are; its scheme and host do not matter. req.Host is the visitor's Host. The
// fields of req.Header go out except those of one connection (RFC 9110 section
// 7.6.1). Fetch closes req.Body, perhaps after it has returned.
//
// An error is a [*cdn.Error] of kind Timeout, Unavailable, or Invalid for what can
// never work; only the end of ctx is returned as it is.
func (c *Client) Fetch(ctx context.Context, o *cdn.Origin, req *http.Request) (*http.Response, error) {
	start := time.Now()
	fetch, label := c.fetchHTTP, cdn.OriginHTTP
	if o.Type == cdn.OriginS3 {
		fetch, label = c.fetchBucket, cdn.OriginS3
	}
	resp, err := fetch(ctx, o, req)
	c.metrics.done(label, resp, err, time.Since(start))
	if err == nil {
		resp.Request = req // not the one that was sent: that may carry a bucket's signature
	}
	return resp, err
}

// Close closes the idle connections and makes later calls of [Client.Fetch] fail.
// Responses still being read are their readers' to close.
func (c *Client) Close() { c.pool.close() }

// fetchHTTP puts the request to a web server.
func (c *Client) fetchHTTP(ctx context.Context, o *cdn.Origin, req *http.Request) (*http.Response, error) {
	host := o.Host
	if host == "" {
		host = req.Host
	}
	header := endToEnd(req.Header)
	if protocol := req.Header["Upgrade"]; len(protocol) == 1 && slices.Equal(req.Header["Connection"], []string{"Upgrade"}) {
		header["Connection"], header["Upgrade"] = []string{"Upgrade"}, protocol // of whoever asks us, and not of a visitor
	}
	x := exchange{
		origin:     o,
		serverName: hostOnly(host),
		method:     req.Method,
		body:       holdBody(req),
		build: func(address *url.URL) *http.Request {
			u := *req.URL
			u.Scheme, u.Host, u.User = address.Scheme, address.Host, nil
			return &http.Request{
				Method: req.Method, URL: &u, Host: host, Header: header,
				ProtoMajor: 1, ProtoMinor: 1, ContentLength: req.ContentLength,
			}
		},
	}
	return c.do(ctx, x)
}

// hostOnly returns host without its port and brackets.
func hostOnly(host string) string {
	return (&url.URL{Host: host}).Hostname()
}
