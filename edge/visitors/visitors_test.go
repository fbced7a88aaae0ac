package visitors_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"nearcast/cdn"
	"nearcast/edge/visitors"
	"nearcast/internal/rawtcp"
)

// rig is a table, its clock, and what the kernel says.
type rig struct {
	*visitors.Table

	now  time.Time
	info rawtcp.Info
	err  error
	asks int
}

func newRig(networks int, chance func(int) int) *rig {
	r := &rig{now: time.Unix(1_000_000, 0).UTC(), info: rawtcp.Info{MinRTT: 20 * time.Millisecond, RTT: 25 * time.Millisecond, Sent: 10, Resent: 1}}
	r.Table = visitors.New(visitors.Config{Networks: networks, Now: func() time.Time { return r.now }, Chance: chance, Read: func(net.Conn) (rawtcp.Info, error) {
		r.asks++
		return r.info, r.err
	}})
	return r
}

// from is a connection from an address.
type from struct {
	net.Conn
	addr string
}

func (f from) RemoteAddr() net.Addr {
	ap, err := netip.ParseAddrPort(f.addr)
	if err != nil {
		return &net.UnixAddr{Name: f.addr, Net: "unix"}
	}
	return net.TCPAddrFromAddrPort(ap)
}

// visit is a connection with some requests of some octets, from its begin to its end.
func (r *rig) visit(addr string, requests int, octets int64) {
	c := r.Enter(from{addr: addr})
	for range requests {
		c.Served("shop", octets, false, r.now)
	}
	c.Leave()
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// A connection tells at its end what was done, of its network, and once.
func TestConnection(t *testing.T) {
	r := newRig(0, nil)
	for _, addr := range []string{"192.0.2.1:1000", "192.0.2.200:1000", "[::ffff:192.0.2.7]:1", "[2001:db8:1:2::3]:1000"} {
		c := r.Enter(from{addr: addr})
		c.Sent("shop", 1000, r.now)
		c.Served("shop", 500, false, r.now)
		c.Served("blog", 100, true, r.now)
		c.Leave()
		c.Leave()
	}
	r.now = r.now.Add(5 * time.Second)
	want := cdn.VisitorBatch{
		At: r.now, Interval: 5 * time.Second,
		Samples: []cdn.VisitorSample{
			{Network: prefix("192.0.2.0/24"), RTTs: []float32{20, 20, 20}, Packets: 30, Lost: 3, Requests: 6, Failed: 3, Octets: 4800},
			{Network: prefix("2001:db8:1::/48"), RTTs: []float32{20}, Packets: 10, Lost: 1, Requests: 2, Failed: 1, Octets: 1600},
		},
		Sites: []cdn.SiteRate{{Site: "shop", Requests: 4, Octets: 6000}, {Site: "blog", Requests: 4, Octets: 400}},
	}
	compare := cmpopts.EquateComparable(netip.Prefix{})
	if diff := cmp.Diff(want, r.Take(), compare); diff != "" {
		t.Errorf("batch (-want +got):\n%s", diff)
	}
	r.now = r.now.Add(time.Second)
	if diff := cmp.Diff(cdn.VisitorBatch{At: r.now, Interval: time.Second}, r.Take(), compare); diff != "" {
		t.Errorf("the next batch (-want +got):\n%s", diff)
	}
}

// A connection that lasts tells what is new every ten seconds, and one round trip for each batch.
func TestLongConnection(t *testing.T) {
	r := newRig(0, nil)
	c := r.Enter(from{addr: "192.0.2.1:1000"})
	for second := range 35 {
		r.now = r.now.Add(time.Second)
		r.info.Sent, r.info.Resent = r.info.Sent+100, r.info.Resent+1
		c.Sent("shop", 1000, r.now)
		if got, want := r.asks, (second+1)/10; got != want {
			t.Fatalf("second %d: the kernel was asked %d times, want %d", second+1, got, want)
		}
	}
	s := r.Take().Samples
	if len(s) != 1 || len(s[0].RTTs) != 1 || s[0].Packets != 3010 || s[0].Lost != 31 || s[0].Octets != 30_000 || s[0].Requests != 0 {
		t.Errorf("in thirty seconds: %+v", s)
	}
	c.Served("shop", 0, false, r.now)
	c.Leave()
	s = r.Take().Samples
	if len(s) != 1 || len(s[0].RTTs) != 1 || s[0].Packets != 500 || s[0].Lost != 5 || s[0].Octets != 5000 || s[0].Requests != 1 {
		t.Errorf("at the end: %+v", s)
	}
}

// What does not say anything about visitors is not there.
func TestNoVisitors(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(*rig)
	}{
		{"a probe without a request", func(r *rig) { r.Enter(from{addr: "192.0.2.1:1"}).Leave() }},
		{"another node", func(r *rig) {
			c := r.Enter(from{addr: "192.0.2.1:1"})
			c.Served("shop", 10, false, r.now)
			c.Inner()
			c.Served("shop", 10, false, r.now)
			c.Leave()
		}},
		{"no table", func(*rig) {
			c := (*visitors.Table)(nil).Enter(from{addr: "192.0.2.1:1"})
			c.Sent("shop", 1, time.Time{})
			c.Served("shop", 1, true, time.Time{})
			c.Inner()
			c.Leave()
		}},
	} {
		r := newRig(0, nil)
		test.do(r)
		if b := r.Take(); len(b.Samples)+len(b.Sites) > 0 || r.Dropped()+r.Unread() > 0 {
			t.Errorf("%s: %+v", test.name, b)
		}
	}
}

