package tableclient

import (
	"context"
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
	"nearcast/internal/httpjson"
	"nearcast/routequality/table"
)

// The pauses between failed polls grow between these.
const (
	pauseFirst = 100 * time.Millisecond
	pauseMost  = time.Second
)

const (
	// silence is for how long a server may say nothing before it is taken for one that hangs: it answers after 8 s at the latest, and mostly each slot.
	silence     = 12 * time.Second
	idleTimeout = 35 * time.Second
	pollTimeout = 2 * time.Minute // with the table, which may be long
	maxOctets   = 256 << 20       // of one answer
	// failsFor is how long a server fails before the next is asked.
	failsFor = 2 * time.Second
	// MaxAhead is how far in the future, by our clock, a table may have been made.
	MaxAhead = time.Minute
)

// Config says whom to follow.
type Config struct {
	// URLs are the servers' base URLs, for example "http://127.0.0.1:7070", in order of preference. At least one.
	URLs []string
	// Token is shown to the servers.
	Token string
	// OnTable, if set, is called with every new table in order, whole, and again with the same one whenever the server has confirmed that it is
	// still right, so that the receiver knows its age. Calls come one after the other. Tables must not be changed.
	OnTable func(*cdn.RouteTable)
	// OnRefused, if set, is called with each answer that is refused, from the same goroutine as OnTable.
	OnRefused func(error)
	// Now is our clock; nil means [time.Now].
	Now func() time.Time
	// Log gets the beginning and the end of trouble with the servers. Required.
	Log *slog.Logger
}

// Client follows one server at a time.
type Client struct {
	cfg     Config
	http    *http.Client
	latest  atomic.Pointer[cdn.RouteTable]
	refused atomic.Uint64
	whole   bool // what is here is no base for what comes, so all is to be asked for
}

// New returns a client that has no table yet.
func New(cfg Config) *Client {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Client{cfg: cfg, http: &http.Client{
		Transport: &http.Transport{MaxIdleConns: 1, IdleConnTimeout: idleTimeout},
		Timeout:   pollTimeout,
	}}
}

// Latest returns the newest table, or nil if there never was one.
func (c *Client) Latest() *cdn.RouteTable { return c.latest.Load() }

// Refused returns how many answers were refused.
func (c *Client) Refused() uint64 { return c.refused.Load() }

// Run follows until ctx ends, and returns nil then. It fails at once without a URL.
func (c *Client) Run(ctx context.Context) error {
	if len(c.cfg.URLs) == 0 {
		return errors.New("following the route table: no server's URL")
	}
	defer c.http.CloseIdleConnections()
	t := trouble{pause: pauseFirst}
	for ctx.Err() == nil {
		base, began := c.cfg.URLs[t.server], c.cfg.Now()
		news, err := c.poll(ctx, base)
		switch {
		case ctx.Err() != nil:
		case err == nil:
			if t.failing {
				c.cfg.Log.InfoContext(ctx, "following the route table again", "url", base)
			}
			t = trouble{server: t.server, pause: pauseFirst}
			if !news { // a server that does not wait must not be asked without a pause
				sleep(ctx, pauseFirst)
			}
		default:
			if !t.failing {
				c.cfg.Log.WarnContext(ctx, "cannot follow the route table; trying again", "url", base, "error", err)
			}
			if errors.Is(err, errHangs) {
				t.hang(began)
			}
			sleep(ctx, t.fail(c.cfg.Now(), len(c.cfg.URLs)))
		}
	}
	return nil
}

// trouble is with a server.
type trouble struct {
	server  int // which of the URLs is asked
	failing bool
	since   time.Time // it fails, or the one before it did
	pause   time.Duration
}

// hang notes that it has been failing since the poll began.
func (t *trouble) hang(began time.Time) {
	if !t.failing {
		t.failing, t.since = true, began
	}
}

// fail notes a failure and returns the pause before the next attempt, which may go to another server.
func (t *trouble) fail(now time.Time, servers int) time.Duration {
	if !t.failing {
		t.failing, t.since = true, now
	}
	if now.Sub(t.since) >= failsFor && servers > 1 {
		t.server, t.since, t.pause = (t.server+1)%servers, now, pauseFirst
		return 0
	}
	pause := t.pause/2 + rand.N(t.pause/2) //nolint:gosec // chance, not a secret
	t.pause = min(2*t.pause, pauseMost)
	return pause
}

// poll asks once, hands on what it gets, and reports whether that was new.
func (c *Client) poll(ctx context.Context, base string) (news bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	dog := time.AfterFunc(silence, func() { cancel(errHangs) })
	defer dog.Stop()
	resp, err := c.ask(ctx, base)
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, errHangs) {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		return false, err
	}
	dog.Stop()
	defer resp.Body.Close() //nolint:errcheck // it was only read
	switch resp.StatusCode {
	case http.StatusNoContent:
		if latest := c.latest.Load(); latest != nil {
			c.hand(latest)
		}
		return false, nil
	case http.StatusOK:
	default:
		return false, fmt.Errorf("asking for the route table: the server answers %s: %w", resp.Status, httpjson.ReadError(resp))
	}
	err = table.Read(&watched{resp.Body, dog}, maxOctets, func(t *cdn.RouteTable) error {
		fresh, takeErr := c.take(t)
		news = news || fresh
		return takeErr
	})
	switch {
	case errors.Is(context.Cause(ctx), errHangs):
		return news, context.Cause(ctx)
	case err != nil && ctx.Err() == nil:
		c.whole = true
		c.refused.Add(1)
		if c.cfg.OnRefused != nil {
			c.cfg.OnRefused(err)
		}
		return news, err
	}
	return news, nil
}

// errHangs is why a poll is given up.
var errHangs = fmt.Errorf("the server has said nothing for %v: it hangs, or the way there is cut", silence)

// watched is an answer of which the next octets must not take too long; what is done between them may.
type watched struct {
	io.Reader

	dog *time.Timer
}

func (w *watched) Read(p []byte) (int, error) {
	w.dog.Reset(silence)
	defer w.dog.Stop()
	return w.Reader.Read(p) //nolint:wrapcheck // it is a reader
}

func (c *Client) ask(ctx context.Context, base string) (*http.Response, error) {
	query := url.Values{}
	if old := c.latest.Load(); old != nil && !c.whole {
		query.Set("epoch", old.Epoch)
		query.Set("version", strconv.FormatUint(old.Version, 10))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/v1/table?"+query.Encode(), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("asking for the route table: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.cfg.Token)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking for the route table: %w", err)
	}
	return resp, nil
}

// take makes a table that was received the latest, and reports whether it is new. What cannot be is refused.
func (c *Client) take(t *cdn.RouteTable) (news bool, err error) {
	if err := check(t, c.cfg.Now()); err != nil {
		return false, err
	}
	old := c.latest.Load()
	whole, err := t.Over(old)
	if err != nil {
		return false, err
	}
	c.whole = false
	if old != nil && old.Epoch == whole.Epoch {
		switch {
		case whole.Version == old.Version:
			c.hand(old)
			return false, nil
		case whole.Version < old.Version:
			return false, cdn.Errorf(cdn.Invalid, "", "the route table went back from version %d to %d", old.Version, whole.Version)
		}
	}
	c.hand(whole)
	return true, nil
}

func (c *Client) hand(t *cdn.RouteTable) {
	c.latest.Store(t)
	if c.cfg.OnTable != nil {
		c.cfg.OnTable(t)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
