package feedclient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/control/decode"
)

const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 3 * time.Second
	// settled is how long a session lasts that is not a sign of trouble.
	settled = 10 * time.Second
)

// Config says which control plane to follow and what to do with the news.
type Config struct {
	// URL is where the control plane's NATS listens, "nats://host:port". Required.
	URL string
	// Secret is the nodes' password. Required.
	Secret string
	// Node is this node's name. Required.
	Node cdn.NodeName
	// Role is the job of the process that follows; its reports are kept apart from
	// those of the node's other jobs. Required.
	Role cdn.Role
	// Version is the program's version, for the report.
	Version string
	// Dir keeps the last-known-good configuration and the purge cursor; it is made
	// if it is not there. Required.
	Dir string
	// OnSnapshot puts a configuration into force: first, within New, the
	// last-known-good one, then newer ones. After an error the old one must still be in
	// force; the control plane is told. Required. One call at a time.
	OnSnapshot func(*cdn.Snapshot) error
	// OnPurge applies a purge: in order, without gaps, one call at a time; a purge
	// may come again after a restart. Nil ignores purges.
	OnPurge func(cdn.Purge)
	// OnPurgeGap is called when purges were missed for good: everything stored
	// before the call is stale. It gets the revision up to which that makes good, zero if that is not
	// known yet. Not called at the same time as OnPurge. Nil ignores it.
	OnPurgeGap func(cdn.Revision)
	// OnCaughtUp is called once, when the client has been at the head of the purge log for the first time: the node has all
	// purges now that came while it was away. Nil ignores it.
	OnCaughtUp func()
	// Explain says what the node would do with a GET; its Node is
	// filled in here. Nil does not listen for questions.
	Explain func(cdn.Question) cdn.Explanation
	// Log gets the changes of state. Required.
	Log *slog.Logger
	// Registry gets the metrics. Required.
	Registry *prometheus.Registry
}

func (cfg *Config) check() error {
	var missing []string
	for name, ok := range map[string]bool{
		"URL": cfg.URL != "", "Secret": cfg.Secret != "", "Node": cfg.Node != "", "Role": cfg.Role != "", "Dir": cfg.Dir != "",
		"OnSnapshot": cfg.OnSnapshot != nil, "Log": cfg.Log != nil, "Registry": cfg.Registry != nil,
	} {
		if !ok {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return cdn.Errorf(cdn.Invalid, "", "configuring the feed client: %v not set", missing)
	}
	if cfg.OnPurge == nil {
		cfg.OnPurge = func(cdn.Purge) {}
	}
	if cfg.OnCaughtUp == nil {
		cfg.OnCaughtUp = func() {}
	}
	if cfg.OnPurgeGap == nil {
		cfg.OnPurgeGap = func(cdn.Revision) {}
	}
	return nil
}

// Client follows the control plane for one node.
type Client struct {
	cfg     Config
	disk    disk
	metrics *metrics
	decoder decode.Decoder          // of New, and then of the one session that there is
	running atomic.Pointer[running] // what is in force; nil if nothing ever was
	cursor  atomic.Pointer[cursor]  // purges up to here are applied; nil if no log was ever seen
	refused atomic.Pointer[refusal] // the version refused last; nil if none
	caught  atomic.Bool             // see CaughtUp
	changed chan struct{}           // capacity 1: there is something new to report
}

// running is the configuration in force and the log that it came from.
type running struct {
	logID string
	snap  *cdn.Snapshot
}

// refusal is a version that OnSnapshot refused.
type refusal struct {
	logID      string
	generation cdn.Generation
	reason     string
}

// New loads the last-known-good configuration and the purge cursor from disk and
// puts the configuration into force. It does not need the network. That there is nothing on
// disk, or nothing that can be used, is not an error.
func New(cfg Config) (*Client, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the feed client's directory: %w", err)
	}
	c := &Client{cfg: cfg, disk: disk{dir: cfg.Dir}, changed: make(chan struct{}, 1)}
	c.metrics = newMetrics(cfg.Registry, c)
	c.loadLastKnownGood()
	if err := c.loadCursor(); err != nil {
		return nil, err
	}
	return c, nil
}

