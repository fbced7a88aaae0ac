package probe_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"nearcast/cdn"
	"nearcast/internal/freeport"
	"nearcast/routequality/probe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// network is what a prober dials in a bubble: by address, how long a connection takes. Others never answer.
type network struct {
	mu     sync.Mutex
	delay  map[string]time.Duration // below zero: refused at once
	dialed []string
	at     []time.Time
	open   int // connections that are being opened
	most   int
}

var errRefused = errors.New("refused")

func (n *network) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	n.mu.Lock()
	delay, known := n.delay[addr]
	n.dialed, n.at = append(n.dialed, addr), append(n.at, time.Now())
	n.open++
	n.most = max(n.most, n.open)
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		n.open--
		n.mu.Unlock()
	}()
	if !known {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if delay < 0 {
		return nil, errRefused
	}
	t := time.NewTimer(delay)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-t.C:
		a, b := net.Pipe()
		b.Close()
		return a, nil
	}
}

// rig is a prober that runs in a bubble.
type rig struct {
	*probe.Prober

	net *network

	mu      sync.Mutex
	results []probe.Result
}

func start(t *testing.T, cfg probe.Config, delays map[string]time.Duration) *rig {
	t.Helper()
	r := &rig{net: &network{delay: delays}}
	cfg.Dial = r.net.dial
	if cfg.OnResult == nil {
		cfg.OnResult = func(res probe.Result) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.results = append(r.results, res)
		}
	}
	r.Prober = probe.New(cfg)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return r
}

// take returns the results of the time that it lets pass.
func (r *rig) take(d time.Duration) []probe.Result {
	timer := time.NewTimer(d)
	<-timer.C
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.results
	r.results = nil
	return out
}

func (r *rig) dials() []string {
	r.net.mu.Lock()
	defer r.net.mu.Unlock()
	out := r.net.dialed
	r.net.dialed = nil
	return out
}

func addrs(n int) []netip.AddrPort {
	out := make([]netip.AddrPort, n)
	for i := range out {
		out[i] = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), 80)
	}
	return out
}

func target(name string, n int) probe.Target {
	return probe.Target{Name: name, Addrs: addrs(n), Every: time.Second, Timeout: 800 * time.Millisecond}
}

func TestWhoAnswers(t *testing.T) {
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		addrs  int
		delays map[string]time.Duration
		rtt    time.Duration // zero: nobody
		dials  int
		after  time.Duration // the probe's beginning
	}{
		"one":                        {1, map[string]time.Duration{"192.0.2.1:80": 30 * ms}, 30 * ms, 1, 30 * ms},
		"the faster of two":          {2, map[string]time.Duration{"192.0.2.1:80": 30 * ms, "192.0.2.2:80": 20 * ms}, 20 * ms, 2, 20 * ms},
		"two of many are enough":     {9, map[string]time.Duration{"192.0.2.1:80": 30 * ms, "192.0.2.2:80": 40 * ms}, 30 * ms, 2, 30 * ms},
		"the last, both are refused": {9, map[string]time.Duration{"192.0.2.1:80": -1, "192.0.2.2:80": -1, "192.0.2.9:80": 10 * ms}, 10 * ms, 9, 10 * ms},
		"the last, both are silent":  {9, map[string]time.Duration{"192.0.2.9:80": 10 * ms}, 10 * ms, 9, 210 * ms},
		"nobody, all are refused":    {2, map[string]time.Duration{"192.0.2.1:80": -1, "192.0.2.2:80": -1}, 0, 2, 0},
		"nobody, all are silent":     {3, nil, 0, 3, 800 * ms},
		"too late":                   {1, map[string]time.Duration{"192.0.2.1:80": 900 * ms}, 0, 1, 800 * ms},
		"no address":                 {0, nil, 0, 0, 0},
		"no more than 128":           {200, nil, 0, 128, 800 * ms},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				results := make(chan probe.Result, 10)
				r := start(t, probe.Config{OnResult: func(res probe.Result) { results <- res }}, c.delays)
				r.Set([]probe.Target{target("x", c.addrs)})
				got := <-results
				if got.Target != "x" || got.RTT != c.rtt || (got.Err == nil) != (c.rtt > 0) {
					t.Errorf("%+v, want a round trip of %v", got, c.rtt)
				}
				r.net.mu.Lock()
				defer r.net.mu.Unlock()
				if len(r.net.dialed) != c.dials {
					t.Errorf("%d connections were tried, want %d", len(r.net.dialed), c.dials)
				}
				if c.dials == 0 {
					return
				}
				if after := got.At.Sub(r.net.at[0]); after != c.after {
					t.Errorf("it ended after %v, want %v", after, c.after)
				}
			})
		})
	}
}

