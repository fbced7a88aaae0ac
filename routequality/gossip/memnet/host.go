package memnet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	packetsWaiting = 4096 // in the socket's buffer
	streamsWaiting = 128  // in the listener's backlog
)

// Host is one host's door to the network. It implements [memberlist.NodeAwareTransport]. Its methods may be called from any goroutine.
type Host struct {
	net     *Network
	addr    netip.AddrPort
	packets chan *memberlist.Packet
	streams chan net.Conn
	closed  atomic.Bool
	cut     atomic.Bool

	octets   atomic.Int64
	overflow atomic.Int64

	mu     sync.Mutex // guards the following
	paused time.Time  // nothing goes in or out until then
	sent   map[netip.AddrPort]uint64
}

var _ memberlist.NodeAwareTransport = (*Host)(nil)

func newHost(n *Network, addr netip.AddrPort) *Host {
	return &Host{
		net: n, addr: addr, sent: make(map[netip.AddrPort]uint64),
		packets: make(chan *memberlist.Packet, packetsWaiting), streams: make(chan net.Conn, streamsWaiting),
	}
}

// Addr returns where the host is.
func (h *Host) Addr() netip.AddrPort { return h.addr }

// Octets returns what the host has sent, with the headers of IP, UDP and TCP.
func (h *Host) Octets() int64 { return h.octets.Load() }

// Overflow returns how many packets and streams were dropped because the host did not fetch them.
func (h *Host) Overflow() int64 { return h.overflow.Load() }

// Cut takes the host's cable out, or puts it back.
func (h *Host) Cut(out bool) { h.cut.Store(out) }

// Pause lets the host stand still for a while, as one whose processor works for others: what arrives and what is sent waits. Its clocks run on.
func (h *Host) Pause(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if until := time.Now().Add(d); until.After(h.paused) {
		h.paused = until
	}
}

// Standstill returns for how long the host will be standing still; zero if it is not.
func (h *Host) Standstill() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return max(0, time.Until(h.paused))
}

// count returns the number of the next thing to an address.
func (h *Host) count(to netip.AddrPort) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sent[to]++
	return h.sent[to]
}

// FinalAdvertiseAddr returns the host's address, whatever was configured.
func (h *Host) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return h.addr.Addr().AsSlice(), int(h.addr.Port()), nil
}

// WriteTo sends a packet.
func (h *Host) WriteTo(b []byte, addr string) (time.Time, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return time.Time{}, fmt.Errorf("memnet: %w", err)
	}
	now := time.Now()
	if h.closed.Load() {
		return now, net.ErrClosed
	}
	packet := append([]byte(nil), b...)
	if tap := h.net.tapped(); tap != nil {
		tap(h.addr, to, packet)
	}
	h.octets.Add(int64(len(b) + packetOverhead))
	delay, lost := h.net.fate(link{h.addr, to}, h.count(to))
	if lost {
		return now, nil
	}
	time.AfterFunc(h.Standstill()+delay, func() {
		if there := h.net.host(to); there != nil && h.net.passes(h.addr, to) {
			there.receive(h.addr, packet)
		}
	})
	return now, nil
}

// receive takes a packet that has arrived, once the host is awake.
func (h *Host) receive(from netip.AddrPort, packet []byte) {
	if d := h.Standstill(); d > 0 {
		time.AfterFunc(d, func() { h.receive(from, packet) })
		return
	}
	if h.closed.Load() {
		return
	}
	select {
	case h.packets <- &memberlist.Packet{Buf: packet, From: net.UDPAddrFromAddrPort(from), Timestamp: time.Now()}:
	default:
		h.overflow.Add(1)
	}
}

// WriteToAddress sends a packet.
func (h *Host) WriteToAddress(b []byte, addr memberlist.Address) (time.Time, error) {
	return h.WriteTo(b, addr.Addr)
}

// PacketCh returns where packets come in.
func (h *Host) PacketCh() <-chan *memberlist.Packet { return h.packets }

// StreamCh returns where streams come in.
func (h *Host) StreamCh() <-chan net.Conn { return h.streams }

// DialAddressTimeout opens a stream.
func (h *Host) DialAddressTimeout(addr memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return h.DialTimeout(addr.Addr, timeout)
}

// DialTimeout opens a stream: one round trip, a second more for each time that chance takes a packet of it.
func (h *Host) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, fmt.Errorf("memnet: %w", err)
	}
	failed := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(to), Err: err}
	}
	if h.closed.Load() {
		return nil, failed(net.ErrClosed)
	}
	wait := h.Standstill()
	for {
		h.octets.Add(segmentOverhead)
		there, lost1 := h.net.fate(link{h.addr, to}, h.count(to))
		back, lost2 := h.net.fate(link{to, h.addr}, h.count(to))
		if !lost1 && !lost2 && h.net.passes(h.addr, to) && h.net.passes(to, h.addr) {
			wait += there + back
			break
		}
		if wait += synTimeout; wait >= timeout {
			break
		}
	}
	if wait >= timeout {
		<-time.After(timeout)
		return nil, failed(os.ErrDeadlineExceeded)
	}
	<-time.After(wait)
	server := h.net.host(to)
	if server == nil || server.closed.Load() {
		return nil, failed(syscall.ECONNREFUSED)
	}
	near, far := pair(h, server)
	select {
	case server.streams <- far:
		return near, nil
	default:
		server.overflow.Add(1)
		return nil, failed(errors.New("the backlog is full"))
	}
}

// Shutdown ends the host. Others may take its address at once.
func (h *Host) Shutdown() error {
	h.closed.Store(true)
	h.net.remove(h)
	return nil
}
