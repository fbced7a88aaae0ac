package feedclient_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"nearcast/cdn"
	"nearcast/control/feed"
	"nearcast/control/feedclient"
	"nearcast/control/protocol"
	"nearcast/control/store"
	"nearcast/internal/waitfor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const deadline = 20 * time.Second

func openStore(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Dir: t.TempDir(), Addr: "127.0.0.1:0", NodeSecret: "s", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func startFeed(t *testing.T, s *store.Store) {
	t.Helper()
	f := feed.New(feed.Config{
		Conn: s.Conn(), Head: s.Head, Fleet: func() *cdn.Fleet { return nil }, Now: time.Now,
		Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
	})
	run(t, f.Run)
	<-f.Ready()
}

// run runs a Run method until the returned func is called or the test ends.
func run(t *testing.T, method func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := method(ctx); err != nil {
			t.Error(err)
		}
	})
	stop = func() { cancel(); running.Wait() }
	t.Cleanup(stop)
	return stop
}

// events is what a client was told about purges, in order: a revision each, and
// zero for a gap.
type events struct {
	mu   sync.Mutex // guards the following
	list []cdn.Revision
}

func (e *events) add(r cdn.Revision) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, r)
}

func (e *events) all() []cdn.Revision {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.list)
}

func config(url, dir string, e *events) feedclient.Config {
	return feedclient.Config{
		URL: url, Secret: "s", Node: "n", Role: cdn.RoleEdge, Dir: dir,
		OnSnapshot: func(*cdn.Snapshot) error { return nil },
		OnPurge:    func(p cdn.Purge) { e.add(p.Revision) },
		OnPurgeGap: func(cdn.Revision) { e.add(0) },
		Log:        slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
	}
}

func newClient(t *testing.T, cfg feedclient.Config) *feedclient.Client {
	t.Helper()
	c, err := feedclient.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	waitfor.That(t, deadline, what, ok)
}

func appendPurge(t *testing.T, s *store.Store) {
	t.Helper()
	if _, err := s.AppendPurge(t.Context(), cdn.Purge{ID: nats.NewInbox()}); err != nil {
		t.Fatal(err)
	}
}

func TestConfig(t *testing.T) {
	if _, err := feedclient.New(feedclient.Config{}); cdn.KindOf(err) != cdn.Invalid {
		t.Errorf("got %v, want invalid", err)
	}
}

// An entry that cannot be read could have covered anything.
func TestGarbage(t *testing.T) {
	s := openStore(t)
	startFeed(t, s)
	var e events
	c := newClient(t, config(s.URL(), t.TempDir(), &e))
	run(t, c.Run)
	eventually(t, "caught up", c.CaughtUp)
	appendPurge(t, s)
	if err := s.Conn().Publish(protocol.Purge, []byte("{")); err != nil {
		t.Fatal(err)
	}
	appendPurge(t, s)
	eventually(t, "at the head", func() bool { return c.Revision() == 3 })
	if got := e.all(); !slices.Equal(got, []cdn.Revision{1, 0, 3}) {
		t.Errorf("events %v, want 1, a gap, 3", got)
	}
}

// A log that does not reach back to the cursor any more is a gap; one that ends
// exactly there is not.
func TestTruncated(t *testing.T) {
	for _, tt := range []struct {
		name string
		away int // purges while the client is away
		want []cdn.Revision
	}{
		{"exact", 0, nil},
		{"missed", 2, []cdn.Revision{0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := openStore(t)
			startFeed(t, s)
			var before, after events
			dir := t.TempDir()
			c := newClient(t, config(s.URL(), dir, &before))
			stop := run(t, c.Run)
			eventually(t, "caught up", c.CaughtUp)
			appendPurge(t, s)
			eventually(t, "applied", func() bool { return c.Revision() == 1 })
			stop()
			for range tt.away {
				appendPurge(t, s)
			}
			truncate(t, s)
			c = newClient(t, config(s.URL(), dir, &after))
			run(t, c.Run)
			eventually(t, "caught up", c.CaughtUp)
			if got := after.all(); !slices.Equal(got, tt.want) || c.Revision() != cdn.Revision(1+tt.away) {
				t.Errorf("events %v up to revision %d, want %v up to %d", got, c.Revision(), tt.want, 1+tt.away)
			}
		})
	}
}

