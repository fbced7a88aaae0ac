package feed_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"nearcast/cdn"
	"nearcast/control/feed"
	"nearcast/control/protocol"
	"nearcast/control/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const deadline = 20 * time.Second

// rig is a feed on a real store, and a connection as nodes have it.
type rig struct {
	*feed.Feed
	store    *store.Store
	node     *nats.Conn
	registry *prometheus.Registry
}

func start(t *testing.T) *rig {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Dir: t.TempDir(), Addr: "127.0.0.1:0", NodeSecret: "s", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	fleet := &cdn.Fleet{Zone: "cdn.test", Nodes: []cdn.Node{
		{Name: "a", Roles: []cdn.Role{cdn.RoleEdge}},
		{Name: "b", Roles: []cdn.Role{cdn.RoleEdge}},
	}}
	r := &rig{store: s, registry: prometheus.NewRegistry()}
	r.Feed = feed.New(feed.Config{
		Conn: s.Conn(), Head: s.Head, Fleet: func() *cdn.Fleet { return fleet },
		Now: func() time.Time { return time.Unix(1e9, 0) }, Log: slog.New(slog.DiscardHandler), Registry: r.registry,
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	r.node, err = nats.Connect(s.URL(), nats.UserInfo(protocol.UserNode, "s"), nats.CustomInboxPrefix(protocol.NodeInbox+"a"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.node.Close)
	<-r.Ready()
	return r
}

func (r *rig) report(t *testing.T, subject string, report cdn.NodeReport) {
	t.Helper()
	data, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.node.Publish(protocol.Report+subject, data); err != nil {
		t.Fatal(err)
	}
}

func TestHead(t *testing.T) {
	r := start(t)
	beats, err := r.node.SubscribeSync(protocol.HeadBeat)
	if err != nil {
		t.Fatal(err)
	}
	want, err := r.store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	answer, err := r.node.RequestWithContext(t.Context(), protocol.HeadRequest, nil)
	if err != nil {
		t.Fatal(err)
	}
	beat, err := beats.NextMsg(deadline)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*nats.Msg{answer, beat} {
		var got protocol.Head
		if err := json.Unmarshal(m.Data, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the head differs (-want +got):\n%s", diff)
		}
	}
}

func TestReports(t *testing.T) {
	r := start(t)
	r.report(t, "stranger", cdn.NodeReport{Node: "stranger", Role: cdn.RoleEdge})
	r.report(t, "a", cdn.NodeReport{Node: "b", Role: cdn.RoleEdge, Generation: 9}) // in another's name
	r.report(t, "b", cdn.NodeReport{Node: "b", Role: cdn.RoleScheduler})           // about a job that it has not
	if err := r.node.Publish(protocol.Report+"a", []byte("{")); err != nil {
		t.Fatal(err)
	}
	r.report(t, "a", cdn.NodeReport{Node: "a", Role: cdn.RoleEdge, Generation: 7, PurgeRevision: 1})
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	r.Applied(ctx, 1, []cdn.NodeName{"a"}) // the good report came last, so all have been handled
	if got, ok := r.Report("a", cdn.RoleEdge); !ok || got.Generation != 7 || !got.Received.Equal(time.Unix(1e9, 0)) {
		t.Errorf("report of a: %+v, %v", got, ok)
	}
	for node, role := range map[cdn.NodeName]cdn.Role{"b": cdn.RoleEdge, "stranger": cdn.RoleEdge} {
		if got, ok := r.Report(node, role); ok {
			t.Errorf("a report of %s was taken: %+v", node, got)
		}
	}
	if n, err := testutil.GatherAndCount(r.registry, "nearcast_control_reports_dropped_total"); err != nil || n != 2 {
		t.Errorf("reports were dropped for %d reasons, %v; want 2", n, err)
	}
}

func TestApplied(t *testing.T) {
	r := start(t)
	both := []cdn.NodeName{"a", "b"}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	r.report(t, "a", cdn.NodeReport{Node: "a", Role: cdn.RoleEdge, PurgeRevision: 5})
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if applied, _ := r.Applied(ctx, 5, both[:1]); !slices.Equal(applied, both[:1]) {
		t.Errorf("applied by %v, want a", applied)
	}
	if applied, missing := r.Applied(done, 5, both); !slices.Equal(applied, both[:1]) || !slices.Equal(missing, both[1:]) {
		t.Errorf("at the end of waiting: applied by %v, not by %v; want a and b", applied, missing)
	}
}

func TestExplain(t *testing.T) {
	r := start(t)
	sub, err := r.node.Subscribe(protocol.Explain+"a", func(m *nats.Msg) {
		m.Respond([]byte(`{"node":"a","decision":"hit","reason":""}`))
	})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Unsubscribe()
	silent, err := r.node.SubscribeSync(protocol.Explain + "b")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Unsubscribe()
	if err := r.node.Flush(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	answers, err := r.Explain(ctx, cdn.Question{Target: cdn.Target{Scheme: "http", Domain: "x.example", Path: "/"}}, []cdn.NodeName{"a", "b", "c"})
	if err != nil {
		t.Fatal(err)
	}
	kinds := []cdn.Kind{cdn.KindOf(answers[0].Err), cdn.KindOf(answers[1].Err), cdn.KindOf(answers[2].Err)}
	if want := []cdn.Kind{cdn.Other, cdn.Timeout, cdn.Unavailable}; !slices.Equal(kinds, want) || answers[0].Err != nil {
		t.Errorf("errors of kind %v, want %v", kinds, want)
	}
	if answers[0].Explanation.Decision != "hit" {
		t.Errorf("a explained %+v", answers[0].Explanation)
	}
}
