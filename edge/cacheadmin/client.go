package cacheadmin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"

	"nearcast/cdn"
	"nearcast/internal/httpjson"
)

// Client asks a node through its socket. Its methods may be called from any goroutine.
type Client struct {
	path string
	http http.Client
}

// NewClient returns a client of the node whose state directory, or first disk, is dir; see [Find].
func NewClient(dir string) (*Client, error) {
	path, err := Find(dir)
	if err != nil {
		return nil, err
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
	return &Client{path: path, http: http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}, nil
}

// Stats returns the node's [Stats].
func (c *Client) Stats(ctx context.Context) (*Stats, error) {
	var s Stats
	return &s, c.ask(ctx, http.MethodGet, "/v1/stats", nil, nil, &s)
}

// List calls yield with each entry that a filter chooses, until it returns false, and says whether there is more than Filter.Limit.
func (c *Client) List(ctx context.Context, f Filter, yield func(*Entry) bool) (more bool, err error) {
	query := url.Values{"limit": {strconv.Itoa(f.Limit)}}
	for name, value := range map[string]string{"site": f.Site, "prefix": f.Prefix, "tier": string(f.Tier)} {
		if value != "" {
			query.Set(name, value)
		}
	}
	err = c.stream(ctx, http.MethodGet, "/v1/objects", query, func(l *line) (goOn bool) {
		switch {
		case l.Entry != nil:
			return yield(l.Entry)
		case l.End != nil:
			more = l.End.More
			return false
		}
		return true
	})
	return more, err
}

// Show returns what is stored of a URL.
func (c *Client) Show(ctx context.Context, rawURL string) (*Shown, error) {
	var s Shown
	return &s, c.ask(ctx, http.MethodGet, "/v1/object", url.Values{"url": {rawURL}}, nil, &s)
}

// Verify compares all checksums on the node's disks, at most rate octets in a second (0: as fast as it goes). tell is called about once in a
// second. If ctx ends, so does the verification, and the last report comes with the error.
func (c *Client) Verify(ctx context.Context, rate int64, tell func(Report)) (r Report, err error) {
	done := false
	err = c.stream(ctx, http.MethodPost, "/v1/verify", url.Values{"rate": {strconv.FormatInt(rate, 10)}}, func(l *line) (goOn bool) {
		switch {
		case l.Progress != nil:
			r = *l.Progress
			tell(r)
		case l.Report != nil:
			r, done = *l.Report, true
		}
		return !done
	})
	return r, err
}

// Drop removes what is stored of URLs from the node.
func (c *Client) Drop(ctx context.Context, urls ...string) (list []Dropped, err error) {
	return list, c.ask(ctx, http.MethodPost, "/v1/drop", nil, dropRequest{URLs: urls}, &list)
}

// DropAll removes everything from the node.
func (c *Client) DropAll(ctx context.Context) (list []Dropped, err error) {
	return list, c.ask(ctx, http.MethodPost, "/v1/drop", nil, dropRequest{All: true}, &list)
}

// ask sends a request and decodes the answer.
func (c *Client) ask(ctx context.Context, method, path string, query url.Values, body, answer any) error {
	resp, err := c.send(ctx, method, path, query, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		return fmt.Errorf("reading the node's answer: %w", err)
	}
	return nil
}

// stream sends a request and calls take with each line of the answer, while it wants more.
func (c *Client) stream(ctx context.Context, method, path string, query url.Values, take func(*line) (goOn bool)) error {
	resp, err := c.send(ctx, method, path, query, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	lines := json.NewDecoder(resp.Body)
	for {
		var l line
		switch err := lines.Decode(&l); {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
			return cdn.Errorf(cdn.Unavailable, "", "the node has ended in the middle of its answer")
		case err != nil:
			return fmt.Errorf("reading the node's answer: %w", err)
		case l.Error != nil:
			return &cdn.Error{Kind: cdn.ParseKind(l.Error.Kind), Err: errors.New(l.Error.Title)}
		case !take(&l):
			return nil
		}
	}
}

// send sends a request. The answer is one of success.
func (c *Client) send(ctx context.Context, method, path string, query url.Values, body any) (*http.Response, error) {
	var content io.Reader // none, where there is none: the node then sees at once when we go
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encoding the request: %w", err)
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://node"+path+"?"+query.Encode(), content)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, cdn.Errorf(cdn.Unavailable, "", "no node answers at %s: the one that made it has ended without a word; start it again", c.path)
	case errors.Is(err, syscall.EACCES):
		return nil, cdn.Errorf(cdn.Unauthenticated, "", "%s belongs to another user: run this as the user of nearcast edge", c.path)
	case err != nil:
		return nil, fmt.Errorf("asking the node: %w", err)
	case resp.StatusCode != http.StatusOK:
		defer resp.Body.Close() //nolint:errcheck // it was only read
		return nil, httpjson.ReadError(resp)
	}
	return resp, nil
}
