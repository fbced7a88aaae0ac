package routequality_test

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/routequality/agent"
	"nearcast/routequality/gossip"
	"nearcast/routequality/probe"
)

// neighbours is the gossip pool of a POP as its first node has it.
type neighbours struct {
	mu      sync.Mutex // guards the following
	members []gossip.Member
	changed chan struct{}
}

func (n *neighbours) Send(cdn.NodeName, []byte) error         { return nil }
func (n *neighbours) SendReliably(cdn.NodeName, []byte) error { return nil }

func (n *neighbours) Members() []gossip.Member {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]gossip.Member(nil), n.members...)
}

func (n *neighbours) Changed() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.changed
}

func (n *neighbours) kill(i int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.members[i].State = cdn.StateDown
	close(n.changed)
	n.changed = make(chan struct{})
}

// TestAgents: what real agents of several POPs say becomes the table: states, loads, votes and links.
func TestAgents(t *testing.T) {
	s, url, _ := server(t, pool(), reachable)
	snapshot := edges(4)
	if err := s.Apply(snapshot); err != nil {
		t.Fatal(err)
	}
	var first *neighbours
	for p := range snapshot.Fleet.POPs {
		pop := snapshot.Fleet.POPs[p].Name
		n := &neighbours{changed: make(chan struct{})}
		for _, node := range snapshot.Fleet.CacheNodes(pop) {
			n.members = append(n.members, gossip.Member{Name: node.Name, Role: cdn.RoleEdge, State: cdn.StateReady, Started: time.Now()})
		}
		if first == nil {
			first = n
		}
		a, err := agent.New(agent.Config{
			Node: n.members[0].Name, POP: pop, Pool: n, Servers: []string{url}, Token: "tok", Log: discard(), Registry: prometheus.NewRegistry(),
			Load: func() cdn.NodeLoad { return cdn.NodeLoad{CPU: 0.25, Octets: 500, Requests: 5} },
			Visitors: func() cdn.VisitorBatch {
				return cdn.VisitorBatch{At: time.Now(), Interval: time.Second, Samples: []cdn.VisitorSample{{
					Network: netip.MustParsePrefix("198.51.100.0/24"), RTTs: []float32{25}, Packets: 10, Requests: 5, Octets: 500,
				}}}
			},
			Probe: probe.Config{Dial: new(dialer).dial},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Apply(snapshot); err != nil {
			t.Fatal(err)
		}
		background(t, a.Run)
	}
	tables := follow(t, url)
	until(t, tables, func() {}, func(t *cdn.RouteTable) bool {
		for i := range t.POPs {
			if p := &t.POPs[i]; p.State != cdn.POPUp || len(p.Votes) != 4 || p.Load != 0.25 { // three POPs and the server
				return false
			}
		}
		return t.State("p0-2") == cdn.StateReady && len(t.Links) > 0 && len(t.Alarms) == 0
	})
	began := time.Now()
	first.kill(1)
	until(t, tables, func() {}, func(t *cdn.RouteTable) bool { return t.State("p0-2") == cdn.StateDown })
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("a node that died was in the table for %v more, want some ms", took)
	}
}
