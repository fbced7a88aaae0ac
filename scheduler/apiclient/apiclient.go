package apiclient

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"nearcast/cdn"
	"nearcast/internal/httpjson"
)

const (
	timeout      = 10 * time.Second // of one request,
	stateTimeout = time.Minute      // and of one for a state
	maxReply     = 512 << 20        // octets; the state of a map has some 450 for each of at most 200,000 groups
)

// Client asks one scheduler. It is safe for concurrent use.
type Client struct {
	base  string
	token string
	http  *http.Client // without a timeout: each request has its own
}

// New returns a client of the scheduler whose API is at a URL such as http://192.0.2.1:8057.
func New(base, token string) *Client {
	return &Client{base: base, token: token, http: &http.Client{
		Transport: &http.Transport{MaxIdleConns: 2, MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute},
	}}
}

// URL is where the scheduler's API is.
func (c *Client) URL() string { return c.base }

// Close closes connections that wait.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Route asks why a visitor is sent where it is.
func (c *Client) Route(ctx context.Context, name, client string) (*cdn.RouteExplanation, error) {
	return ask[*cdn.RouteExplanation](ctx, c, http.MethodGet, "/v1/route", url.Values{"name": {name}, "client": {client}})
}

// Map asks what the scheduler answers from.
func (c *Client) Map(ctx context.Context) (*cdn.MapStatus, error) {
	return ask[*cdn.MapStatus](ctx, c, http.MethodGet, "/v1/map", nil)
}

// Accept tells the scheduler that somebody has looked, and that what it does not believe is true.
func (c *Client) Accept(ctx context.Context) (*cdn.MapAcceptance, error) {
	return ask[*cdn.MapAcceptance](ctx, c, http.MethodPost, "/v1/map/accept", nil)
}

// Versions asks for the newest maps, the newest last.
func (c *Client) Versions(ctx context.Context) ([]cdn.MapVersion, error) {
	return ask[[]cdn.MapVersion](ctx, c, http.MethodGet, "/v1/map/versions", nil)
}

// Relief asks where the visitors of a POP would be sent instead.
func (c *Client) Relief(ctx context.Context, pop cdn.POPName) (*cdn.Relief, error) {
	return ask[*cdn.Relief](ctx, c, http.MethodGet, "/v1/relief", url.Values{"pop": {string(pop)}})
}

// State asks for all that another scheduler needs to go on from the same map.
func (c *Client) State(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, stateTimeout)
	defer cancel()
	return c.fetch(ctx, http.MethodGet, "/v1/map/state", nil)
}

func ask[T any](ctx context.Context, c *Client, method, path string, query url.Values) (v T, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	body, err := c.fetch(ctx, method, path, query)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(body, &v); err != nil {
		return v, cdn.Errorf(cdn.Unavailable, "", "reading the answer of the scheduler at %s: %w", c.base, err)
	}
	return v, nil
}

func (c *Client) fetch(ctx context.Context, method, path string, query url.Values) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path+"?"+query.Encode(), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("asking the scheduler at %s: %w", c.base, err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, cdn.Errorf(cdn.Unavailable, "", "asking the scheduler at %s: %w", c.base, err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the scheduler at %s: %w", c.base, httpjson.ReadError(resp))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return nil, cdn.Errorf(cdn.Unavailable, "", "reading the answer of the scheduler at %s: %w", c.base, err)
	}
	return body, nil
}