// TestTurns: other addresses each time, so that all of them are tried while all is well.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		delays := make(map[string]time.Duration)
		for _, a := range addrs(6) {
			delays[a.String()] = time.Millisecond
		}
		r := start(t, probe.Config{}, delays)
		r.Set([]probe.Target{target("x", 6)})
		r.take(3 * time.Second)
		tried := make(map[string]bool)
		for _, d := range r.dials() {
			tried[d] = true
		}
		if len(tried) != 6 {
			t.Errorf("in 3 probes of 2 connections %d of 6 addresses were tried", len(tried))
		}
	})
}

// TestPace: probes come in their interval, begin at different moments, and do not wait for one that has no answer.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, probe.Config{}, nil)
		var targets []probe.Target
		for i := range 100 {
			targets = append(targets, probe.Target{Name: fmt.Sprint(i), Addrs: addrs(1), Every: 500 * time.Millisecond, Timeout: time.Second})
		}
		r.Set(targets)
		r.take(10*time.Second + time.Millisecond)
		r.net.mu.Lock()
		defer r.net.mu.Unlock()
		if n := len(r.net.at); n < 1900 || n > 2100 {
			t.Errorf("%d probes in 10 s, want 20 for each of 100", n)
		}
		if r.net.most > 300 {
			t.Errorf("%d at the same time, want at most 3 of each target", r.net.most)
		}
		moments := make(map[time.Time]bool)
		for _, at := range r.net.at[:100] {
			moments[at] = true
		}
		if len(moments) < 90 {
			t.Errorf("100 first probes at %d moments", len(moments))
		}
	})
}

func TestSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, probe.Config{}, map[string]time.Duration{"192.0.2.1:80": time.Millisecond})
		names := func(rs []probe.Result) map[string]int {
			m := make(map[string]int)
			for _, res := range rs {
				m[res.Target]++
			}
			return m
		}
		r.Set([]probe.Target{target("a", 1), target("b", 1), {Name: "never", Addrs: addrs(1)}})
		if got := names(r.take(3 * time.Second)); got["a"] < 2 || got["b"] < 2 || len(got) != 2 {
			t.Errorf("at first: %v", got)
		}
		r.Set([]probe.Target{target("b", 1), target("c", 1)})
		if got := names(r.take(3 * time.Second)); got["a"] != 0 || got["b"] != 3 || got["c"] < 2 {
			t.Errorf("with other targets: %v", got)
		}
		silent := target("b", 1)
		silent.Addrs = addrs(9)[8:]
		r.Set([]probe.Target{silent})
		for _, res := range r.take(3 * time.Second) {
			if res.Target != "b" || res.Err == nil {
				t.Errorf("at another address: %+v", res)
			}
		}
		r.Set(nil)
		if got := r.take(3 * time.Second); len(got) != 0 {
			t.Errorf("without targets: %v", got)
		}
	})
}