// TestOnCaughtUp: it is called once, when what came while the client was away has been applied.
func TestOnCaughtUp(t *testing.T) {
	const caughtUp = 1000
	s := openStore(t)
	startFeed(t, s)
	var before, after events
	dir := t.TempDir()
	c := newClient(t, config(s.URL(), dir, &before))
	stop := run(t, c.Run)
	eventually(t, "caught up", c.CaughtUp)
	stop()
	appendPurge(t, s)
	appendPurge(t, s)
	cfg := config(s.URL(), dir, &after)
	cfg.OnCaughtUp = func() { after.add(caughtUp) }
	c = newClient(t, cfg)
	run(t, c.Run)
	eventually(t, "caught up", func() bool { return slices.Contains(after.all(), caughtUp) })
	appendPurge(t, s)
	eventually(t, "applied", func() bool { return c.Revision() == 3 })
	if got := after.all(); !slices.Equal(got, []cdn.Revision{1, 2, caughtUp, 3}) {
		t.Errorf("events %v", got)
	}
}

func truncate(t *testing.T, s *store.Store) {
	t.Helper()
	js, err := jetstream.New(s.Conn())
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), protocol.StreamPurges)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A node that has run before and has lost its cursor has a gap at once, and
// again at the first contact, for what was stored until then.
func TestLost(t *testing.T) {
	s := openStore(t)
	startFeed(t, s)
	if _, err := s.Append(t.Context(), 0, &cdn.Snapshot{Fleet: cdn.Fleet{Zone: "cdn.test"}}); err != nil {
		t.Fatal(err)
	}
	var before, after events
	dir := t.TempDir()
	c := newClient(t, config(s.URL(), dir, &before))
	stop := run(t, c.Run)
	eventually(t, "configured", func() bool { return c.Generation() == 1 && c.CaughtUp() })
	stop()
	if got := before.all(); len(got) != 0 {
		t.Errorf("events %v at the first start ever, want none", got)
	}
	if err := os.Remove(filepath.Join(dir, "purge-cursor.json")); err != nil {
		t.Fatal(err)
	}
	c = newClient(t, config(s.URL(), dir, &after))
	if got := after.all(); !slices.Equal(got, []cdn.Revision{0}) {
		t.Errorf("events %v before the first contact, want a gap", got)
	}
	run(t, c.Run)
	eventually(t, "caught up", c.CaughtUp)
	if got := after.all(); !slices.Equal(got, []cdn.Revision{0, 0}) {
		t.Errorf("events %v after the first contact, want another gap", got)
	}
}

// A control plane that answers but has fallen silent is connected to anew.
func TestSilence(t *testing.T) {
	s := openStore(t)
	head := []byte(`{"snapshots":{"id":"x"},"purges":{"id":"y"}}`)
	if _, err := s.Conn().Subscribe(protocol.HeadRequest, func(m *nats.Msg) {
		m.Respond(head)
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Conn().Flush(); err != nil {
		t.Fatal(err)
	}
	var e events
	cfg := config(s.URL(), t.TempDir(), &e)
	c := newClient(t, cfg)
	run(t, c.Run)
	eventually(t, "the session ended", func() bool {
		families, err := cfg.Registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "nearcast_feed_failures_total" {
				return f.GetMetric()[0].GetCounter().GetValue() > 0
			}
		}
		return false
	})
	if !c.CaughtUp() {
		t.Error("the first session did not even begin")
	}
}

// Run ends promptly, whether there is a control plane or not.
func TestStop(t *testing.T) {
	var e events
	c := newClient(t, config("nats://127.0.0.1:1", t.TempDir(), &e))
	stop := run(t, c.Run)
	began := time.Now()
	stop()
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("it took %v", d)
	}
}
