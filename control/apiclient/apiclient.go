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
func (c *Client) Apply(ctx context.Context, req wire.ApplyRequest) (wire.ApplyResult, error) {
	return ask[wire.ApplyResult](ctx, c, http.MethodPost, "/v1/apply", req)
}

// Diff says what Apply would change.
func (c *Client) Diff(ctx context.Context, req wire.ApplyRequest) (wire.DiffResult, error) {
	return ask[wire.DiffResult](ctx, c, http.MethodPost, "/v1/diff", req)
}

// Sites returns all sites, without secrets, by name.
func (c *Client) Sites(ctx context.Context) ([]cdn.Site, error) {
	return ask[[]cdn.Site](ctx, c, http.MethodGet, "/v1/sites", nil)
}

// Site returns one site, without secrets.
func (c *Client) Site(ctx context.Context, name cdn.SiteName) (cdn.Site, error) {
	return ask[cdn.Site](ctx, c, http.MethodGet, "/v1/sites/"+url.PathEscape(string(name)), nil)
}

// DeleteSite removes a site. The last one needs force, and so does one that has most of what there is.
func (c *Client) DeleteSite(ctx context.Context, name cdn.SiteName, force bool) (wire.ApplyResult, error) {
	return ask[wire.ApplyResult](ctx, c, http.MethodDelete, "/v1/sites/"+url.PathEscape(string(name))+"?force="+strconv.FormatBool(force), nil)
}

// Versions returns the versions that are kept, newest first.
func (c *Client) Versions(ctx context.Context) ([]wire.Version, error) {
	return ask[[]wire.Version](ctx, c, http.MethodGet, "/v1/versions", nil)
}

// Rollback puts an old version's content into force under a new number.
func (c *Client) Rollback(ctx context.Context, req wire.RollbackRequest) (wire.ApplyResult, error) {
	return ask[wire.ApplyResult](ctx, c, http.MethodPost, "/v1/rollback", req)
}

// AcceptFleet puts the fleet file into force that the control plane refused at its start. It is an error of kind NotFound if it refused none.
func (c *Client) AcceptFleet(ctx context.Context) (wire.ApplyResult, error) {
	return ask[wire.ApplyResult](ctx, c, http.MethodPost, "/v1/fleet/accept", nil)
}

// Drains returns what is being drained, by name.
func (c *Client) Drains(ctx context.Context) ([]cdn.Drain, error) {
	return ask[[]cdn.Drain](ctx, c, http.MethodGet, "/v1/drains", nil)
}

// Drain keeps new visitors away from a POP or a node.
func (c *Client) Drain(ctx context.Context, req wire.DrainRequest) (wire.DrainResult, error) {
	return ask[wire.DrainResult](ctx, c, http.MethodPost, "/v1/drains", req)
}

// EndDrain lets new visitors come again to a POP or a node. kind is "pop" or "node".
func (c *Client) EndDrain(ctx context.Context, kind, name string) (wire.DrainResult, error) {
	return ask[wire.DrainResult](ctx, c, http.MethodDelete, "/v1/drains/"+url.PathEscape(kind)+"/"+url.PathEscape(name), nil)
}

// DNSSEC returns how zones are signed, and what the parents are to have.
func (c *Client) DNSSEC(ctx context.Context) (wire.DNSSEC, error) {
	return ask[wire.DNSSEC](ctx, c, http.MethodGet, "/v1/dnssec", nil)
}

// RollKey begins the roll-over of the key that signs zones.
func (c *Client) RollKey(ctx context.Context) (wire.DNSSEC, error) {
	return ask[wire.DNSSEC](ctx, c, http.MethodPost, "/v1/dnssec/roll", nil)
}

// ConfirmKey says that the DS of the new key is at the parents, in place of the old one's.
func (c *Client) ConfirmKey(ctx context.Context, req wire.ConfirmRequest) (wire.DNSSEC, error) {
	return ask[wire.DNSSEC](ctx, c, http.MethodPost, "/v1/dnssec/confirm", req)
}

