package schedulers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"nearcast/cdn"
	"nearcast/control/wire"
	"nearcast/internal/httpjson"
)

const (
	timeout   = 2 * time.Second // of one question to one scheduler; an answer takes a few milliseconds
	maxAnswer = 16 << 20        // octets; a map of 300 POPs is some 100 kB
)

// Client asks schedulers. Its methods may be called at once from many goroutines.
type Client struct {
	urls  []string
	token string
	http  *http.Client
}

// New returns a client of the schedulers whose APIs have these base URLs, such as "http://192.0.2.1:7080"; none is possible, and then every
// question fails. token is shown to them.
func New(urls []string, token string) (*Client, error) {
	c := &Client{token: token, http: &http.Client{Timeout: timeout, Transport: &http.Transport{
		MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute,
	}}}
	for _, raw := range urls {
		u, err := url.Parse(raw)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
			return nil, cdn.Errorf(cdn.Invalid, "", "scheduler %q: want the URL of its API with scheme, host and port only, such as http://192.0.2.1:7080", raw)
		}
		base := u.Scheme + "://" + u.Host
		if !slices.Contains(c.urls, base) {
			c.urls = append(c.urls, base)
		}
	}
	return c, nil
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Route returns why a visitor who asks for the name is sent where it is: as the scheduler of that name sees it, or if it is empty, the first
// that answers, in the order of the URLs.
func (c *Client) Route(ctx context.Context, name cdn.Domain, visitor netip.Addr, scheduler cdn.NodeName) (*cdn.RouteExplanation, error) {
	if err := c.some(); err != nil {
		return nil, err
	}
	path := "/v1/route?" + url.Values{"name": {string(name)}, "client": {visitor.String()}}.Encode()
	if scheduler != "" {
		return c.routeOf(ctx, path, scheduler)
	}
	var failures []error
	for _, base := range c.urls {
		e, err := get[cdn.RouteExplanation](ctx, c, http.MethodGet, base, path)
		if err == nil || refuses(err) {
			return e, err
		}
		failures = append(failures, err)
	}
	return nil, cdn.Errorf(cdn.Unavailable, "", "no scheduler answers: %w", errors.Join(failures...))
}

// routeOf asks all, since only a scheduler itself knows its name.
func (c *Client) routeOf(ctx context.Context, path string, scheduler cdn.NodeName) (*cdn.RouteExplanation, error) {
	explanations, failures := everywhere[cdn.RouteExplanation](ctx, c, http.MethodGet, path)
	var known []string
	for i, e := range explanations {
		switch {
		case e == nil && refuses(failures[i]):
			return nil, failures[i] // what one of them refuses all do
		case e == nil:
		case e.Scheduler == scheduler:
			return e, nil
		default:
			known = append(known, string(e.Scheduler))
		}
	}
	if err := errors.Join(failures...); err != nil {
		return nil, cdn.Errorf(cdn.Unavailable, "", "scheduler %s does not answer, or control is not told of it: %w", scheduler, err)
	}
	return nil, cdn.Errorf(cdn.NotFound, "", "there is no scheduler %s; control is told of %s with --scheduler", scheduler, strings.Join(known, ", "))
}

// refuses reports whether an error is a scheduler's answer to the question, and not a failure to get one.
func refuses(err error) bool {
	kind := cdn.KindOf(err)
	return kind == cdn.Invalid || kind == cdn.NotFound
}

// Maps returns what each scheduler answers from, in the order of the URLs, or why it does not say.
func (c *Client) Maps(ctx context.Context) ([]wire.SchedulerMap, error) {
	if err := c.some(); err != nil {
		return nil, err
	}
	maps, failures := everywhere[cdn.MapStatus](ctx, c, http.MethodGet, "/v1/map")
	list := make([]wire.SchedulerMap, len(maps))
	for i := range list {
		list[i] = wire.SchedulerMap{URL: c.urls[i], Map: maps[i]}
		if failures[i] != nil {
			list[i].Error = failures[i].Error()
		}
	}
	return list, nil
}

// Accept tells every scheduler that somebody has looked and that what it does not believe is true; each one's answer is in the order of the URLs.
func (c *Client) Accept(ctx context.Context) ([]wire.SchedulerAcceptance, error) {
	if err := c.some(); err != nil {
		return nil, err
	}
	answers, failures := everywhere[cdn.MapAcceptance](ctx, c, http.MethodPost, "/v1/map/accept")
	list := make([]wire.SchedulerAcceptance, len(answers))
	for i, a := range answers {
		list[i] = wire.SchedulerAcceptance{URL: c.urls[i]}
		switch {
		case a != nil:
			list[i].MapAcceptance = *a
		case cdn.KindOf(failures[i]) == cdn.Conflict:
			list[i].Believes = true
		default:
			list[i].Error = failures[i].Error()
		}
	}
	return list, nil
}

func (c *Client) some() error {
	if len(c.urls) == 0 {
		return cdn.Errorf(cdn.Unavailable, "", "control knows no scheduler; start it with --scheduler URL for the API of each")
	}
	return nil
}

// everywhere asks all at once: of each either an answer or an error.
func everywhere[Answer any](ctx context.Context, c *Client, method, path string) ([]*Answer, []error) {
	answers, failures := make([]*Answer, len(c.urls)), make([]error, len(c.urls))
	var all sync.WaitGroup
	for i, base := range c.urls {
		all.Go(func() { answers[i], failures[i] = get[Answer](ctx, c, method, base, path) })
	}
	all.Wait()
	return answers, failures
}

// get asks one scheduler. Errors name it, and say how to mend what is wrong.
func get[Answer any](ctx context.Context, c *Client, method, base, path string) (*Answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, base+path, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("asking scheduler %s: %w", base, err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := c.http.Do(req)
	if err != nil {
		if inner, ok := errors.AsType[*url.Error](err); ok {
			err = inner.Err // the rest repeats the URL
		}
		return nil, cdn.Errorf(cdn.Unavailable, "", "scheduler %s cannot be asked (is it running, and is that the address of its API?): %w", base, err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	if resp.StatusCode != http.StatusOK {
		return nil, refusal(base, resp)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, cdn.Errorf(cdn.Unavailable, "", "the answer of scheduler %s breaks off: %w", base, err)
	}
	answer := new(Answer)
	if err := json.Unmarshal(data, answer); err != nil {
		return nil, cdn.Errorf(cdn.Unavailable, "", "the answer of scheduler %s does not decode (is it of another version, or no scheduler?): %w", base, err)
	}
	return answer, nil
}

// refusal is the error of an answer that is none.
func refusal(base string, resp *http.Response) error {
	err := httpjson.ReadError(resp)
	if _, said := errors.AsType[*httpjson.RemoteError](err); !said { // not a word of the kind that schedulers use
		return cdn.Errorf(cdn.Unavailable, "", "scheduler %s answers %s: is that the address of its API?", base, resp.Status)
	}
	switch kind := cdn.KindOf(err); kind {
	case cdn.Unauthenticated:
		return cdn.Errorf(cdn.Unavailable, "", "scheduler %s does not take control's token: give both the same --secret-file", base)
	case cdn.Invalid, cdn.NotFound, cdn.Conflict, cdn.Timeout:
		return cdn.Errorf(kind, "", "scheduler %s: %w", base, err)
	default:
		return cdn.Errorf(cdn.Unavailable, "", "scheduler %s: %w", base, err)
	}
}