// loadLastKnownGood tries the newest configuration on disk, then the one before.
func (c *Client) loadLastKnownGood() {
	for _, name := range []string{fileCurrent, filePrevious} {
		logID, snap, err := c.disk.readSnapshot(name, &c.decoder)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = c.cfg.OnSnapshot(snap)
		}
		if err != nil {
			c.cfg.Log.Warn("a stored configuration cannot be used", "file", name, "error", err)
			continue
		}
		c.running.Store(&running{logID, snap})
		c.cfg.Log.Info("started from the stored configuration", "generation", snap.Generation)
		return
	}
}

// loadCursor reads the purge cursor. If there is none although the node has run
// before, or if it is damaged, purges may have been missed.
func (c *Client) loadCursor() error {
	cur, err := c.disk.readCursor()
	switch {
	case err == nil:
		c.cursor.Store(cur)
	case errors.Is(err, os.ErrNotExist) && c.running.Load() == nil:
		// The first start ever: nothing is stored that a purge could cover.
	default:
		c.cfg.Log.Warn("the purge cursor cannot be read; everything stored is stale", "error", err)
		c.gap(0)
		// The zero cursor is in no log, so that the first contact counts as a gap again
		// and covers what will have been stored until then.
		c.cursor.Store(&cursor{})
		return c.disk.writeCursor(&cursor{})
	}
	return nil
}

func (c *Client) gap(upTo cdn.Revision) {
	c.metrics.gaps.Inc()
	c.cfg.OnPurgeGap(upTo)
}

// Run follows the control plane until ctx ends, however often the connection
// fails, and then returns nil.
func (c *Client) Run(ctx context.Context) error {
	var persister sync.WaitGroup
	persister.Go(func() { c.persistCursor(ctx) })
	defer persister.Wait()
	backoff, last := minBackoff, ""
	for ctx.Err() == nil {
		began := time.Now()
		err := c.session(ctx)
		if ctx.Err() != nil {
			break
		}
		if time.Since(began) > settled {
			backoff, last = minBackoff, ""
		}
		c.logFailure(err, &last) //nolint:contextcheck // a line of the log has no deadline
		c.metrics.failures.Inc()
		sleep(ctx, backoff/2+rand.N(backoff/2)) // jitter: a fleet must not come back as one
		backoff = min(2*backoff, maxBackoff)
	}
	return nil
}

// logFailure warns once about each way to fail, not at every attempt.
func (c *Client) logFailure(err error, last *string) {
	level := slog.LevelDebug
	if err.Error() != *last {
		level, *last = slog.LevelWarn, err.Error()
	}
	c.cfg.Log.Log(context.Background(), level, "not following the control plane; will retry", "url", c.cfg.URL, "error", err)
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// Generation is the version of the configuration in force; zero if none.
func (c *Client) Generation() cdn.Generation {
	if r := c.running.Load(); r != nil {
		return r.snap.Generation
	}
	return 0
}

// Snapshot is the configuration in force; nil if none.
func (c *Client) Snapshot() *cdn.Snapshot {
	if r := c.running.Load(); r != nil {
		return r.snap
	}
	return nil
}

// Revision is the newest purge that has been applied; zero if none.
func (c *Client) Revision() cdn.Revision {
	if cur := c.cursor.Load(); cur != nil {
		return cur.Revision
	}
	return 0
}

// CaughtUp reports whether, since New, the client has been at the head of the
// purge log once. Before that, the node may hold what was purged while it was away.
func (c *Client) CaughtUp() bool { return c.caught.Load() }

// report is what the node says about itself.
func (c *Client) report(now time.Time) cdn.NodeReport {
	r := cdn.NodeReport{
		Node: c.cfg.Node, Role: c.cfg.Role, Generation: c.Generation(), PurgeRevision: c.Revision(),
		Version: c.cfg.Version, At: now,
	}
	if refused := c.refused.Load(); refused != nil {
		r.Rejected, r.RejectedReason = refused.generation, refused.reason
	}
	return r
}

func (c *Client) noteChange() { nudge(c.changed) }

// nudge wakes the owner of a channel of capacity 1, who looks at everything.
func nudge(ch chan<- struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