// Purge makes every cache forget content, or hold it for stale. When it returns, the purge is on disk.
func (c *Client) Purge(ctx context.Context, req wire.PurgeRequest) (wire.PurgeResult, error) {
	return ask[wire.PurgeResult](ctx, c, http.MethodPost, "/v1/purge", req)
}

// Nodes returns the machines of the fleet.
func (c *Client) Nodes(ctx context.Context) ([]wire.Node, error) {
	return ask[[]wire.Node](ctx, c, http.MethodGet, "/v1/nodes", nil)
}

// Status returns the control plane at a glance.
func (c *Client) Status(ctx context.Context) (wire.Status, error) {
	return ask[wire.Status](ctx, c, http.MethodGet, "/v1/status", nil)
}

// Explain asks what the CDN would do with a GET of the URL and header fields of the form "Name: value".
func (c *Client) Explain(ctx context.Context, rawURL string, header ...string) (wire.Explanation, error) {
	query := url.Values{"url": {rawURL}, "header": header}
	return ask[wire.Explanation](ctx, c, http.MethodGet, "/v1/explain?"+query.Encode(), nil)
}

// Route asks why a visitor who asks for the name is sent where it is, as the scheduler of that name sees it, or if it is empty, any.
func (c *Client) Route(ctx context.Context, name, visitor, scheduler string) (cdn.RouteExplanation, error) {
	query := url.Values{"name": {name}, "client": {visitor}}
	if scheduler != "" {
		query.Set("scheduler", scheduler)
	}
	return ask[cdn.RouteExplanation](ctx, c, http.MethodGet, "/v1/route?"+query.Encode(), nil)
}

// Maps returns what each scheduler answers from, or why it does not say.
func (c *Client) Maps(ctx context.Context) ([]wire.SchedulerMap, error) {
	return ask[[]wire.SchedulerMap](ctx, c, http.MethodGet, "/v1/map", nil)
}

// AcceptMap tells every scheduler that somebody has looked, and that what it does not believe is true.
func (c *Client) AcceptMap(ctx context.Context) ([]wire.SchedulerAcceptance, error) {
	return ask[[]wire.SchedulerAcceptance](ctx, c, http.MethodPost, "/v1/map/accept", nil)
}

// Table returns the route table as the control plane follows it, or a part of it.
func (c *Client) Table(ctx context.Context, q wire.TableQuery) (wire.Table, error) {
	query := url.Values{"limit": {strconv.Itoa(q.Limit)}}
	if q.Only != "" {
		query.Set("only", q.Only)
	}
	if q.Group != "" {
		query.Set("group", q.Group)
	}
	return ask[wire.Table](ctx, c, http.MethodGet, "/v1/table?"+query.Encode(), nil)
}

// ask sends a question, nil for none, and returns the answer.
func ask[Answer any](ctx context.Context, c *Client, method, path string, question any) (answer Answer, err error) {
	data, err := c.do(ctx, method, path, question)
	if err != nil {
		return answer, err
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return answer, fmt.Errorf("decoding the control plane's answer: %w", err)
	}
	return answer, nil
}

// do returns the body of the answer to a request, or the error that it reports.
func (c *Client) do(ctx context.Context, method, path string, question any) ([]byte, error) {
	var body io.Reader
	if question != nil {
		data, err := json.Marshal(question)
		if err != nil {
			return nil, fmt.Errorf("encoding the request: %w", err)
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, cdn.Errorf(cdn.Invalid, "", "the control plane's address: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if c.Actor != "" {
		req.Header.Set(wire.HeaderActor, c.Actor)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, cdn.Errorf(transportKind(err), "", "asking the control plane: %w", err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was read to the end or is given up
	if resp.StatusCode >= http.StatusMultipleChoices {
		return nil, problem(resp)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, cdn.Errorf(transportKind(err), "", "reading the control plane's answer: %w", err)
	}
	return data, nil
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
func problem(resp *http.Response) error {
	err := httpjson.ReadError(resp)
	if remote, ok := errors.AsType[*httpjson.RemoteError](err); ok {
		var mistakes compile.Mistakes
		if json.Unmarshal(remote.Detail, &mistakes) == nil && len(mistakes) > 0 {
			return mistakes
		}
	}
	return err
}
