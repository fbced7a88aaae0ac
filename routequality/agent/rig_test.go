package agent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"nearcast/cdn"
	"nearcast/routequality/agent"
	"nearcast/routequality/gossip"
	"nearcast/routequality/probe"
	"nearcast/routequality/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// place is a POP in a bubble: its agents hear of each other by what the test says.
type place struct {
	mu      sync.Mutex
	pop     cdn.POPName
	members []gossip.Member
	changed chan struct{}
	agents  map[cdn.NodeName]*node
	lost    map[cdn.NodeName]bool // what is sent to whom is lost
}

// node is an agent that runs.
type node struct {
	*agent.Agent

	reg *prometheus.Registry
	end func() // waits
}

func newPlace(pop cdn.POPName, names ...cdn.NodeName) *place {
	p := &place{pop: pop, changed: make(chan struct{}), agents: make(map[cdn.NodeName]*node), lost: make(map[cdn.NodeName]bool)}
	for _, n := range names {
		p.members = append(p.members, gossip.Member{Name: n, State: cdn.StateReady, Started: time.UnixMicro(1000)})
	}
	return p
}

// set changes the state of a member.
func (p *place) set(name cdn.NodeName, s cdn.NodeState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.members = slices.Clone(p.members)
	for i := range p.members {
		if p.members[i].Name == name {
			p.members[i].State = s
		}
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

// seat is a node's view of a place.
type seat struct {
	*place

	node cdn.NodeName
}

func (s seat) Members() []gossip.Member {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.members
}

func (s seat) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

func (s seat) Send(to cdn.NodeName, msg []byte) error {
	if len(msg) > report.MaxPacket {
		return errors.New("too long for a packet")
	}
	return s.SendReliably(to, msg)
}

func (s seat) SendReliably(to cdn.NodeName, msg []byte) error {
	s.mu.Lock()
	n, lost := s.agents[to], s.lost[to]
	s.mu.Unlock()
	if n == nil || lost || len(msg) > report.MaxMessage {
		return errors.New("not delivered")
	}
	n.Message(s.node, msg)
	return nil
}

// servers are route-quality servers in a bubble.
type servers struct {
	mu     sync.Mutex
	status map[string]int // by host: what it answers instead of 200; -1: nothing, ever
	answer *report.Answer // nil: none
	got    []received
}

// say makes them answer so from now on.
func (s *servers) say(a *report.Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = a
}

type received struct {
	host string
	at   time.Time
	*report.POP
}

func (s *servers) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	status := s.status[req.URL.Host]
	s.mu.Unlock()
	if status == -1 {
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	if req.Method != http.MethodPost || req.URL.Path != "/v1/report" || req.Header.Get("Authorization") != "Bearer a token" {
		status = http.StatusNotImplemented
	}
	if (req.Header.Get("Content-Encoding") == "gzip") != bytes.HasPrefix(body, []byte("\x1f\x8b")) {
		status = http.StatusUnsupportedMediaType
	}
	if status == 0 {
		p, refused, err := report.Decode(bytes.NewReader(body), time.Now())
		if err != nil || refused.Count > 0 {
			status = http.StatusUnprocessableEntity
		} else {
			s.mu.Lock()
			s.got = append(s.got, received{req.URL.Host, time.Now(), p})
			said := s.answer
			s.mu.Unlock()
			status = http.StatusNoContent
			if said != nil {
				text, err := json.Marshal(said)
				return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(text)), Request: req}, err
			}
		}
	}
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: http.NoBody, Request: req}, nil
}

// take returns what has come since the last call.
func (s *servers) take() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.got
	s.got = nil
	return out
}

func (s *servers) set(host string, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.status == nil {
		s.status = make(map[string]int)
	}
	s.status[host] = status
}

func config(p *place, name cdn.NodeName) agent.Config {
	return agent.Config{
		Node: name, POP: p.pop, Pool: seat{p, name},
		Load:     func() cdn.NodeLoad { return cdn.NodeLoad{CPU: 0.5, Requests: 100} },
		Visitors: func() cdn.VisitorBatch { return batch(3) },
		Servers:  []string{"http://one"},
		Token:    "a token",
		Log:      slog.New(slog.DiscardHandler),
		Registry: prometheus.NewRegistry(),
		Probe:    probe.Config{Dial: nobody},
	}
}

// nobody is dialed without an answer.
func nobody(ctx context.Context, _, _ string) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func batch(networks int) cdn.VisitorBatch {
	b := cdn.VisitorBatch{At: time.Now(), Interval: 10 * time.Second}
	for i := range networks {
		b.Samples = append(b.Samples, cdn.VisitorSample{
			Network: netip.PrefixFrom(netip.AddrFrom4([4]byte{100, byte(i >> 8), byte(i), 0}), 24),
			RTTs:    []float32{12.5, 13.25}, Packets: 100, Requests: 10, Octets: 12345,
		})
	}
	return b
}

// run starts an agent of a place; rt is what it speaks to its servers through, nil for sockets.
func (p *place) run(t *testing.T, cfg agent.Config, rt http.RoundTripper) *node {
	t.Helper()
	a, err := agent.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if rt != nil {
		a.SetTransport(rt)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	n := &node{Agent: a, reg: cfg.Registry}
	n.end = sync.OnceFunc(func() {
		p.mu.Lock()
		delete(p.agents, cfg.Node)
		p.mu.Unlock()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(n.end)
	p.mu.Lock()
	p.agents[cfg.Node] = n
	p.mu.Unlock()
	go func() { done <- a.Run(ctx) }()
	return n
}

func pass(d time.Duration) {
	t := time.NewTimer(d)
	<-t.C
	synctest.Wait()
}

// fleet has one node in each POP beside those of fra.
func fleet(fra []cdn.NodeName, others ...cdn.POPName) *cdn.Snapshot {
	s := &cdn.Snapshot{Generation: 1}
	add := func(pop cdn.POPName, node cdn.NodeName, ip netip.Addr) {
		s.Fleet.Nodes = append(s.Fleet.Nodes, cdn.Node{Name: node, POP: pop, Addresses: []netip.Addr{ip}, Roles: []cdn.Role{cdn.RoleEdge}})
	}
	s.Fleet.POPs = append(s.Fleet.POPs, cdn.POP{Name: "fra"})
	for i, n := range fra {
		add("fra", n, netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}))
	}
	for i, p := range others {
		s.Fleet.POPs = append(s.Fleet.POPs, cdn.POP{Name: p, Tier: cdn.TierRegional})
		add(p, cdn.NodeName(p)+"-1", netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}))
	}
	return s
}

func metric(t *testing.T, reg *prometheus.Registry, name string, labels ...string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum, found := 0.0, false
	for _, f := range families {
		if f.GetName() != "nearcast_agent_"+name {
			continue
		}
		found = true
	series:
		for _, m := range f.GetMetric() {
			for i, l := range m.GetLabel() {
				if i < len(labels) && labels[i] != "" && l.GetValue() != labels[i] {
					continue series
				}
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	if !found && len(labels) == 0 {
		t.Errorf("there is no metric %s", name)
	}
	return sum
}