// TestLimit: who measures too much is not told that the world is down.
func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, probe.Config{Limit: 4}, nil) // nobody answers
		var targets []probe.Target
		for i := range 50 {
			targets = append(targets, target(fmt.Sprint(i), 1))
		}
		r.Set(targets)
		results := r.take(5 * time.Second)
		if r.net.most > 4 {
			t.Errorf("%d at the same time, want 4", r.net.most)
		}
		if skipped := r.Stats().Skipped; skipped < 100 || len(results) > 4*6 {
			t.Errorf("%d were skipped, %d had a result", skipped, len(results))
		}
		for i, at := range r.net.at {
			if i >= 4 && at.Sub(r.net.at[i-4]) < 800*time.Millisecond {
				t.Errorf("connection %d had not its time", i-4)
			}
		}
	})
}

// TestStalled: when this process was stopped, an answer may have come in time.
func TestStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			<-time.After(300 * time.Millisecond)
			return nil, ctx.Err()
		}
		p := probe.New(probe.Config{Dial: stop, OnResult: func(r probe.Result) { t.Errorf("%+v", r) }})
		p.Set([]probe.Target{target("x", 1)})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := p.Run(ctx); err != nil || p.Stats().Skipped < 7 {
			t.Errorf("%v, %+v", err, p.Stats())
		}
	})
}

// TestSlowReader: results wait in a bounded queue, and the oldest go.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got atomic.Int64
		release := make(chan struct{})
		r := start(t, probe.Config{OnResult: func(probe.Result) {
			<-release
			got.Add(1)
		}}, map[string]time.Duration{"192.0.2.1:80": 0})
		tt := target("x", 1)
		tt.Every = 10 * time.Millisecond
		r.Set([]probe.Target{tt})
		r.take(20*time.Second + 15*time.Millisecond) // 2000 results
		dropped := r.Stats().Dropped
		if dropped < 950 || dropped > 980 {
			t.Errorf("%d were dropped of about 2000, want all but 1025", dropped)
		}
		close(release)
		synctest.Wait()
		if got.Load() != 1025 {
			t.Errorf("%d were delivered, want 1025", got.Load())
		}
	})
}

func TestHost(t *testing.T) {
	ip := func(s string) []netip.Addr { return []netip.Addr{netip.MustParseAddr(s)} }
	var many []netip.Addr
	for _, a := range addrs(20) {
		many = append(many, a.Addr())
	}
	for name, c := range map[string]struct {
		host    string
		resolve func(context.Context, string) ([]netip.Addr, error)
		dials   string
		ok      bool
	}{
		"found":      {"origin.example:8080", func(context.Context, string) ([]netip.Addr, error) { return ip("::ffff:192.0.2.1"), nil }, "192.0.2.1:8080", true},
		"not found":  {"origin.example:80", func(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("no such host") }, "", false},
		"no answer":  {"origin.example:80", func(ctx context.Context, _ string) ([]netip.Addr, error) { <-ctx.Done(); return nil, ctx.Err() }, "", false},
		"no address": {"origin.example:80", func(context.Context, string) ([]netip.Addr, error) { return nil, nil }, "", false},
		"too many":   {"origin.example:80", func(context.Context, string) ([]netip.Addr, error) { return many, nil }, "8", false},
		"no port":    {"origin.example", nil, "", false},
		"odd port":   {"origin.example:http", nil, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				delays := map[string]time.Duration{"192.0.2.1:8080": time.Millisecond}
				r := start(t, probe.Config{Resolve: c.resolve}, delays)
				r.Set([]probe.Target{{Name: "o", Host: c.host, Every: 10 * time.Second, Timeout: time.Second}})
				results, dials := r.take(10*time.Second+2100*time.Millisecond), r.dials()
				if len(results) == 0 || (results[0].Err == nil) != c.ok {
					t.Fatalf("%+v", results)
				}
				switch {
				case c.dials == "8" && len(dials)%8 != 0, c.dials == "" && len(dials) > 0, c.ok && dials[0] != c.dials:
					t.Errorf("%v were dialed", dials)
				}
			})
		})
	}
}

