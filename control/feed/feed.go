package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/control/protocol"
)

// maxQueue bounds what has arrived and is not handled yet; nodes ask and report
// again, so that what is dropped comes back.
const maxQueue = 8192

// Config says what a feed serves.
type Config struct {
	// Conn is the connection of the control plane. Required.
	Conn *nats.Conn
	// Head reads the state of the logs. Required.
	Head func(context.Context) (protocol.Head, error)
	// Fleet returns the machines of the newest configuration; nil if there is none.
	// Reports of others are dropped. Required.
	Fleet func() *cdn.Fleet
	// Now is the clock. Required.
	Now func() time.Time
	// Log gets what goes wrong. Required.
	Log *slog.Logger
	// Registry gets the metrics. Required.
	Registry prometheus.Registerer
}

// Report is a node's report with the time of its arrival.
type Report struct {
	cdn.NodeReport
	// Received is when it arrived, by the control plane's clock.
	Received time.Time
}

// source is who reports.
type source struct {
	node cdn.NodeName
	role cdn.Role
}

// in reports whether the fleet gives the node that job.
func (s source) in(fleet *cdn.Fleet) bool {
	n := fleet.Node(s.node)
	return n != nil && n.Has(s.role)
}

// Feed is one running feed.
type Feed struct {
	cfg     Config
	dropped *prometheus.CounterVec // :: reason
	ready   chan struct{}          // closed when Run has subscribed

	mu      sync.Mutex        // guards the following
	reports map[source]Report // only of nodes of the fleet, for the jobs that it gives them
	changed chan struct{}     // closed and replaced when a report arrives
}

// New returns a feed that does nothing until [Feed.Run].
func New(cfg Config) *Feed {
	f := &Feed{
		cfg: cfg,
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nearcast_control_reports_dropped_total",
			Help: "Node reports dropped, by reason.",
		}, []string{"reason"}),
		ready:   make(chan struct{}),
		reports: make(map[source]Report),
		changed: make(chan struct{}),
	}
	cfg.Registry.MustRegister(f.dropped)
	return f
}

// Ready is closed once the feed answers.
func (f *Feed) Ready() <-chan struct{} { return f.ready }

// Run serves until ctx ends.
func (f *Feed) Run(ctx context.Context) error {
	requests := make(chan *nats.Msg, maxQueue)
	reports := make(chan *nats.Msg, maxQueue)
	for subject, queue := range map[string]chan *nats.Msg{protocol.HeadRequest: requests, protocol.Report + "*": reports} {
		sub, err := f.cfg.Conn.ChanSubscribe(subject, queue)
		if err != nil {
			return fmt.Errorf("subscribing to %s: %w", subject, err)
		}
		defer sub.Unsubscribe() //nolint:errcheck // the connection ends next
	}
	if err := f.cfg.Conn.Flush(); err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	close(f.ready)
	beat := time.NewTicker(protocol.HeadInterval)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-beat.C:
			f.sendHead(ctx, protocol.HeadBeat)
		case m := <-requests:
			f.sendHead(ctx, waiting(m, requests)...)
		case m := <-reports:
			f.receive(m)
		}
	}
}

// waiting returns the reply subjects of m and of all that wait behind it: one
// reading of the logs answers them all, however many nodes come back at once.
func waiting(m *nats.Msg, queue <-chan *nats.Msg) []string {
	subjects := []string{m.Reply}
	for range len(queue) {
		subjects = append(subjects, (<-queue).Reply)
	}
	return subjects
}

// sendHead reads the head after it was asked for, so that the answer is at
// least as new as anything the node had seen when it asked.
func (f *Feed) sendHead(ctx context.Context, subjects ...string) {
	head, err := f.cfg.Head(ctx)
	if err != nil {
		if ctx.Err() == nil {
			f.cfg.Log.WarnContext(ctx, "reading the heads of the logs", "error", err)
		}
		return // the nodes ask again
	}
	data, err := json.Marshal(head)
	if err != nil {
		f.cfg.Log.ErrorContext(ctx, "encoding the heads of the logs", "error", err)
		return
	}
	for _, subject := range subjects {
		if subject == "" {
			continue
		}
		if err := f.cfg.Conn.Publish(subject, data); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
			f.cfg.Log.WarnContext(ctx, "sending the heads of the logs", "error", err)
		}
	}
}

func (f *Feed) receive(m *nats.Msg) {
	var report cdn.NodeReport
	if err := json.Unmarshal(m.Data, &report); err != nil || string(report.Node) != strings.TrimPrefix(m.Subject, protocol.Report) {
		f.dropped.WithLabelValues("malformed").Inc()
		return
	}
	from := source{report.Node, report.Role}
	fleet := f.cfg.Fleet()
	if fleet == nil || !from.in(fleet) {
		f.dropped.WithLabelValues("unknown").Inc()
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reports[from] = Report{report, f.cfg.Now()}
	for other := range f.reports {
		if len(f.reports) > len(fleet.Nodes) && !other.in(fleet) {
			delete(f.reports, other) // left the fleet, or the job
		}
	}
	close(f.changed)
	f.changed = make(chan struct{})
}

// Report returns the newest report of a node about one of its jobs, and whether
// there is one.
func (f *Feed) Report(node cdn.NodeName, role cdn.Role) (Report, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r, ok := f.reports[source{node, role}]
	return r, ok
}

// Applied waits until every one of the cache nodes has applied the purge, or ctx
// ends, and returns those that have and those that have not.
func (f *Feed) Applied(ctx context.Context, rev cdn.Revision, nodes []cdn.NodeName) (applied, missing []cdn.NodeName) {
	for {
		applied, missing = nil, nil
		f.mu.Lock()
		changed := f.changed
		for _, node := range nodes {
			if f.reports[source{node, cdn.RoleEdge}].PurgeRevision >= rev {
				applied = append(applied, node)
			} else {
				missing = append(missing, node)
			}
		}
		f.mu.Unlock()
		if len(missing) == 0 {
			return applied, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return applied, missing
		}
	}
}
