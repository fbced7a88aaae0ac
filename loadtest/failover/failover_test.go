package failover_test

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/loadtest/labtest"
	"nearcast/scheduler/apiclient"
)

var (
	kills    = flag.Int("kills", 2, "how many nodes are killed, one after the other")
	popKills = flag.Int("pop-kills", 2, "how many POPs are killed, one after the other")
)

// Limits of the issue, for 50 of each.
const (
	nodeMedian, nodeWorst = 2 * time.Second, 3 * time.Second
	popMedian, popWorst   = 3 * time.Second, 5 * time.Second
)

// enough is of how many deaths p50 and p99 mean something.
const enough = 20

const webDomain = "www.web.example"

// fleet is a lab and those who are asked about it.
type fleet struct {
	*labtest.Lab
	schedulers []*apiclient.Client
	table      atomic.Pointer[cdn.RouteTable] // as the route-quality server publishes it
}

func start(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{Lab: labtest.Start(t, "--fleet", filepath.Join(labtest.Root(t), "loadtest/failover/testdata/fleet.yaml"))}
	for _, host := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"} {
		c := apiclient.New(fmt.Sprintf("http://%s:%d", host, f.PortBase+57), f.derive(t, "scheduler"))
		t.Cleanup(c.Close)
		f.schedulers = append(f.schedulers, c)
	}
	f.follow(t)
	labtest.Eventually(t, 20*time.Second, "every node is ready in the route table", func() bool { return f.all(cdn.StateReady, f.edges()...) })
	f.agree(t)
	return f
}

