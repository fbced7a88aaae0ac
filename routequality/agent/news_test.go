package agent_test

import (
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nearcast/cdn"
	"nearcast/routequality/agent"
	"nearcast/routequality/gossip"
	"nearcast/routequality/report"
)

// TestBlindAggregator: an aggregator that no server hears does not talk the POP's nodes out of what the other one knows.
func TestBlindAggregator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newPlace("fra", "a", "b", "c"), new(servers)
		nodes := make(map[cdn.NodeName]*node)
		for i, name := range report.Aggregators("fra", []cdn.NodeName{"a", "b", "c"}) {
			cfg := config(p, name)
			cfg.Servers = []string{"http://well"}
			if i == 0 {
				cfg.Servers = []string{"http://fails"}
			}
			nodes[name] = p.run(t, cfg, s)
		}
		s.set("fails", http.StatusServiceUnavailable)
		s.say(&report.Answer{Unusable: []cdn.NodeName{"ams-1"}})
		pass(5 * time.Second)
		for range 200 {
			pass(37 * time.Millisecond)
			for name, n := range nodes {
				if n.Usable("ams-1") {
					t.Fatalf("%s asks a node of which it is known that it must not be asked", name)
				}
			}
		}
		s.set("well", http.StatusServiceUnavailable)
		pass(25 * time.Second)
		for name, n := range nodes {
			if !n.Usable("ams-1") {
				t.Errorf("%s does not ask a node of which nobody has said anything for a while", name)
			}
		}
	})
}

// TestOldLoads: how busy a node was says nothing once it does not tell any more.
func TestOldLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newPlace("fra", "a", "b"), new(servers)
		a := p.run(t, config(p, "a"), s)
		b := p.run(t, config(p, "b"), s)
		pass(2500 * time.Millisecond)
		if got := a.Loads(); len(got) != 2 {
			t.Fatalf("loads %v, want those of both", got)
		}
		b.end() // the pool does not notice
		pass(12 * time.Second)
		if got := a.Loads(); len(got) != 1 || got["a"] == 0 {
			t.Errorf("loads %v, want only its own", got)
		}
	})
}

// stuck is a seat from which nothing long goes out: whom it is for does not read.
type stuck struct{ seat }

func (s stuck) SendReliably(cdn.NodeName, []byte) error {
	<-time.After(2 * time.Second)
	return http.ErrHandlerTimeout
}

// TestNewsWait: a member that does not read long news does not hold up what is told of the POP.
func TestNewsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newPlace("fra", "a", "b"), new(servers)
		said := new(report.Answer)
		for i := range 150 {
			said.Unusable = append(said.Unusable, cdn.NodeName("elsewhere-"+strconv.Itoa(i)))
		}
		s.say(said)
		cfg := config(p, "a")
		cfg.Pool, cfg.Visitors = stuck{seat{p, "a"}}, nil
		p.run(t, cfg, s)
		pass(2500 * time.Millisecond)
		s.take()
		pass(10 * time.Second)
		if got := len(s.take()); got < 9 {
			t.Errorf("%d reports in 10 s, want one each second", got)
		}
	})
}

// late is a seat from which the first look takes a while.
type late struct {
	seat

	mu    *sync.Mutex // guards calls
	calls *int
	first chan struct{} // closed when the first look has begun
	next  chan struct{} // closed when another one has been
}

func (s late) Members() []gossip.Member {
	s.mu.Lock()
	*s.calls++
	call := *s.calls
	s.mu.Unlock()
	all := s.seat.Members()
	switch call {
	case 1:
		close(s.first)
		select {
		case <-s.next:
		case <-time.After(50 * time.Millisecond): // it waits for this one
		}
	case 2:
		defer close(s.next)
	}
	return all
}

// TestLateLook: what was seen of the pool earlier does not replace what was seen later.
func TestLateLook(t *testing.T) {
	p := newPlace("fra", "a", "b")
	cfg := config(p, "a")
	seat := late{seat{p, "a"}, new(sync.Mutex), new(int), make(chan struct{}), make(chan struct{})}
	cfg.Pool = seat
	a, err := agent.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	apply := func() {
		if err := a.Apply(fleet([]cdn.NodeName{"a", "b"})); err != nil {
			t.Error(err)
		}
	}
	wg.Go(apply)
	<-seat.first
	p.set("b", cdn.StateDown)
	wg.Go(apply)
	wg.Wait()
	if got := a.Take().Members; len(got) != 2 || got[1].State != cdn.StateDown {
		t.Errorf("members %v, want b to be down", got)
	}
}

// TestStrangersDoNotSpeak: nodes that the fleet has not in this POP, though they still run there, do not become its aggregators: nobody would
// believe them.
func TestStrangersDoNotSpeak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := []cdn.NodeName{"a", "b", "c", "d"}
		p, s := newPlace("fra", names...), new(servers)
		var stay []cdn.NodeName
		gone := report.Aggregators("fra", names)
		nodes := make(map[cdn.NodeName]*node)
		for _, name := range names {
			if !slices.Contains(gone, name) {
				stay = append(stay, name)
			}
			nodes[name] = p.run(t, config(p, name), s)
		}
		pass(3 * time.Second)
		for _, n := range nodes {
			if err := n.Apply(fleet(stay, "ams")); err != nil {
				t.Fatal(err)
			}
		}
		pass(12 * time.Second)
		s.take()
		pass(5 * time.Second)
		by := make(map[cdn.NodeName]int)
		for _, r := range s.take() {
			by[r.From]++
		}
		if len(by) != 2 || by[stay[0]] < 5 || by[stay[1]] < 5 {
			t.Errorf("reports came from %v, want five from each of %v", by, stay)
		}
	})
}
