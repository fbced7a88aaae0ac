package apiclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"nearcast/cdn"
	"nearcast/control/compile"
	"nearcast/control/wire"
	"nearcast/internal/httpjson"
)

const (
	// timeout bounds one request; the longest that the server holds back is 5 s.
	timeout = 30 * time.Second
	// maxAnswer bounds an answer, in octets.
	maxAnswer = 256 << 20
)

// Client speaks to one control plane. Its methods may be called at once from
// many goroutines.
type Client struct {
	base  string
	token string
	http  *http.Client
	// Actor names who is at the keyboard, for the audit trail. Empty leaves it out.
	Actor string
}

// New returns a client of the API at url, such as "http://127.0.0.1:7070". It
// does not connect yet.
func New(url, token string) *Client {
	return &Client{base: strings.TrimSuffix(url, "/"), token: token, http: &http.Client{Timeout: timeout}}
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Apply creates or replaces the sites in the files.
func (c *Client) Apply(ctx context.Context, req wire.ApplyRequest) (r wire.ApplyResult, err error) {
	return r, c.do(ctx, http.MethodPost, "/v1/apply", req, &r)
}

// Diff says what Apply would change.
func (c *Client) Diff(ctx context.Context, req wire.ApplyRequest) (r wire.DiffResult, err error) {
	return r, c.do(ctx, http.MethodPost, "/v1/diff", req, &r)
}

// Sites returns all sites, without secrets, by name.
func (c *Client) Sites(ctx context.Context) (r []cdn.Site, err error) {
	return r, c.do(ctx, http.MethodGet, "/v1/sites", nil, &r)
}

// Site returns one site, without secrets.
func (c *Client) Site(ctx context.Context, name cdn.SiteName) (r cdn.Site, err error) {
	return r, c.do(ctx, http.MethodGet, "/v1/sites/"+url.PathEscape(string(name)), nil, &r)
}

// DeleteSite removes a site. The last one needs force.
func (c *Client) DeleteSite(ctx context.Context, name cdn.SiteName, force bool) (r wire.ApplyResult, err error) {
	return r, c.do(ctx, http.MethodDelete, "/v1/sites/"+url.PathEscape(string(name))+"?force="+strconv.FormatBool(force), nil, &r)
}

// Versions returns the versions that are kept, newest first.
func (c *Client) Versions(ctx context.Context) (r []wire.Version, err error) {
	return r, c.do(ctx, http.MethodGet, "/v1/versions", nil, &r)
}

// Rollback puts an old version's content into force under a new number.
func (c *Client) Rollback(ctx context.Context, req wire.RollbackRequest) (r wire.ApplyResult, err error) {
	return r, c.do(ctx, http.MethodPost, "/v1/rollback", req, &r)
}

// Purge makes every cache forget the URLs. When it returns, the purge is on disk.
func (c *Client) Purge(ctx context.Context, req wire.PurgeRequest) (r wire.PurgeResult, err error) {
	return r, c.do(ctx, http.MethodPost, "/v1/purge", req, &r)
}

// Nodes returns the machines of the fleet.
func (c *Client) Nodes(ctx context.Context) (r []wire.Node, err error) {
	return r, c.do(ctx, http.MethodGet, "/v1/nodes", nil, &r)
}

// Status returns the control plane at a glance.
func (c *Client) Status(ctx context.Context) (r wire.Status, err error) {
	return r, c.do(ctx, http.MethodGet, "/v1/status", nil, &r)
}

// Explain asks what the CDN would do with a GET of the URL.
func (c *Client) Explain(ctx context.Context, rawURL string) (r wire.Explanation, err error) {
	return r, c.do(ctx, http.MethodGet, "/v1/explain?url="+url.QueryEscape(rawURL), nil, &r)
}

func (c *Client) do(ctx context.Context, method, path string, question, answer any) error {
	var body io.Reader
	if question != nil {
		data, err := json.Marshal(question)
		if err != nil {
			return fmt.Errorf("encoding the request: %w", err)
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return cdn.Errorf(cdn.Invalid, "", "the control plane's address: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if c.Actor != "" {
		req.Header.Set(wire.HeaderActor, c.Actor)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return cdn.Errorf(transportKind(err), "", "asking the control plane: %w", err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was read to the end or is given up
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return cdn.Errorf(transportKind(err), "", "reading the control plane's answer: %w", err)
	}
	if resp.StatusCode >= 300 {
		return problem(resp.Status, data)
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return fmt.Errorf("decoding the control plane's answer: %w", err)
	}
	return nil
}

func transportKind(err error) cdn.Kind {
	if timeouter, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err); ok && timeouter.Timeout() {
		return cdn.Timeout
	}
	return cdn.Unavailable
}

// problem turns an error answer back into the error that the server had.
func problem(status string, data []byte) error {
	var p struct {
		httpjson.Problem
		Detail json.RawMessage `json:"detail"`
	}
	if err := json.Unmarshal(data, &p); err != nil || p.Title == "" {
		return cdn.Errorf(cdn.Other, "", "the control plane answered %s without saying why", status)
	}
	var mistakes compile.Mistakes
	if json.Unmarshal(p.Detail, &mistakes) == nil && len(mistakes) > 0 {
		return mistakes
	}
	return cdn.Errorf(cdn.ParseKind(p.Kind), "", "%s", p.Title)
}
