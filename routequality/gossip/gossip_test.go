package gossip_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"nearcast/cdn"
	"nearcast/internal/leaktest"
	"nearcast/internal/waitfor"
	"nearcast/routequality/gossip"
)

// memberlist does not wait for its last probes, which end within a stretched interval.
func TestMain(m *testing.M) { leaktest.Main(m, 5*time.Second) }

// member is a pool that runs, in a process of its own as far as the others can tell.
type member struct {
	*gossip.Pool

	end func() // ends the pool's run and waits for it
	reg *prometheus.Registry
}

func config(node string, join ...netip.AddrPort) gossip.Config {
	return gossip.Config{
		Kind:     gossip.LAN,
		Node:     cdn.NodeName(node),
		POP:      "ams",
		Role:     cdn.RoleEdge,
		Version:  "1.2.3",
		Bind:     netip.MustParseAddrPort("127.0.0.1:0"),
		Join:     join,
		Secrets:  []string{"a secret"},
		Cluster:  "test",
		Log:      slog.New(slog.DiscardHandler),
		Registry: prometheus.NewRegistry(),
	}
}

// start runs a member that leaves gracefully when it is ended.
func start(t *testing.T, cfg gossip.Config) *member {
	t.Helper()
	return run(t, cfg, (*gossip.Pool).Run)
}

// startDoomed runs a member that is killed when it is ended.
func startDoomed(t *testing.T, cfg gossip.Config) *member {
	t.Helper()
	return run(t, cfg, (*gossip.Pool).RunUntilKilled)
}

func run(t *testing.T, cfg gossip.Config, life func(*gossip.Pool, context.Context) error) *member {
	t.Helper()
	p, err := gossip.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- life(p, ctx) }()
	m := &member{Pool: p, reg: cfg.Registry, end: sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("running a member: %v", err)
		}
	})}
	t.Cleanup(m.end)
	return m
}

// startPool starts n members that join through the first; the last is doomed.
func startPool(t *testing.T, n int) []*member {
	t.Helper()
	all := []*member{start(t, config("n0"))}
	for i := 1; i < n-1; i++ {
		all = append(all, start(t, config(fmt.Sprintf("n%d", i), all[0].Addr())))
	}
	all = append(all, startDoomed(t, config(fmt.Sprintf("n%d", n-1), all[0].Addr())))
	for _, m := range all {
		m.await(t, 10*time.Second, "to see everybody", func() bool { return m.living() == n })
	}
	return all
}

func (m *member) living() int {
	n := 0
	for _, other := range m.Members() {
		if other.State != cdn.StateDown {
			n++
		}
	}
	return n
}

// await waits until a condition on the pool's view holds, without polling.
func (m *member) await(t *testing.T, within time.Duration, what string, holds func() bool) {
	t.Helper()
	timeout := time.After(within)
	for {
		changed := m.Changed()
		if holds() {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("waited %v in vain for a member %s; it sees %v", within, what, m.Members())
		}
	}
}

func (m *member) awaitState(t *testing.T, within time.Duration, node cdn.NodeName, want cdn.NodeState) {
	t.Helper()
	m.await(t, within, fmt.Sprintf("to see %s %q", node, want), func() bool { return m.State(node) == want })
}

// A member that is killed must be down everywhere within 2.5 s, so that with the
// way to the scheduler it is out of answers within 3 s; nobody else may be
// suspected to death meanwhile.
func TestCrash(t *testing.T) {
	all := startPool(t, 9)
	for _, m := range all {
		m.SetState(cdn.StateReady)
	}
	for _, m := range all {
		m.await(t, 5*time.Second, "to see everybody ready", func() bool {
			for i := range all {
				if m.State(cdn.NodeName(fmt.Sprintf("n%d", i))) != cdn.StateReady {
					return false
				}
			}
			return true
		})
	}
	begin := time.Now()
	all[8].end()
	for _, m := range all[:8] {
		m.awaitState(t, 2500*time.Millisecond-time.Since(begin), "n8", cdn.StateDown)
	}
	t.Logf("down everywhere after %v", time.Since(begin))
	for i, m := range all[:8] {
		if m.living() != 8 {
			t.Errorf("n%d sees %d living members after one of 9 died, want 8: %v", i, m.living(), m.Members())
		}
	}
}

// A member that leaves says so, and is not waited for.
func TestLeave(t *testing.T) {
	all := startPool(t, 3)
	all[1].end()
	for _, m := range []*member{all[0], all[2]} {
		m.awaitState(t, 10*time.Second, "n1", cdn.StateDown)
	}
}

// A killed node that is started again under its name and address is back by itself, whether or not it was already found dead. How long that takes
// is measured in virtual time, by TestRestartInTime: on a busy machine it can be anything.
func TestRestart(t *testing.T) {
	for _, test := range []struct {
		name  string
		found bool
	}{{"found", true}, {"unnoticed", false}} {
		t.Run(test.name, func(t *testing.T) {
			all := startPool(t, 3)
			all[2].SetState(cdn.StateReady)
			all[0].awaitState(t, 5*time.Second, "n2", cdn.StateReady)
			all[2].end()
			if test.found {
				all[0].awaitState(t, 5*time.Second, "n2", cdn.StateDown)
			}
			cfg := config("n2", all[0].Addr())
			cfg.Bind = all[2].Addr()
			again := start(t, cfg)
			again.SetState(cdn.StateDraining)
			for _, m := range all[:2] {
				m.awaitState(t, 20*time.Second, "n2", cdn.StateDraining)
			}
		})
	}
}