func TestVerdict(t *testing.T) {
	var v probe.Verdict
	if _, known := v.Up(); known {
		t.Error("it has an opinion of nothing")
	}
	for i, step := range []struct{ answered, changed, up, known bool }{
		{false, false, false, false},
		{false, false, false, false},
		{false, true, false, true}, // three misses, and never an answer
		{false, false, false, true},
		{true, true, true, true}, // one answer
		{true, false, true, true},
		{false, false, true, true},
		{false, false, true, true},
		{true, false, true, true}, // not in a row
		{false, false, true, true},
		{false, false, true, true},
		{false, true, false, true},
	} {
		changed := v.Observe(step.answered)
		if up, known := v.Up(); changed != step.changed || up != step.up || known != step.known {
			t.Errorf("step %d: changed %v, up %v, known %v; want %+v", i, changed, up, known, step)
		}
	}
}

// TestSockets: with the system's own sockets, one that listens and one that does not.
func TestSockets(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	results := make(chan probe.Result, 100)
	p := probe.New(probe.Config{OnResult: func(r probe.Result) {
		select {
		case results <- r:
		default:
		}
	}})
	at := func(l net.Listener) []netip.AddrPort {
		return []netip.AddrPort{netip.MustParseAddrPort(l.Addr().String())}
	}
	p.Set([]probe.Target{ // before it runs
		{Name: "open", Addrs: at(l), Every: 20 * time.Millisecond, Timeout: time.Second},
		{Name: "closed", Addrs: []netip.AddrPort{netip.MustParseAddrPort(freeport.Addr(t))}, Every: 20 * time.Millisecond, Timeout: time.Second},
		{Name: "named", Host: net.JoinHostPort("127.0.0.1", fmt.Sprint(l.Addr().(*net.TCPAddr).Port)), Every: 20 * time.Millisecond, Timeout: time.Second},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- p.Run(ctx) }()
	want := map[string]bool{"open": true, "closed": false, "named": true}
	for len(want) > 0 {
		r := <-results
		if ok, waited := want[r.Target]; waited {
			if (r.Err == nil) != ok || (r.RTT > 0) != ok {
				t.Errorf("%+v", r)
			}
			delete(want, r.Target)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestAsk: a process that hangs has a kernel that opens connections for it, so whoever has to be there is asked.
func TestAsk(t *testing.T) {
	serve := func(answer string) netip.AddrPort {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				r, err := http.ReadRequest(bufio.NewReader(c))
				if err != nil || r.Host != cdn.ProbeHost {
					t.Errorf("asked %+v, %v", r, err)
				}
				io.WriteString(c, answer)
				c.Close()
			}
		})
		t.Cleanup(func() {
			l.Close()
			wg.Wait()
		})
		return l.Addr().(*net.TCPAddr).AddrPort()
	}
	hangs, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hangs.Close() })
	for name, c := range map[string]struct {
		at   netip.AddrPort
		want string
	}{
		"answers":        {serve("HTTP/1.1 204 No Content\r\n\r\n"), ""},
		"breaks off":     {serve("HTT"), "does not answer"},
		"something else": {serve("SSH-2.0-x\r\n"), "not HTTP"},
		"hangs":          {hangs.Addr().(*net.TCPAddr).AddrPort(), "does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			results := make(chan probe.Result, 1)
			p := probe.New(probe.Config{OnResult: func(r probe.Result) {
				select {
				case results <- r:
				default:
				}
			}})
			p.Set([]probe.Target{{Name: "x", Addrs: []netip.AddrPort{c.at}, Ask: true, Every: 50 * time.Millisecond, Timeout: 300 * time.Millisecond}})
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- p.Run(ctx) }()
			r := <-results
			if got := fmt.Sprint(r.Err); c.want == "" && (r.Err != nil || r.RTT <= 0) || c.want != "" && !strings.Contains(got, c.want) {
				t.Errorf("%v after %v, want %q", r.Err, r.RTT, c.want)
			}
			cancel()
			<-done
		})
	}
}
