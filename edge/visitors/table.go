package visitors

import (
	"cmp"
	"container/heap"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"nearcast/cdn"
	"nearcast/internal/locate"
	"nearcast/internal/rawtcp"
)

// Bounds of a batch.
const (
	mostNetworks = 4096
	mostRTTs     = 8
	mostSites    = 256
)

// Config is what a Table is made from. Its zero value is good.
type Config struct {
	// Networks is how many there may be in a batch. Default 4,096. When there are more, the one with the least octets is dropped.
	Networks int
	// Now tells the time. Nil means [time.Now].
	Now func() time.Time
	// Read asks the kernel about a connection. Nil means [rawtcp.InfoOf].
	Read func(net.Conn) (rawtcp.Info, error)
	// Chance returns a number from 0 up to n, n excluded. Nil means [rand.IntN].
	Chance func(n int) int
}

// Table is what has been seen since it was last asked for. It is safe for concurrent use. A nil Table sees nothing.
type Table struct {
	cfg Config

	mu       sync.Mutex // guards what follows
	began    time.Time
	interval uint64 // since the start; the first is 1
	networks map[netip.Prefix]*network
	least    order // of networks
	sites    map[cdn.SiteName]*cdn.SiteRate
	dropped  uint64
	unread   uint64
}

// network is what has been seen of one.
type network struct {
	cdn.VisitorSample

	offered int // RTTs
	place   int // in the table's order
}

// New returns an empty table.
func New(cfg Config) *Table {
	cfg.Networks = cmp.Or(cfg.Networks, mostNetworks)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Read == nil {
		cfg.Read = rawtcp.InfoOf
	}
	if cfg.Chance == nil {
		cfg.Chance = rand.IntN
	}
	t := &Table{cfg: cfg}
	t.empty(cfg.Now())
	return t
}

// empty begins an interval. The caller holds mu, if others know of the table.
func (t *Table) empty(now time.Time) {
	t.began = now
	t.interval++
	t.networks, t.least = make(map[netip.Prefix]*network), nil
	t.sites = make(map[cdn.SiteName]*cdn.SiteRate)
}

// Take returns what has been seen since the last Take, and forgets it. Networks come in the order of their addresses, sites with the busiest
// first.
func (t *Table) Take() cdn.VisitorBatch {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.cfg.Now()
	b := cdn.VisitorBatch{At: now, Interval: now.Sub(t.began), Dropped: t.dropped}
	for _, n := range t.networks {
		b.Samples = append(b.Samples, n.VisitorSample)
	}
	slices.SortFunc(b.Samples, func(a, b cdn.VisitorSample) int { return a.Network.Compare(b.Network) })
	for _, s := range t.sites {
		b.Sites = append(b.Sites, *s)
	}
	slices.SortFunc(b.Sites, func(a, b cdn.SiteRate) int {
		return cmp.Or(cmp.Compare(b.Octets, a.Octets), cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.Site, b.Site))
	})
	b.Sites = slices.Clip(b.Sites[:min(len(b.Sites), mostSites)])
	t.empty(now)
	return b
}

// Dropped returns how many networks there was no room for since the start.
func (t *Table) Dropped() uint64 {
	if t == nil {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.dropped
}

// Unread returns how often the kernel could not be asked about a connection.
func (t *Table) Unread() uint64 {
	if t == nil {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.unread
}

// news is what a connection has to tell since it did so last.
type news struct {
	sample cdn.VisitorSample // without RTTs
	rtt    time.Duration     // zero: unknown
	sites  []cdn.SiteRate
	unread bool
}

// add adds a connection's news. told is the interval for which the connection has given a round trip, and is
// brought up to date.
func (t *Table) add(n *news, told *uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n.unread {
		t.unread++
	}
	for i := range n.sites {
		t.addSite(&n.sites[i])
	}
	if !n.sample.Network.IsValid() { // the visitor has no IP address
		return
	}
	of := t.networks[n.sample.Network]
	if of == nil {
		of = &network{VisitorSample: cdn.VisitorSample{Network: n.sample.Network}}
		of.add(&n.sample)
		if !t.enter(of) {
			return
		}
	} else {
		of.add(&n.sample)
		heap.Fix(&t.least, of.place)
	}
	if n.rtt > 0 && *told != t.interval {
		*told = t.interval
		of.offer(n.rtt, t.cfg.Chance)
	}
}

func (t *Table) addSite(s *cdn.SiteRate) {
	if s.Site == "" || s.Requests == 0 && s.Octets == 0 {
		return
	}
	of := t.sites[s.Site]
	if of == nil {
		of = &cdn.SiteRate{Site: s.Site}
		t.sites[s.Site] = of
	}
	of.Requests += s.Requests
	of.Octets += s.Octets
}

// enter makes room for a new network, if it is not itself the least.
func (t *Table) enter(n *network) bool {
	if len(t.networks) >= t.cfg.Networks {
		t.dropped++
		least := t.least[0]
		if n.compare(least) <= 0 {
			return false
		}
		delete(t.networks, least.Network)
		heap.Pop(&t.least)
	}
	t.networks[n.Network] = n
	heap.Push(&t.least, n)
	return true
}

func (n *network) add(s *cdn.VisitorSample) {
	n.Packets += s.Packets
	n.Lost += s.Lost
	n.Requests += s.Requests
	n.Failed += s.Failed
	n.Octets += s.Octets
}

// offer keeps a round trip of those that have been offered, each with the same chance (Vitter, "Random sampling with a reservoir",
// 1985, algorithm R).
func (n *network) offer(rtt time.Duration, chance func(int) int) {
	n.offered++
	ms := float32(float64(rtt) / float64(time.Millisecond))
	if len(n.RTTs) < mostRTTs {
		n.RTTs = append(n.RTTs, ms)
		return
	}
	if i := chance(n.offered); i < mostRTTs {
		n.RTTs[i] = ms
	}
}

// compare orders networks by how much they matter.
func (n *network) compare(m *network) int {
	return cmp.Or(cmp.Compare(n.Octets, m.Octets), cmp.Compare(n.Requests, m.Requests))
}

// order is a heap of networks with the least on top; it implements [heap.Interface].
type order []*network

func (o order) Len() int           { return len(o) }
func (o order) Less(i, j int) bool { return o[i].compare(o[j]) < 0 }

func (o order) Swap(i, j int) {
	o[i], o[j] = o[j], o[i]
	o[i].place, o[j].place = i, j
}

// Push implements [heap.Interface].
func (o *order) Push(x any) {
	n, _ := x.(*network)
	n.place = len(*o)
	*o = append(*o, n)
}

// Pop implements [heap.Interface].
func (o *order) Pop() any {
	last := len(*o) - 1
	n := (*o)[last]
	(*o)[last], *o = nil, (*o)[:last]
	return n
}

// networkOf returns the network of a connection's other end; the zero Prefix if it has no IP address.
func networkOf(remote net.Addr) netip.Prefix {
	tcp, ok := remote.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	p, _ := locate.Network(tcp.AddrPort().Addr())
	return p
}