// A site's share is known also of visitors who have no address.
func TestNoAddress(t *testing.T) {
	r := newRig(0, nil)
	r.visit("@", 2, 10)
	if b := r.Take(); len(b.Samples) != 0 || len(b.Sites) != 1 || b.Sites[0].Octets != 20 {
		t.Errorf("%+v", b)
	}
}

// A connection on which nothing arrives any more has failed, one that is just closed has not.
func TestBroken(t *testing.T) {
	for _, test := range []struct {
		unanswered int
		want       uint32
	}{{0, 0}, {2, 0}, {3, 1}, {9, 1}} {
		r := newRig(0, nil)
		r.info.Unanswered = test.unanswered
		c := r.Enter(from{addr: "192.0.2.1:1"})
		c.Sent("shop", 10, r.now) // its request is not counted yet
		c.Leave()
		s := r.Take().Samples
		if len(s) != 1 || s[0].Failed != test.want || s[0].Requests < s[0].Failed {
			t.Errorf("%d time-outs: %+v, want %d failed", test.unanswered, s, test.want)
		}
		c.Served("shop", 5, false, r.now) // a stream that ends after its connection
		if s := r.Take().Samples; len(s) != 1 || s[0].Requests != 1 || s[0].Octets != 5 || s[0].RTTs != nil {
			t.Errorf("after the end: %+v", s)
		}
	}
}

// The kernel may know no minimum, or nothing, or say what cannot be.
func TestKernel(t *testing.T) {
	for _, test := range []struct {
		name   string
		info   rawtcp.Info
		err    error
		want   cdn.VisitorSample
		unread uint64
	}{
		{"no minimum", rawtcp.Info{RTT: 1500 * time.Microsecond, Sent: 1}, nil, cdn.VisitorSample{RTTs: []float32{1.5}, Packets: 1}, 0},
		{"no round trip yet", rawtcp.Info{Sent: 1}, nil, cdn.VisitorSample{Packets: 1}, 0},
		{"more lost than sent", rawtcp.Info{Sent: 1, Resent: 5}, nil, cdn.VisitorSample{Packets: 1, Lost: 1}, 0},
		{"an error", rawtcp.Info{Sent: 7, RTT: 1}, errors.New("gone"), cdn.VisitorSample{}, 1},
	} {
		r := newRig(0, nil)
		r.info, r.err = test.info, test.err
		r.visit("192.0.2.1:1", 1, 10)
		test.want.Network, test.want.Requests, test.want.Octets = prefix("192.0.2.0/24"), 1, 10
		if diff := cmp.Diff([]cdn.VisitorSample{test.want}, r.Take().Samples, cmpopts.EquateComparable(netip.Prefix{})); diff != "" || r.Unread() != test.unread {
			t.Errorf("%s: %d unread, (-want +got):\n%s", test.name, r.Unread(), diff)
		}
	}
}

