package feedclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"nearcast/cdn"
	"nearcast/control/protocol"
)

const (
	connectTimeout = 3 * time.Second
	requestTimeout = 5 * time.Second
	// maxSilence is how long the control plane may say nothing; it speaks every
	// protocol.HeadInterval.
	maxSilence = 5 * time.Second
	// maxQueue bounds what is pushed and not handled yet. What does not fit is
	// fetched by number instead.
	maxQueue = 4096
	// reportGap is the shortest distance of two reports.
	reportGap = 20 * time.Millisecond
)

// session is one connection's life. Everything of it ends together.
type session struct {
	c             *Client
	conn          *nats.Conn
	livePurges    chan *nats.Msg
	liveSnapshots chan *nats.Msg
	beats         chan *nats.Msg
	questions     chan *nats.Msg
	checkSnapshot chan struct{} // capacity 1: the snapshot log may have moved
	checkPurges   chan struct{} // capacity 1: the purge log may have moved
}

// session connects and follows until something fails or ctx ends, and returns why.
func (c *Client) session(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	conn, closed, err := c.connect(ctx, cancel)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer func() {
		conn.Close()
		<-closed // the connection's goroutines are done
		c.metrics.connected.Set(0)
	}()
	s := &session{
		c: c, conn: conn,
		livePurges:    make(chan *nats.Msg, maxQueue),
		liveSnapshots: make(chan *nats.Msg, maxQueue),
		beats:         make(chan *nats.Msg, maxQueue),
		questions:     make(chan *nats.Msg, maxQueue),
		checkSnapshot: make(chan struct{}, 1),
		checkPurges:   make(chan struct{}, 1),
	}
	if err := s.subscribe(ctx); err != nil {
		return err
	}
	h, err := s.head(ctx)
	if err != nil {
		return err
	}
	// Before the first configuration can come into force and anything be stored
	// under it: a purge from here on is behind the cursor.
	c.reconcile(h.Purges)
	c.metrics.connected.Set(1)
	c.cfg.Log.InfoContext(ctx, "connected to the control plane", "url", c.cfg.URL)
	g, ctx := errgroup.WithContext(ctx)
	for _, loop := range []func(context.Context) error{s.followSnapshots, s.followPurges, s.watch, s.reportAll, s.answer} {
		g.Go(func() error { return loop(ctx) })
	}
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return context.Cause(ctx)
}

// connect opens a connection that never reconnects by itself: the next session
// starts from a known state instead. cancel is told when it is lost; closed is closed when
// it is gone.
func (c *Client) connect(ctx context.Context, cancel context.CancelCauseFunc) (conn *nats.Conn, closed <-chan struct{}, err error) {
	gone := make(chan struct{})
	conn, err = nats.Connect(c.cfg.URL,
		nats.Name(string(c.cfg.Node)),
		nats.UserInfo(protocol.UserNode, c.cfg.Secret),
		nats.CustomInboxPrefix(protocol.NodeInbox+string(c.cfg.Node)),
		nats.SetCustomDialer(dialer{ctx}),
		nats.Timeout(connectTimeout),
		nats.NoReconnect(),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) { c.asyncError(sub, err) }),
		nats.ClosedHandler(func(conn *nats.Conn) {
			cancel(lost(conn.LastError()))
			close(gone)
		}),
	)
	return conn, gone, err
}

func lost(err error) error {
	if err == nil {
		return errors.New("the connection was closed")
	}
	return fmt.Errorf("the connection was lost: %w", err)
}

// asyncError hears of full queues, and of permissions that are missing.
func (c *Client) asyncError(sub *nats.Subscription, err error) {
	if errors.Is(err, nats.ErrSlowConsumer) && sub != nil {
		c.metrics.dropped.WithLabelValues(sub.Subject).Inc()
		return
	}
	c.cfg.Log.Warn("the control plane's connection has an error", "error", err)
}

// dialer gives up, and cuts the connection, when the session ends.
type dialer struct {
	ctx context.Context //nolint:containedctx // nats.CustomDialer has no other way to learn of the end
}

// Dial implements [nats.CustomDialer].
func (d dialer) Dial(network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: connectTimeout}).DialContext(d.ctx, network, address)
	if err == nil {
		context.AfterFunc(d.ctx, func() { conn.Close() }) //nolint:errcheck // it is being given up
	}
	return conn, err
}

func (s *session) subscribe(ctx context.Context) error {
	queues := map[string]chan *nats.Msg{
		protocol.LivePurge:    s.livePurges,
		protocol.LiveSnapshot: s.liveSnapshots,
		protocol.HeadBeat:     s.beats,
	}
	if s.c.cfg.Explain != nil {
		queues[protocol.Explain+string(s.c.cfg.Node)] = s.questions
	}
	for subject, queue := range queues {
		if _, err := s.conn.ChanSubscribe(subject, queue); err != nil {
			return fmt.Errorf("subscribing to %s: %w", subject, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	// Everything stored from here on is pushed; the loops fetch what is older.
	if err := s.conn.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	return nil
}

// head asks for the state of the logs. The answer is at least as new as
// anything that was received before.
func (s *session) head(ctx context.Context) (h protocol.Head, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	m, err := s.conn.RequestWithContext(ctx, protocol.HeadRequest, nil)
	if err != nil {
		return h, fmt.Errorf("asking for the heads of the logs: %w", err)
	}
	if err := json.Unmarshal(m.Data, &h); err != nil {
		return h, fmt.Errorf("decoding the heads of the logs: %w", err)
	}
	return h, nil
}

// watch compares every heartbeat with what has been applied, and ends the
// session when there are none.
func (s *session) watch(ctx context.Context) error {
	silence := time.NewTimer(maxSilence)
	defer silence.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-silence.C:
			return fmt.Errorf("nothing was heard for %v", maxSilence)
		case <-s.liveSnapshots:
			nudge(s.checkSnapshot)
		case m := <-s.beats:
			silence.Reset(maxSilence)
			s.compare(m)
		}
	}
}

func (s *session) compare(m *nats.Msg) {
	var h protocol.Head
	if err := json.Unmarshal(m.Data, &h); err != nil {
		return // the next one is a second away
	}
	if s.wanted(h.Snapshots) {
		nudge(s.checkSnapshot)
	}
	if cur := s.c.cursor.Load(); cur == nil || cur.LogID != h.Purges.ID || uint64(cur.Revision) != h.Purges.Last {
		nudge(s.checkPurges)
	}
}

// reportAll reports at once, at every change, and every ReportInterval.
func (s *session) reportAll(ctx context.Context) error {
	tick := time.NewTicker(protocol.ReportInterval)
	defer tick.Stop()
	for {
		data, err := json.Marshal(s.c.report(time.Now()))
		if err != nil {
			return fmt.Errorf("encoding the report: %w", err)
		}
		if err := s.conn.Publish(protocol.Report+string(s.c.cfg.Node), data); err != nil {
			return fmt.Errorf("reporting: %w", err)
		}
		sleep(ctx, reportGap) // a thousand purges in a row are one report
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-s.c.changed:
		}
	}
}

// answer explains what the node would do with a request.
func (s *session) answer(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case m := <-s.questions:
			var question cdn.Question
			if err := json.Unmarshal(m.Data, &question); err != nil {
				continue // whoever asked does not wait for long
			}
			e := s.c.cfg.Explain(question)
			e.Node = s.c.cfg.Node
			data, err := json.Marshal(e)
			if err != nil {
				return fmt.Errorf("encoding an explanation: %w", err)
			}
			if err := m.Respond(data); err != nil {
				return fmt.Errorf("answering: %w", err)
			}
		}
	}
}
