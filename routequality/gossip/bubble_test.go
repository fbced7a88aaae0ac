package gossip_test

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/routequality/gossip"
	"nearcast/routequality/gossip/memnet"
)

// fleet is some members on a network in memory, in virtual time.
type fleet struct {
	t   *testing.T
	net *memnet.Network
	all []*machine
}

// machine is where a member lives; it may be another after a restart.
type machine struct {
	*gossip.Pool

	cfg  gossip.Config
	addr netip.AddrPort
	host *memnet.Host
	end  func() // says goodbye, unless the machine was cut off

	mu  sync.Mutex // guards got
	got []string
}

// inBubble calls f in virtual time, with n members that know each other; those who are left at the end leave.
func inBubble(t *testing.T, n int, net memnet.Config, change func(i int, c *gossip.Config), f func(*fleet)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		fl := &fleet{t: t, net: memnet.New(net)}
		defer fl.end()
		for i := range n {
			cfg := config(fmt.Sprintf("n%d", i))
			cfg.Bind, cfg.Join = netip.AddrPort{}, []netip.AddrPort{addr(0), addr(1)}
			if change != nil {
				change(i, &cfg)
			}
			fl.add(cfg, addr(i))
		}
		if change == nil {
			fl.awaitAll(10*time.Second, fl.complete)
		}
		f(fl)
	})
}

// end has all members leave, and lets the protocol's last probes end.
func (f *fleet) end() {
	for _, m := range f.all {
		m.end()
	}
	<-time.After(time.Minute)
}

func addr(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), 7946)
}

// add starts a member.
func (f *fleet) add(cfg gossip.Config, at netip.AddrPort) *machine {
	f.t.Helper()
	m := &machine{cfg: cfg, addr: at}
	f.all = append(f.all, m)
	f.start(m)
	return m
}

func (f *fleet) start(m *machine) {
	f.t.Helper()
	var err error
	if m.host, err = f.net.Host(m.addr); err != nil {
		f.t.Fatal(err)
	}
	cfg := m.cfg
	cfg.Transport, cfg.Registry = m.host, prometheus.NewRegistry()
	m.cfg.Registry = cfg.Registry
	if cfg.OnMessage == nil {
		cfg.OnMessage = func(from cdn.NodeName, msg []byte) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.got = append(m.got, string(from)+": "+string(msg))
		}
	}
	if m.Pool, err = gossip.New(cfg); err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	m.end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Errorf("running %s: %v", cfg.Node, err)
		}
	})
}

// restart cuts machines off at once, and starts them again.
func (f *fleet) restart(machines ...*machine) {
	f.t.Helper()
	for _, m := range machines {
		m.host.Cut(true)
	}
	for _, m := range machines {
		m.end()
	}
	for _, m := range machines {
		f.start(m)
	}
}

func (m *machine) messages() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string(nil), m.got...)
}

func (m *machine) living() int {
	n := 0
	for _, other := range m.Members() {
		if other.State != cdn.StateDown {
			n++
		}
	}
	return n
}

// complete reports whether a member sees all of the fleet.
func (f *fleet) complete(m *machine) bool { return m.living() == len(f.all) }

// sees returns a condition: that a member sees these living, and nobody else.
func sees(nodes ...*machine) func(*machine) bool {
	return func(m *machine) bool {
		for _, n := range nodes {
			if s := m.State(n.cfg.Node); s == cdn.StateDown || m.find(n.cfg.Node) == nil {
				return false
			}
		}
		return m.living() == len(nodes)
	}
}

func (m *machine) find(node cdn.NodeName) *gossip.Member {
	for _, other := range m.Members() {
		if other.Name == node {
			return &other
		}
	}
	return nil
}

// awaitAll waits until a condition holds for all members.
func (f *fleet) awaitAll(within time.Duration, holds func(*machine) bool) {
	f.t.Helper()
	f.await(within, holds, f.all...)
}

// await waits until a condition holds for some members, and returns when it did.
func (f *fleet) await(within time.Duration, holds func(*machine) bool, machines ...*machine) {
	f.t.Helper()
	timeout := time.After(within)
	for _, m := range machines {
		for {
			changed := m.Changed()
			if holds(m) {
				break
			}
			select {
			case <-changed:
			case <-timeout:
				f.t.Fatalf("after %v %s still sees %+v", within, m.cfg.Node, m.Members())
			}
		}
	}
}

// split silences all ways from some machines to others, or lets them be heard again.
func (f *fleet) split(silent bool, from, to []*machine) {
	for _, a := range from {
		for _, b := range to {
			if a != b {
				f.net.Block(a.addr, b.addr, silent)
			}
		}
	}
}

// unchanged fails if a member's belief changes within a time.
func (f *fleet) unchanged(d time.Duration, what string, holds func(*machine) bool, machines ...*machine) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	var watching sync.WaitGroup
	for _, m := range machines {
		watching.Go(func() {
			for ctx.Err() == nil {
				changed := m.Changed()
				if !holds(m) {
					f.t.Errorf("%s: %s sees %+v", what, m.cfg.Node, m.Members())
					return
				}
				select {
				case <-changed:
				case <-ctx.Done():
				}
			}
		})
	}
	watching.Wait()
	for _, m := range machines {
		if !holds(m) {
			f.t.Errorf("%s: %s sees %+v in the end", what, m.cfg.Node, m.Members())
		}
	}
	if f.t.Failed() {
		f.t.FailNow()
	}
}