// A member is told no more and no less than this about another.
func TestMembers(t *testing.T) {
	all := startPool(t, 2)
	all[1].SetState(cdn.StateDraining)
	all[0].awaitState(t, 10*time.Second, "n1", cdn.StateDraining)
	got := all[0].Members()
	for i := range got {
		if age := time.Since(got[i].Started); age < 0 || age > time.Minute {
			t.Errorf("member %s started %v ago", got[i].Name, age)
		}
		got[i].Started = time.Time{}
	}
	want := []gossip.Member{
		{Name: "n0", Role: cdn.RoleEdge, POP: "ams", State: cdn.StateStarting, Version: "1.2.3", Addr: all[0].Addr()},
		{Name: "n1", Role: cdn.RoleEdge, POP: "ams", State: cdn.StateDraining, Version: "1.2.3", Addr: all[1].Addr()},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	if got := all[0].State("n9"); got != cdn.StateUnknown {
		t.Errorf("a node never heard of is %q, want unknown", got)
	}
}

// Who has another secret or another cluster's name is not heard.
func TestOutsider(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*gossip.Config)
	}{
		{"secret", func(c *gossip.Config) { c.Secrets = []string{"another secret"} }},
		{"label", func(c *gossip.Config) { c.Cluster = "production" }},
	} {
		t.Run(test.name, func(t *testing.T) {
			inside := start(t, config("inside"))
			cfg := config("outside", inside.Addr())
			test.change(&cfg)
			outside := start(t, cfg)
			await(t, 10*time.Second, "an attempt to join to fail", func() bool { return counter(t, cfg.Registry, "nearcast_routequality_gossip_join_failures_total") > 1 })
			if inside.living() != 1 || outside.living() != 1 {
				t.Errorf("the pool let somebody in: inside sees %v, outside sees %v", inside.Members(), outside.Members())
			}
		})
	}
}

// A living member's name cannot be taken from another address.
func TestConflict(t *testing.T) {
	all := startPool(t, 2)
	thief := start(t, config("n1", all[0].Addr()))
	await(t, 10*time.Second, "the conflict to be counted", func() bool {
		return counter(t, all[0].reg, "nearcast_routequality_gossip_conflicts_total") > 0
	})
	for _, m := range all[0].Members() {
		if m.Addr == thief.Addr() {
			t.Errorf("member %s is now at the thief's address", m.Name)
		}
	}
}

// Seeds that are not there yet are tried until they are.
func TestPatience(t *testing.T) {
	seed := start(t, config("seed"))
	addr := seed.Addr()
	seed.end()
	early := start(t, config("early", addr))
	await(t, 10*time.Second, "attempts to join", func() bool {
		return counter(t, early.reg, "nearcast_routequality_gossip_join_failures_total") > 1
	})
	cfg := config("seed")
	cfg.Bind = addr
	start(t, cfg)
	early.awaitState(t, 10*time.Second, "seed", cdn.StateStarting)
}

func TestBounded(t *testing.T) {
	inside := start(t, config("inside"))
	inside.Fill(func(i int) string { return fmt.Sprintf("filler-%d", i) })
	start(t, config("late", inside.Addr()))
	await(t, 10*time.Second, "the late member to be refused", func() bool {
		return counter(t, inside.reg, "nearcast_routequality_gossip_refused_total") > 0
	})
	if got := len(inside.Members()); got != gossip.MaxMembers+1 {
		t.Errorf("the pool remembers %d names, want %d and itself", got, gossip.MaxMembers)
	}
}

func TestConfig(t *testing.T) {
	taken := start(t, config("taken"))
	for _, test := range []struct {
		name   string
		change func(*gossip.Config)
	}{
		{"name", func(c *gossip.Config) { c.Node = "Not A Label" }},
		{"secret", func(c *gossip.Config) { c.Secrets = nil }},
		{"bind", func(c *gossip.Config) { c.Bind = netip.AddrPort{} }},
		{"port", func(c *gossip.Config) { c.Bind = taken.Addr() }},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := config("n1")
			test.change(&cfg)
			if _, err := gossip.New(cfg); err == nil {
				t.Error("New accepted it")
			}
		})
	}
}

func counter(t *testing.T, r *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// await waits for what no channel tells.
func await(t *testing.T, within time.Duration, what string, holds func() bool) {
	t.Helper()
	waitfor.That(t, within, what, holds)
}

func TestMetrics(t *testing.T) {
	all := startPool(t, 3)
	all[1].end()
	all[0].awaitState(t, 10*time.Second, "n1", cdn.StateDown)
	if problems, err := testutil.GatherAndLint(all[0].reg); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}
