package flatten_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/scheduler/flatten"
)

// oracle answers as it is told.
type oracle struct {
	mu     sync.Mutex
	answer flatten.Answer
	err    error
	asked  map[cdn.Domain]int
	busy   int
	most   int
	slow   time.Duration
}

func (o *oracle) Resolve(ctx context.Context, name cdn.Domain) (flatten.Answer, error) {
	o.mu.Lock()
	o.asked[name]++
	o.busy++
	o.most = max(o.most, o.busy)
	answer, err := o.answer, o.err
	o.mu.Unlock()
	if o.slow > 0 {
		select {
		case <-time.After(o.slow):
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	o.mu.Lock()
	o.busy--
	o.mu.Unlock()
	return answer, err
}

func (o *oracle) set(answer flatten.Answer, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answer, o.err = answer, err
}

func (o *oracle) count(name cdn.Domain) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked[name]
}

func start(t *testing.T, r flatten.Resolver) *flatten.Flattener {
	t.Helper()
	f := flatten.New(flatten.Config{Resolver: r, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return f
}

var one, two = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::2")

// wait lets time go by in the bubble.
func wait(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func want(t *testing.T, f *flatten.Flattener, ttl uint32, ok bool, addrs ...netip.Addr) {
	t.Helper()
	got, gotTTL, gotOK := f.Lookup("a.example", time.Now())
	if gotOK != ok || gotTTL != ttl || !slices.Equal(got, addrs) {
		t.Errorf("%v for %d s, %v; want %v for %d s, %v", got, gotTTL, gotOK, addrs, ttl, ok)
	}
}

func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &oracle{asked: make(map[cdn.Domain]int), answer: flatten.Answer{Addrs: []netip.Addr{one, two}, TTL: time.Minute}}
		f := start(t, o)
		want(t, f, 0, false)
		f.Follow([]cdn.Domain{"a.example", "a.example"})
		synctest.Wait()
		want(t, f, 60, true, one, two)
		wait(time.Hour)
		if n := o.count("a.example"); n < 60 || n > 76 {
			t.Errorf("asked %d times in an hour, want 60 to 76: before each minute ends, but not by more than a fifth", n)
		}
		o.set(flatten.Answer{Addrs: []netip.Addr{two}, TTL: 3 * time.Hour}, nil)
		wait(time.Minute)
		want(t, f, 300, true, two)
		o.set(flatten.Answer{TTL: 0}, nil)
		wait(5 * time.Minute)
		want(t, f, 5, true)
		f.Follow(nil)
		synctest.Wait()
		asked := o.count("a.example")
		wait(time.Hour)
		want(t, f, 0, false)
		if n := o.count("a.example"); n > asked+1 {
			t.Errorf("asked %d times after it was forgotten", n-asked)
		}
	})
}

// What was known stays in use while nobody answers, for a day.
func TestStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &oracle{asked: make(map[cdn.Domain]int), err: errors.New("no")}
		f := start(t, o)
		f.Follow([]cdn.Domain{"a.example"})
		wait(time.Minute)
		want(t, f, 0, false)
		o.set(flatten.Answer{Addrs: []netip.Addr{one}, TTL: 2 * time.Minute}, nil)
		wait(time.Minute)
		want(t, f, 120, true, one)
		o.set(flatten.Answer{}, errors.New("no"))
		asked := o.count("a.example")
		wait(time.Hour)
		want(t, f, 30, true, one)
		if n := o.count("a.example") - asked; n < 58 || n > 80 {
			t.Errorf("asked %d times in an hour without an answer, want about once a minute", n)
		}
		wait(22 * time.Hour)
		want(t, f, 30, true, one)
		wait(2 * time.Hour)
		want(t, f, 0, false)
		o.set(flatten.Answer{Addrs: []netip.Addr{two}, TTL: time.Minute}, nil)
		wait(time.Minute)
		want(t, f, 60, true, two)
	})
}