// Of more networks than there is room for the least are dropped, and counted.
func TestBounded(t *testing.T) {
	r := newRig(8, nil)
	for i := range 100 {
		r.visit(fmt.Sprintf("192.0.%d.1:1000", (i*37)%100), 1, int64(1000+(i*37)%100))
	}
	b := r.Take()
	if len(b.Samples) != 8 || b.Dropped != 92 || r.Dropped() != 92 {
		t.Fatalf("%d networks, %d dropped, want 8 and 92", len(b.Samples), b.Dropped)
	}
	for i, s := range b.Samples {
		if want := uint64(1092 + i); s.Octets != want {
			t.Errorf("network %s with %d octets, want one of the largest: %d", s.Network, s.Octets, want)
		}
	}
	r.visit("198.51.100.1:1", 1, 1)
	if b := r.Take(); len(b.Samples) != 1 || b.Dropped != 92 {
		t.Errorf("the next batch: %+v", b)
	}
}

// Eight round trips of a network are kept, of each connection with the same chance.
func TestReservoir(t *testing.T) {
	const batches, connections = 2000, 40
	kept := make([]int, connections)
	r := newRig(0, nil)
	for range batches {
		for i := range connections {
			r.info.MinRTT = time.Duration(i+1) * time.Millisecond
			r.visit("192.0.2.1:1", 1, 1)
		}
		rtts := r.Take().Samples[0].RTTs
		if len(rtts) != 8 {
			t.Fatalf("%d round trips, want 8", len(rtts))
		}
		for _, ms := range rtts {
			kept[int(ms)-1]++
		}
	}
	want := float64(batches) * 8 / connections // 400; its standard deviation is 18
	for i, n := range kept {
		if float64(n) < want-110 || float64(n) > want+110 {
			t.Errorf("connection %d was kept %d times, want about %v", i, n, want)
		}
	}
}

// The busiest sites are told, and no more than 256 of them.
func TestSites(t *testing.T) {
	r := newRig(0, nil)
	for i := range 1000 {
		c := r.Enter(from{addr: "192.0.2.1:1"})
		c.Served(cdn.SiteName(fmt.Sprintf("site-%d", i)), int64(i), false, r.now)
		c.Served("", 1_000_000, false, r.now) // of no site
		c.Leave()
	}
	sites := r.Take().Sites
	if len(sites) != 256 || sites[0].Site != "site-999" || sites[255].Site != "site-744" {
		t.Errorf("%d sites, from %v to %v", len(sites), sites[0], sites[len(sites)-1])
	}
}

// A connection that serves many sites tells them all.
func TestManySitesOnOneConnection(t *testing.T) {
	r := newRig(0, nil)
	c := r.Enter(from{addr: "192.0.2.1:1"})
	for i := range 50 {
		c.Served(cdn.SiteName(fmt.Sprintf("site-%d", i%5)), 10, false, r.now)
	}
	c.Leave()
	b := r.Take()
	if len(b.Sites) != 5 || b.Sites[4].Octets != 100 || b.Samples[0].Requests != 50 || b.Samples[0].Octets != 500 {
		t.Errorf("%+v", b)
	}
}

// Everything may happen at the same time, and nothing is lost.
func TestConcurrent(t *testing.T) {
	table := visitors.New(visitors.Config{Networks: 4, Read: func(net.Conn) (rawtcp.Info, error) { return rawtcp.Info{MinRTT: 1}, nil }})
	var work, takers sync.WaitGroup
	var octets uint64
	stop := make(chan struct{})
	takers.Go(func() {
		for ended := false; !ended; {
			select {
			case <-stop:
				ended = true
			default:
			}
			for _, s := range table.Take().Sites {
				octets += s.Octets
			}
		}
	})
	for i := range 8 {
		work.Go(func() {
			for j := range 100 {
				c := table.Enter(from{addr: fmt.Sprintf("192.0.%d.%d:1", i, j)})
				var streams sync.WaitGroup
				for range 4 {
					streams.Go(func() { c.Served("shop", 1, false, time.Now()) })
				}
				c.Leave()
				streams.Wait()
			}
		})
	}
	work.Wait()
	close(stop)
	takers.Wait()
	if octets != 8*100*4 {
		t.Errorf("%d octets, want %d", octets, 8*100*4)
	}
}

func BenchmarkServed(b *testing.B) {
	c := newRig(0, nil).Enter(from{addr: "192.0.2.1:1"})
	now := time.Unix(1_000_000, 0)
	b.ReportAllocs()
	for b.Loop() {
		c.Served("shop", 1000, false, now)
	}
}
