// Package memnet is a network in memory for gossip pools: packets and streams between hosts, with a delay for every pair, loss, silence in one
// direction, hosts that stand still and hosts that are cut off. Under testing/synctest it runs in virtual time.
//
// What becomes of the n-th packet from one host to another depends on the seed and nothing else; which packet is the n-th is up to those who send.
// Streams lose nothing but time. Their bandwidth is without limit.
//
// It is not part of the running system: it is for simulations and tests.
package memnet

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
)

// What a packet costs beside what is in it: headers of IPv4 and UDP, or TCP.
const (
	packetOverhead  = 28
	segmentOverhead = 40
	segmentSize     = 1460
)

// What TCP in Linux does about loss.
const (
	synTimeout        = time.Second
	retransmitTimeout = 200 * time.Millisecond
)

// Config says what the network is like.
type Config struct {
	// Seed decides chance.
	Seed uint64
	// Delay is how long a packet is under way from one host to another; nil: 100 µs.
	Delay func(from, to netip.AddrPort) time.Duration
	// Jitter is what chance adds at most to a delay, as a share of it. From 0.
	Jitter float64
	// Loss is the share of packets that are lost, from 0 to 1.
	Loss float64
}

// Network connects hosts. Its methods may be called from any goroutine.
type Network struct {
	cfg Config

	mu      sync.Mutex // guards the following
	hosts   map[netip.AddrPort]*Host
	blocked map[link]bool
	tap     func(from, to netip.AddrPort, packet []byte)
}

type link struct{ from, to netip.AddrPort }

// New returns a network without hosts.
func New(cfg Config) *Network {
	if cfg.Delay == nil {
		cfg.Delay = func(_, _ netip.AddrPort) time.Duration { return 100 * time.Microsecond }
	}
	return &Network{cfg: cfg, hosts: make(map[netip.AddrPort]*Host), blocked: make(map[link]bool)}
}

// Host returns a new host at an address. One that has shut down gives way to it, and it is an error if another is there.
func (n *Network) Host(addr netip.AddrPort) (*Host, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.hosts[addr] != nil {
		return nil, fmt.Errorf("memnet: there is already a host at %s", addr)
	}
	h := newHost(n, addr)
	n.hosts[addr] = h
	return h, nil
}

// Block silences one direction between two hosts, or lets it be heard again.
func (n *Network) Block(from, to netip.AddrPort, silent bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if silent {
		n.blocked[link{from, to}] = true
		return
	}
	delete(n.blocked, link{from, to})
}

// Tap has every packet shown to f, as it is sent, before it is lost or delayed. f must not keep it.
func (n *Network) Tap(f func(from, to netip.AddrPort, packet []byte)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tap = f
}

// Inject delivers a packet at once, as if it had come from an address. It reports whether somebody is there.
func (n *Network) Inject(from, to netip.AddrPort, packet []byte) bool {
	n.mu.Lock()
	h := n.hosts[to]
	n.mu.Unlock()
	if h == nil {
		return false
	}
	h.receive(from, append([]byte(nil), packet...))
	return true
}

// passes reports whether what is sent now would be heard.
func (n *Network) passes(from, to netip.AddrPort) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	a, b := n.hosts[from], n.hosts[to]
	return !n.blocked[link{from, to}] && (a == nil || !a.cut.Load()) && (b == nil || !b.cut.Load())
}

func (n *Network) host(addr netip.AddrPort) *Host {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.hosts[addr]
}

func (n *Network) tapped() func(from, to netip.AddrPort, packet []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.tap
}

// remove takes a host that has shut down off the network.
func (n *Network) remove(h *Host) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.hosts[h.addr] == h {
		delete(n.hosts, h.addr)
	}
}

// fate says how long the count-th thing on a link is under way, and whether it is lost.
func (n *Network) fate(l link, count uint64) (delay time.Duration, lost bool) {
	delay = n.cfg.Delay(l.from, l.to)
	if l.from == l.to {
		return 0, false
	}
	delay += time.Duration(n.cfg.Jitter * n.dice(l, count, 'j') * float64(delay))
	return delay, n.lost(l, count)
}

// lost reports whether the count-th thing on a link is lost.
func (n *Network) lost(l link, count uint64) bool { return n.dice(l, count, 'l') < n.cfg.Loss }

// dice returns a number from 0 to 1 that is always the same for the same question.
func (n *Network) dice(l link, count uint64, what byte) float64 {
	var b [64]byte
	buf := binary.LittleEndian.AppendUint64(b[:0], n.cfg.Seed)
	buf = binary.LittleEndian.AppendUint64(buf, count)
	for _, a := range []netip.AddrPort{l.from, l.to} {
		ip := a.Addr().As16()
		buf = append(buf, ip[:]...)
		buf = binary.LittleEndian.AppendUint16(buf, a.Port())
	}
	return float64(xxhash.Sum64(append(buf, what))>>11) / (1 << 53)
}