// derive makes the part of the fleet's secret for one purpose, as the processes do.
func (f *fleet) derive(t *testing.T, purpose string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(f.Dir, "secrets", "fleet-secret"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := hkdf.Key(sha256.New, []byte(strings.TrimSpace(string(text))), nil, "nearcast/"+purpose, 32)
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(key)
}

// follow keeps table what is published, by a long poll of its own.
func (f *fleet) follow(t *testing.T) {
	t.Helper()
	token := f.derive(t, "route-table")
	var wg sync.WaitGroup
	ctx := t.Context()
	wg.Go(func() {
		query := ""
		for ctx.Err() == nil {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/v1/table?%s", f.PortBase+60, query), nil)
			if err != nil {
				t.Error(err)
				return
			}
			req.Header.Set("Authorization", "Bearer "+token)
			resp, err := new(http.Client).Do(req)
			if err != nil {
				continue
			}
			var answer struct {
				Tables []*cdn.RouteTable `json:"tables"`
			}
			if resp.StatusCode == http.StatusOK && json.NewDecoder(resp.Body).Decode(&answer) == nil && len(answer.Tables) > 0 {
				newest := answer.Tables[len(answer.Tables)-1]
				f.table.Store(newest)
				query = fmt.Sprintf("epoch=%s&version=%d", newest.Epoch, newest.Version)
			}
			resp.Body.Close()
		}
	})
	t.Cleanup(wg.Wait)
}

// edges are the cache nodes.
func (f *fleet) edges() (names []string) {
	for _, n := range f.Nodes {
		names = append(names, string(n.Name))
	}
	return names
}

// all reports whether the route table has all nodes in a state.
func (f *fleet) all(state cdn.NodeState, nodes ...string) bool {
	t := f.table.Load()
	return t != nil && !slices.ContainsFunc(nodes, func(n string) bool { return t.State(cdn.NodeName(n)) != state })
}

// maps are what the schedulers answer from.
func (f *fleet) maps(t *testing.T) (all []*cdn.MapStatus) {
	t.Helper()
	for _, s := range f.schedulers {
		m, err := s.Map(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

// agree waits until the schedulers have the same map, of the same route table.
func (f *fleet) agree(t *testing.T) {
	t.Helper()
	labtest.Eventually(t, 10*time.Second, "the three schedulers have one map", func() bool {
		maps := f.maps(t)
		first := maps[0].Map
		return first.Digest != "" && !slices.ContainsFunc(maps, func(m *cdn.MapStatus) bool {
			return m.Map.Digest != first.Digest || m.Map.Epoch != first.Epoch || m.Map.Version != first.Version
		})
	})
}

// avoided reports whether no scheduler's map counts on a POP.
func (f *fleet) avoided(t *testing.T, pop string) bool {
	t.Helper()
	for _, m := range f.maps(t) {
		i := slices.IndexFunc(m.POPs, func(p cdn.MapPOP) bool { return string(p.POP) == pop })
		if i < 0 || m.POPs[i].State.Usable() && m.POPs[i].Usable > 0 || m.POPs[i].Share > 0 || m.Frozen != "" {
			return false
		}
	}
	return true
}

func TestNodesDie(t *testing.T) {
	f := start(t)
	victims := []string{"fra-1", "fra-2", "lon-1", "par-2", "mad-1", "mad-2", "waw-1", "lon-2", "par-1", "waw-2"}
	var table, answers []time.Duration
	for i := range *kills {
		victim := victims[i%len(victims)]
		addr := netip.MustParseAddrPort(f.Node(t, victim).HTTP).Addr()
		f.Kill(t, victim)
		killed := time.Now()
		labtest.Eventually(t, 10*time.Second, victim+" is down in the route table", func() bool { return f.all(cdn.StateDown, victim) })
		table = append(table, time.Since(killed))
		labtest.Eventually(t, 10*time.Second, victim+" is in no answer", func() bool {
			return !slices.ContainsFunc([]string{"127.0.0.0/24", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"}, func(net string) bool {
				return slices.Contains(f.Addresses(t, webDomain, netip.MustParsePrefix(net)), addr)
			})
		})
		answers = append(answers, time.Since(killed))
		f.StartAgain(t, victim)
		labtest.Eventually(t, 20*time.Second, victim+" is back", func() bool { return f.all(cdn.StateReady, f.edges()...) })
	}
	f.agree(t)
	report(t, "node death -> route table", table, nodeMedian, nodeWorst)
	report(t, "node death -> answers", answers, nodeMedian, nodeWorst)
}

func TestPOPsDie(t *testing.T) {
	f := start(t)
	pops := []string{"waw", "mad", "par", "lon", "fra"}
	var moved []time.Duration
	for i := range *popKills {
		pop := pops[i%len(pops)]
		if i > 0 && i%(2*len(pops)) == 0 { // a third death within minutes would be one too many for the damping, which a restart forgets
			f.Kill(t, "core-1.routequality")
			f.StartAgain(t, "core-1.routequality")
			f.settle(t)
		}
		for _, n := range []string{pop + "-1", pop + "-2"} {
			f.Kill(t, n)
		}
		killed := time.Now()
		labtest.Eventually(t, 15*time.Second, "no map counts on "+pop, func() bool { return f.avoided(t, pop) })
		moved = append(moved, time.Since(killed))
		f.agree(t)
		for _, n := range []string{pop + "-1", pop + "-2"} {
			f.StartAgain(t, n)
		}
		f.settle(t)
	}
	report(t, "POP death -> every scheduler's map", moved, popMedian, popWorst)
}

// settle waits until every node is ready and every POP is up, so that the next death is the only one.
func (f *fleet) settle(t *testing.T) {
	t.Helper()
	labtest.Eventually(t, time.Minute, "everything is up", func() bool {
		return f.all(cdn.StateReady, f.edges()...) && !slices.ContainsFunc(f.table.Load().POPs, func(p cdn.POPHealth) bool { return !p.State.Usable() })
	})
}

func report(t *testing.T, what string, took []time.Duration, median, worst time.Duration) {
	t.Helper()
	slices.Sort(took)
	p50, p99 := took[len(took)/2], took[(len(took)*99+99)/100-1]
	t.Logf("%s: %d times, p50 %.2f s, p99 %.2f s, max %.2f s (limits %v, %v)", what, len(took), p50.Seconds(), p99.Seconds(), took[len(took)-1].Seconds(), median, worst)
	if len(took) < enough { // one that was unlucky, while other tests had the processor, is no p99; what may never be is bounded where it is waited for
		return
	}
	if p50 > median || p99 > worst {
		t.Errorf("%s: p50 %v, p99 %v; limits %v and %v", what, p50, p99, median, worst)
	}
}
