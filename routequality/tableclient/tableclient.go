package tableclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"nearcast/cdn"
)

// The pauses between failed polls grow between these.
const (
	pauseFirst = 100 * time.Millisecond
	pauseMost  = 2 * time.Second
)

const (
	pollTimeout = 35 * time.Second // one poll: the server waits 25 s
	maxTable    = 16 << 20         // octets of a table; about 100,000 nodes
)

// Config says whom to follow.
type Config struct {
	// URL is the server's base URL, for example "http://127.0.0.1:7070". Required.
	URL string
	// Token is shown to the server.
	Token string
	// OnTable, if set, is called with every new table, and again with the same one
	// whenever the server has confirmed that it is still right, so that the
	// receiver knows its age. Calls come one after the other.
	OnTable func(*cdn.RouteTable)
	// Log gets the beginning and the end of trouble with the server. Required.
	Log *slog.Logger
}

// Client follows one server.
type Client struct {
	cfg    Config
	http   *http.Client
	latest atomic.Pointer[cdn.RouteTable]
}

// New returns a client that has no table yet.
func New(cfg Config) *Client {
	return &Client{cfg: cfg, http: &http.Client{
		Transport: &http.Transport{MaxIdleConns: 1, IdleConnTimeout: pollTimeout},
		Timeout:   pollTimeout,
	}}
}

// Latest returns the newest table, or nil if there never was one.
func (c *Client) Latest() *cdn.RouteTable { return c.latest.Load() }

// Run follows until ctx ends, and returns nil then.
func (c *Client) Run(ctx context.Context) error {
	defer c.http.CloseIdleConnections()
	pause, failing := pauseFirst, false
	for ctx.Err() == nil {
		news, err := c.poll(ctx)
		switch {
		case ctx.Err() != nil:
		case err == nil:
			if failing {
				c.cfg.Log.InfoContext(ctx, "following the route table again", "url", c.cfg.URL)
			}
			pause, failing = pauseFirst, false
			if !news { // a server that does not wait must not be asked without a pause
				sleep(ctx, pause)
			}
		default:
			if !failing {
				c.cfg.Log.WarnContext(ctx, "cannot follow the route table; trying again", "url", c.cfg.URL, "error", err)
			}
			failing = true
			sleep(ctx, pause/2+rand.N(pause/2)) //nolint:gosec // chance, not a secret
			pause = min(2*pause, pauseMost)
		}
	}
	return nil
}

// poll asks once, hands on what it gets, and reports whether that was new.
func (c *Client) poll(ctx context.Context) (news bool, err error) {
	table, err := c.fetch(ctx)
	if err != nil {
		return false, err
	}
	old := c.latest.Load()
	if table == nil {
		table = old
	}
	if table == nil {
		return false, nil
	}
	if old != nil && old.Epoch == table.Epoch && table.Version < old.Version {
		return false, fmt.Errorf("the table went back from version %d to %d", old.Version, table.Version)
	}
	news = old == nil || old.Epoch != table.Epoch || old.Version != table.Version
	c.latest.Store(table)
	if c.cfg.OnTable != nil {
		c.cfg.OnTable(table)
	}
	return news, nil
}

// fetch returns the server's table, or nil if the one that is here is still right.
func (c *Client) fetch(ctx context.Context) (*cdn.RouteTable, error) {
	query := url.Values{}
	if old := c.latest.Load(); old != nil {
		query.Set("epoch", old.Epoch)
		query.Set("version", strconv.FormatUint(old.Version, 10))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.cfg.URL+"/v1/table?"+query.Encode(), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("asking for the route table: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.cfg.Token)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking for the route table: %w", err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	switch resp.StatusCode {
	case http.StatusNoContent:
		return nil, nil //nolint:nilnil // documented: nothing newer
	case http.StatusOK:
		return decode(resp.Body)
	default:
		return nil, fmt.Errorf("asking for the route table: the server answers %s", resp.Status)
	}
}

// decode reads a table. Unknown fields are a newer server's and are ignored.
func decode(r io.Reader) (*cdn.RouteTable, error) {
	table := new(cdn.RouteTable)
	if err := json.NewDecoder(io.LimitReader(r, maxTable)).Decode(table); err != nil {
		return nil, fmt.Errorf("reading the route table: %w", err)
	}
	if table.Epoch == "" || table.Version == 0 {
		return nil, errors.New("reading the route table: it has no epoch or version")
	}
	return table, nil
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
