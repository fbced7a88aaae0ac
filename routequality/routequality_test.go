package routequality_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"nearcast/cdn"
	"nearcast/internal/waitfor"
	"nearcast/routequality"
	"nearcast/routequality/tableclient"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// background runs what has a Run, until the test or the returned function ends it.
func background(t testing.TB, run func(context.Context) error) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(end)
	return end
}

// gateways is a gossip pool as a test wants it.
type gateways struct {
	mu      sync.Mutex // guards the following
	states  map[cdn.NodeName]cdn.NodeState
	changed chan struct{}
}

func pool() *gateways {
	return &gateways{states: make(map[cdn.NodeName]cdn.NodeState), changed: make(chan struct{})}
}

func (g *gateways) State(node cdn.NodeName) cdn.NodeState {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.states[node]
}

func (g *gateways) Changed() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.changed
}

func (g *gateways) set(node cdn.NodeName, state cdn.NodeState) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.states[node] = state
	close(g.changed)
	g.changed = make(chan struct{})
}

// server starts a route-quality server on the pool.
func server(t testing.TB, p routequality.Pool, more ...func(*routequality.Config)) (s *routequality.Server, url string, end func()) {
	t.Helper()
	cfg := routequality.Config{Addr: "127.0.0.1:0", Node: "rq", Token: "tok", Pool: p, Log: discard(), Registry: prometheus.NewRegistry()}
	for _, change := range more {
		change(&cfg)
	}
	s, err := routequality.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if problems, err := testutil.GatherAndLint(cfg.Registry); err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v, %v", problems, err)
	}
	return s, "http://" + s.Addr().String(), background(t, s.Run)
}

func fleet(nodes ...cdn.NodeName) *cdn.Snapshot {
	s := new(cdn.Snapshot)
	for _, n := range nodes {
		s.Fleet.Nodes = append(s.Fleet.Nodes, cdn.Node{Name: n})
	}
	return s
}

// follow returns what a client of the server sees, newest last.
func follow(t testing.TB, url string) <-chan *cdn.RouteTable {
	t.Helper()
	tables := make(chan *cdn.RouteTable, 100)
	c := tableclient.New(tableclient.Config{URLs: []string{url}, Token: "tok", OnTable: func(t *cdn.RouteTable) { tables <- t }, Log: discard()})
	background(t, c.Run)
	return tables
}

// await reads tables until one has the states.
func await(t *testing.T, tables <-chan *cdn.RouteTable, want map[cdn.NodeName]cdn.NodeState) {
	t.Helper()
	timeout := time.After(10 * time.Second)
	var got map[cdn.NodeName]cdn.NodeState
	for {
		select {
		case table := <-tables:
			got = make(map[cdn.NodeName]cdn.NodeState)
			for _, row := range table.Nodes {
				got[row.Node] = row.State
			}
			if cmp.Equal(want, got) {
				return
			}
		case <-timeout:
			t.Fatalf("waited 10 s in vain (-want +got):\n%s", cmp.Diff(want, got))
		}
	}
}

// What the pool says of nodes that have no visitors reaches a follower, as far as the fleet has the nodes.
func TestPublish(t *testing.T) {
	gateways := pool()
	s, url, _ := server(t, gateways)
	tables := follow(t, url)
	if s.Ready() == nil {
		t.Error("ready without a configuration")
	}
	gateways.set("rq", cdn.StateStarting)
	if err := s.Apply(fleet("rq", "e1", "e2")); err != nil {
		t.Fatal(err)
	}
	await(t, tables, map[cdn.NodeName]cdn.NodeState{"rq": cdn.StateStarting, "e1": cdn.StateUnknown, "e2": cdn.StateUnknown})
	if err := s.Ready(); err != nil {
		t.Errorf("not ready with a configuration: %v", err)
	}
	gateways.set("rq", cdn.StateReady)
	gateways.set("e1", cdn.StateReady)
	gateways.set("stranger", cdn.StateReady)
	await(t, tables, map[cdn.NodeName]cdn.NodeState{"rq": cdn.StateReady, "e1": cdn.StateReady, "e2": cdn.StateUnknown})
	gateways.set("e1", cdn.StateDown)
	await(t, tables, map[cdn.NodeName]cdn.NodeState{"rq": cdn.StateReady, "e1": cdn.StateDown, "e2": cdn.StateUnknown})
	if err := s.Apply(fleet("e1")); err != nil {
		t.Fatal(err)
	}
	await(t, tables, map[cdn.NodeName]cdn.NodeState{"e1": cdn.StateDown})
	if err := s.Apply(nil); cdn.KindOf(err) != cdn.Invalid {
		t.Errorf("applying nothing: %v, want an error of kind invalid", err)
	}
}

