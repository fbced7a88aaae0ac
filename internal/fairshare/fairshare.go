// Package fairshare divides a number of places among clients of whom nobody knows how many there are, or how long they stay. The fewer places are left, the fewer
// somebody may have who asks for another: a few who take all that they may, and never let go, leave some to whoever comes next.
//
// A client is an IPv4 address or an IPv6 /64. The /48 around that, which one customer may be given, is bounded as well;
// and so is a group, whatever that is: what clients of one group do is not to be to the detriment of all others.
//
// It is not for how often somebody asks, nor for connections, which can be taken back: those are seat's.
package fairshare

import (
	"net/netip"
	"sync"

	"nearcast/internal/clientip"
)

// What somebody has to have less of, to get another place, than what is left divided by this.
const (
	clientPart  = 16
	networkPart = 8
	groupPart   = 1
)

const networkBits = 48 // of IPv6

// Places are the places. Their methods may be called by many at once.
type Places struct {
	total, perClient int

	mu       sync.Mutex // guards what follows
	taken    int
	clients  map[netip.Addr]int   // no zeros
	networks map[netip.Prefix]int // likewise
	groups   map[string]int       // likewise
}

// New returns so many places, of which no client has more than perClient however many are left. None of either allows nobody.
func New(total, perClient int) *Places {
	return &Places{total: total, perClient: perClient, clients: make(map[netip.Addr]int), networks: make(map[netip.Prefix]int), groups: make(map[string]int)}
}

// Take takes a place for a client, in a group if that is not empty. The place is to be released once. The zero Addr is one client, too.
func (p *Places) Take(client netip.Addr, group string) (release func(), ok bool) {
	client = clientip.Share(client)
	network, _ := client.Prefix(networkBits) // invalid for IPv4, which has not so many bits
	p.mu.Lock()
	defer p.mu.Unlock()
	left := p.total - p.taken
	part := func(by int) int { return (left + by - 1) / by }
	switch {
	case left <= 0 || p.clients[client] >= min(p.perClient, part(clientPart)),
		network.IsValid() && p.networks[network] >= part(networkPart),
		group != "" && p.groups[group] >= part(groupPart):
		return nil, false
	}
	p.taken++
	p.clients[client]++
	if network.IsValid() {
		p.networks[network]++
	}
	if group != "" {
		p.groups[group]++
	}
	return func() { p.release(client, network, group) }, true
}

func (p *Places) release(client netip.Addr, network netip.Prefix, group string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
	less(p.clients, client)
	if network.IsValid() {
		less(p.networks, network)
	}
	if group != "" {
		less(p.groups, group)
	}
}

// less takes one away, and forgets what has none.
func less[K comparable](of map[K]int, k K) {
	if of[k]--; of[k] <= 0 {
		delete(of, k)
	}
}

// Taken returns how many places are taken.
func (p *Places) Taken() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken
}
