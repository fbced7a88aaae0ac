package visitors

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"nearcast/cdn"
)

const (
	// patience is how long a connection keeps to itself what it has to tell.
	patience = 10 * time.Second
	// broken is how many time-outs in a row for an acknowledgement are too many: with them a visitor has got nothing for
	// seconds.
	broken = 3
	// kept is how many sites a connection counts for before it has to tell the table. Most connections have one.
	kept = 2
)

// Conn counts what is done for a visitor's connection. It is safe for concurrent use: streams of HTTP/2 share it. A nil Conn counts nothing.
type Conn struct {
	table   *Table
	nc      net.Conn
	network netip.Prefix

	mu       sync.Mutex // guards what follows; taken before the table's
	told     time.Time  // when the table was told last
	interval uint64     // of the table, for which it has a round trip of this connection
	sent     uint32     // packets that the table knows of
	resent   uint32     // likewise
	failed   uint32
	sites    [kept]cdn.SiteRate
	visitor  bool // there was a request
	inner    bool // of another node
	left     bool
}

// Enter begins to count for a connection. [Conn.Leave] must be called before it is closed.
func (t *Table) Enter(nc net.Conn) *Conn {
	if t == nil {
		return nil
	}
	return &Conn{table: t, nc: nc, network: networkOf(nc.RemoteAddr()), told: t.cfg.Now()}
}

// Inner says that the other end is not a visitor but another node of the CDN: nothing of it counts.
func (c *Conn) Inner() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inner = true
}

// Sent counts octets of an answer that is not complete yet.
func (c *Conn) Sent(site cdn.SiteName, octets int64, now time.Time) {
	c.count(site, 0, octets, false, now)
}

// Served counts a request that has been answered: octets that were sent and that Sent does not know of. failed says that it was answered with an
// error of the node's own.
func (c *Conn) Served(site cdn.SiteName, octets int64, failed bool, now time.Time) {
	c.count(site, 1, octets, failed, now)
}

func (c *Conn) count(site cdn.SiteName, requests uint64, octets int64, failed bool, now time.Time) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.visitor = true
	of := c.siteOf(site)
	of.Requests += requests
	of.Octets += uint64(max(octets, 0))
	if failed {
		c.failed++
	}
	if c.left || now.Sub(c.told) >= patience {
		c.tell(now, !c.left)
	}
}

// siteOf returns the counts for a site. It holds mu.
func (c *Conn) siteOf(site cdn.SiteName) *cdn.SiteRate {
	for i := range c.sites {
		if s := &c.sites[i]; s.Site == site || s.Requests == 0 && s.Octets == 0 {
			s.Site = site
			return s
		}
	}
	c.tell(c.told, false)
	c.sites[0].Site = site
	return &c.sites[0]
}

// Leave tells the table what it does not know yet, because the connection ends.
func (c *Conn) Leave() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left {
		return
	}
	c.left = true
	if c.visitor {
		c.tell(c.told, true)
	}
}

// tell tells the table what it does not know yet, after it has asked the kernel if ask. It holds mu.
func (c *Conn) tell(now time.Time, ask bool) {
	c.told = now
	n := news{sample: cdn.VisitorSample{Network: c.network, Failed: c.failed}, sites: c.sites[:]}
	for i := range c.sites {
		n.sample.Requests += uint32(c.sites[i].Requests)
		n.sample.Octets += c.sites[i].Octets
	}
	if ask && !c.inner {
		c.ask(&n)
	}
	n.sample.Requests = max(n.sample.Requests, n.sample.Failed) // the answer that broke with the connection may not have been counted yet
	if !c.inner {
		c.table.add(&n, &c.interval)
	}
	c.failed = 0
	clear(c.sites[:])
}

// ask adds what the kernel knows.
func (c *Conn) ask(n *news) {
	info, err := c.table.cfg.Read(c.nc)
	if err != nil {
		n.unread = true
		return
	}
	if n.rtt = info.MinRTT; n.rtt <= 0 {
		n.rtt = info.RTT
	}
	n.sample.Packets, n.sample.Lost = info.Sent-c.sent, info.Resent-c.resent
	c.sent, c.resent = info.Sent, info.Resent
	n.sample.Lost = min(n.sample.Lost, n.sample.Packets)
	if c.left && info.Unanswered >= broken {
		n.sample.Failed++
	}
}