func get(t *testing.T, url, token string) (status int, table cdn.RouteTable) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Close = true
	resp, err := new(http.Transport).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		var answer struct{ Tables []cdn.RouteTable }
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		if len(answer.Tables) == 0 {
			t.Fatal("an answer without a table")
		}
		table = answer.Tables[len(answer.Tables)-1]
	}
	return resp.StatusCode, table
}

// Every caller gets at once what it does not have.
func TestPoll(t *testing.T) {
	own := pool()
	s, url, end := server(t, own)
	if err := s.Apply(fleet("rq")); err != nil {
		t.Fatal(err)
	}
	status, first := get(t, url+"/v1/table", "tok")
	if status != http.StatusOK || first.Version == 0 || first.Epoch == "" {
		t.Fatalf("status %d, table %+v", status, first)
	}
	for _, test := range []struct {
		name, query, token string
		want               int
	}{
		{"nothing", "", "tok", 200},
		{"older", "?epoch=" + first.Epoch + "&version=0", "tok", 200},
		{"otherepoch", "?epoch=x&version=99", "tok", 200},
		{"nonsense", "?version=-1", "tok", 422},
		{"stranger", "", "guess", 401},
		{"nobody", "", "", 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			if status, _ := get(t, url+"/v1/table"+test.query, test.token); status != test.want {
				t.Errorf("status %d, want %d", status, test.want)
			}
		})
	}
	t.Run("ending", func(t *testing.T) { // a poll that waits does not hold up the end
		begin := time.Now()
		answered := make(chan int, 1)
		go func() {
			defer close(answered) // a poll that fails is status 0, not a test that hangs
			status, _ := get(t, url+"/v1/table?epoch="+first.Epoch+"&version="+strconv.FormatUint(first.Version+9, 10), "tok")
			answered <- status
		}()
		awaitWaiter(t, s)
		end()
		if status := <-answered; status != http.StatusNoContent {
			t.Errorf("status %d, want 204", status)
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func awaitWaiter(t *testing.T, s *routequality.Server) {
	t.Helper()
	waitfor.That(t, 10*time.Second, "a poll waits", func() bool { return s.Waiting() > 0 })
}

// Polls beyond the bound are refused, not queued.
func TestBounded(t *testing.T) {
	own := pool()
	s, url, _ := server(t, own)
	if err := s.Apply(fleet("rq")); err != nil {
		t.Fatal(err)
	}
	_, first := get(t, url+"/v1/table", "tok")
	s.FillWaiters()
	defer s.DrainWaiters()
	status, _ := get(t, url+"/v1/table?epoch="+first.Epoch+"&version="+strconv.FormatUint(first.Version, 10), "tok")
	if status != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", status)
	}
	if status, _ = get(t, url+"/v1/table", "tok"); status != http.StatusOK {
		t.Errorf("status %d for a caller that need not wait, want 200", status)
	}
}

func TestTaken(t *testing.T) {
	own := pool()
	s, _, _ := server(t, own)
	if _, err := routequality.New(routequality.Config{
		Addr: s.Addr().String(), Node: "rq", Token: "tok", Pool: own, Log: discard(), Registry: prometheus.NewRegistry(),
	}); err == nil {
		t.Error("two servers on one port")
	}
}

// TestNothingToTell: a server that has no table does not say that the caller's is still right.
func TestNothingToTell(t *testing.T) {
	_, url, _ := server(t, pool())
	if status, _ := get(t, url+"/v1/table?epoch=before&version=7", "tok"); status != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", status)
	}
}