// Many names, and resolvers that are slow: few are asked for at once, and all in the end.
func TestBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &oracle{asked: make(map[cdn.Domain]int), answer: flatten.Answer{TTL: time.Hour}, slow: time.Second}
		f := start(t, o)
		names := make([]cdn.Domain, 12_000)
		for i := range names {
			names[i] = cdn.Domain(fmt.Sprintf("n%d.example", i))
		}
		f.Follow(names)
		wait(time.Minute)
		f.Follow(names[:100])
		wait(25 * time.Minute)
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.most != 8 {
			t.Errorf("%d names asked for at once, want 8", o.most)
		}
		if len(o.asked) > 10_000 {
			t.Errorf("%d names asked for, want 10,000 at most", len(o.asked))
		}
		for _, name := range names[:100] {
			if o.asked[name] == 0 {
				t.Fatalf("%s was never asked for", name)
			}
		}
	})
}

func TestLookupDoesNotAllocate(t *testing.T) {
	o := &oracle{asked: make(map[cdn.Domain]int), answer: flatten.Answer{Addrs: []netip.Addr{one}, TTL: time.Hour}}
	f := flatten.New(flatten.Config{Resolver: o, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	f.Follow([]cdn.Domain{"a.example"})
	now := time.Now()
	if n := testing.AllocsPerRun(100, func() { f.Lookup("a.example", now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// resolver is a real DNS server, over UDP and TCP.
func resolver(t *testing.T, handle dns.HandlerFunc) string {
	t.Helper()
	packets, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", packets.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*dns.Server{{PacketConn: packets, Handler: handle}, {Listener: listener, Handler: handle}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go s.ActivateAndServe()
		<-started
		t.Cleanup(func() { s.Shutdown() })
	}
	return packets.LocalAddr().String()
}

func TestClient(t *testing.T) {
	record := func(text string) dns.RR {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		return rr
	}
	good := resolver(t, func(w dns.ResponseWriter, q *dns.Msg) {
		r := new(dns.Msg).SetReply(q)
		typ := q.Question[0].Qtype
		switch name := q.Question[0].Name; {
		case name == "chain.example." && typ == dns.TypeA:
			r.Answer = []dns.RR{record("chain.example. 40 CNAME b.example."), record("b.example. 200 A 192.0.2.1"), record("b.example. 200 A 0.0.0.0")}
		case name == "chain.example.":
			r.Answer = []dns.RR{record("chain.example. 50 CNAME b.example."), record("b.example. 200 AAAA 2001:db8::2")}
		case name == "none.example.":
			r.Rcode, r.Ns = dns.RcodeNameError, []dns.RR{record("example. 900 SOA a. b. 1 2 3 4 25")}
		case name == "long.example." && w.LocalAddr().Network() == "udp":
			r.Truncated = true
		case name == "long.example." && typ == dns.TypeA:
			for i := range 40 {
				r.Answer = append(r.Answer, record(fmt.Sprintf("long.example. 9000 A 192.0.2.%d", i+1)))
			}
		case name == "fails.example.":
			r.Rcode = dns.RcodeServerFailure
		}
		w.WriteMsg(r)
	})
	refuses := resolver(t, func(w dns.ResponseWriter, q *dns.Msg) {
		w.WriteMsg(new(dns.Msg).SetRcode(q, dns.RcodeRefused))
	})
	c, err := flatten.NewClient(refuses, good)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name cdn.Domain
		n    int
		ttl  time.Duration
		fail bool
	}{{"chain.example", 2, 40 * time.Second, false}, {"none.example", 0, 25 * time.Second, false}, {"long.example", 16, time.Minute, false}, {"fails.example", 0, 0, true}} {
		a, err := c.Resolve(t.Context(), tt.name)
		if (err != nil) != tt.fail || len(a.Addrs) != tt.n || a.TTL != tt.ttl {
			t.Errorf("%s: %v, %v, want %d addresses for %v, failure %v", tt.name, a, err, tt.n, tt.ttl, tt.fail)
		}
	}
	if _, err := flatten.NewClient(); err == nil {
		t.Error("a client without resolvers is made")
	}
}
