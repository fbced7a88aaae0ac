package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"nearcast/loadtest/rig"
	"nearcast/scheduler/dnswire/dnsmutate"
)

// randomNames asks for names that nobody has, without end, while honest clients ask from another network: over UDP, with and without signatures, with a
// cookie so that nothing is cut down, and over TCP. Neither memory nor clients may suffer.
func randomNames(ctx context.Context, o options, r *report) error {
	s, err := open(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	known, err := s.learn(ctx, 500)
	if err != nil {
		return err
	}
	var sent, answered atomic.Int64
	cold := s.RSS()
	fares, warm, err := s.during(ctx, s.everyFront(), known, func(ctx context.Context) {
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() { s.flood(ctx, s.rng(50+uint64(i)), i, o.flood/4, &sent, &answered) }) //nolint:gosec // positive
		}
		all.Wait()
	})
	if err != nil {
		return err
	}
	r.say("random names: sent %d (%.0f/s), %d answered", sent.Load(), float64(sent.Load())/o.duration.Seconds(), answered.Load())
	if answered.Load() < sent.Load()/2 {
		err = fmt.Errorf("only %d of %d questions were answered: the flood was none", answered.Load(), sent.Load())
	}
	return errors.Join(err, r.tell("random names", fares), s.unharmed(r, "random names", warm, cold)) //nolint:contextcheck // what comes after the load is not ended with it
}

// flood asks for random names in one of four ways.
func (s *stage) flood(ctx context.Context, rng *rand.Rand, how, perSecond int, sent, answered *atomic.Int64) {
	conn, err := new(net.Dialer).DialContext(ctx, "udp", s.DNS)
	if err != nil {
		return
	}
	do := how%2 == 1
	cookie := ""
	if how >= 2 {
		cookie = s.cookie(ctx)
	}
	var reading sync.WaitGroup
	defer reading.Wait()
	defer conn.Close() //nolint:errcheck // only a socket
	reading.Go(func() { count(conn, answered) })
	below := []string{"", "d7.", "p00-0.d7.", "a.b.c.", "wild.", "nobody."}
	steadily(ctx, perSecond, func() {
		name := strconv.FormatUint(rng.Uint64(), 36) + "." + below[rng.IntN(len(below))] + worldZone + "."
		m := question(name, dns.TypeA, netip.Prefix{}, do)
		m.Id = uint16(rng.Uint32()) //nolint:gosec // any
		if cookie != "" {
			m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: cookie})
		}
		if packet, err := m.Pack(); err == nil {
			if _, err := conn.Write(packet); err == nil {
				sent.Add(1)
			}
		}
	})
}

// count counts what comes until the socket is closed.
func count(conn net.Conn, n *atomic.Int64) {
	buf := make([]byte, 4096)
	for {
		if _, err := conn.Read(buf); errors.Is(err, net.ErrClosed) {
			return
		} else if err == nil {
			n.Add(1)
		}
	}
}

// cookie asks for the scheduler's cookie for 127.0.0.1; empty if there is none.
func (s *stage) cookie(ctx context.Context) string {
	c := newClient(s, netip.Addr{})
	defer c.close()
	m := question(worldZone+".", dns.TypeSOA, netip.Prefix{}, false)
	m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0011223344556677"}}
	reply, err := c.exchange(ctx, "udp", m)
	if err != nil || reply.IsEdns0() == nil {
		return ""
	}
	for _, option := range reply.IsEdns0().Option {
		if got, ok := option.(*dns.EDNS0_COOKIE); ok {
			return got.Cookie
		}
	}
	return ""
}

// Limits of answers over UDP: of an address a second, and how many times that its /24 gets, at once and on and on. See package rrl.
const (
	limitPerSecond = 50
	limitBurst     = 125
	limitNetwork   = 32
)

// spoofed sends queries from all addresses of one network, as who wants to drown it does, and has those of the network beside it ask.
func spoofed(ctx context.Context, o options, r *report) error {
	s, err := open(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	known, err := s.learn(ctx, 500)
	if err != nil {
		return err
	}
	var beside []honest
	for i := range 40 {
		beside = append(beside, honest{front: "udp", from: netip.AddrFrom4([4]byte{127, 0, 6, byte(10 + 5*i)}), pause: 25 * time.Millisecond})
	}
	g, cold, begin := &gang{s: s}, s.RSS(), time.Now()
	fares, warm, err := s.during(ctx, beside, known, g.shoot)
	if err != nil {
		return err
	}
	sent, whole, cut := g.sent.Load(), g.whole.Load(), g.cut.Load()
	allowed := int64(limitNetwork * (limitBurst + limitPerSecond*time.Since(begin).Seconds()))
	r.say("spoofed: sent %d (%.0f/s) from 127.0.5.0/24: %d answered, at most %d may be; %d truncated, %d not at all; octets out %.2f times those in",
		sent, float64(sent)/o.duration.Seconds(), whole, allowed, cut, sent-whole-cut, float64(g.out.Load())/float64(max(1, g.in.Load())))
	if whole > allowed || sent < 2*allowed && o.strict {
		err = fmt.Errorf("%d of %d were answered, at most %d may be", whole, sent, allowed)
	}
	return errors.Join(err, r.tell("spoofed", fares), s.unharmed(r, "spoofed", warm, cold)) //nolint:contextcheck // what comes after the load is not ended with it
}

// gang sends from one network.
type gang struct {
	s                         *stage
	sent, whole, cut, in, out atomic.Int64
}

func (g *gang) shoot(ctx context.Context) {
	var conns []net.Conn
	var reading sync.WaitGroup
	defer reading.Wait()
	for i := range 254 {
		d := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 5, byte(i + 1)}), 0))}
		conn, err := d.DialContext(ctx, "udp", g.s.DNS)
		if err != nil {
			break
		}
		defer conn.Close() //nolint:errcheck // only a socket
		conns = append(conns, conn)
		reading.Go(func() { g.read(conn) })
	}
	if len(conns) == 0 {
		return
	}
	rng := g.s.rng(60)
	steadily(ctx, g.s.o.flood, func() {
		m := question(fmt.Sprintf("d%d.%s.", 1+rng.IntN(worldNames), worldZone), dns.TypeA, netip.Prefix{}, true)
		m.Id = uint16(rng.Uint32()) //nolint:gosec // any
		packet, err := m.Pack()
		if err != nil {
			return
		}
		if n, err := conns[rng.IntN(len(conns))].Write(packet); err == nil {
			g.sent.Add(1)
			g.in.Add(int64(n))
		}
	})
	_ = rig.Pause(context.WithoutCancel(ctx), 100*time.Millisecond)
}

func (g *gang) read(conn net.Conn) {
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil || n < 12:
		case binary.BigEndian.Uint16(buf[2:])&(1<<9) != 0:
			g.cut.Add(1)
			g.out.Add(int64(n))
		default:
			g.whole.Add(1)
			g.out.Add(int64(n))
		}
	}
}

// amplification is how many times as long as its query an answer over UDP may be.
const amplification = 4

// amplified asks for every type of every class of names over UDP without a cookie. No answer may be longer than four times its query, and what is refused
// none longer than the query and an OPT record.
func amplified(ctx context.Context, o options, r *report) error {
	s, err := open(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	conn, err := new(net.Dialer).DialContext(ctx, "udp", s.DNS)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // only a socket
	names := map[string]string{
		"apex": worldZone + ".", "steered": "d1.cdn.test.", "node": "p00-0.d1.cdn.test.", "no such name": "nope.cdn.test.", "wildcard": "x.wild.cdn.test.",
		"long record": "long.cdn.test.", "below a cut": "x.sub.cdn.test.", "server": "ns1.cdn.test.", "static": "mail.shop.example.", "empty": "wild.cdn.test.",
		"foreign": "www.example.net.", "root": ".", "arpa": "1.0.0.127.in-addr.arpa.", "version": "version.bind.", "deep": "a.b.c.d.e.f.g.h.cdn.test.",
	}
	a := &amplifier{conn: conn, longest: make(map[string]float64)}
	for class, name := range names {
		for typ := range uint16(320) {
			if err := a.try(class, name, typ); err != nil {
				return err
			}
		}
		if err := a.try(class, name, 32769); err != nil { // DLV
			return err
		}
	}
	for _, packet := range dnsmutate.Queries(worldZone+".", "d1.cdn.test.", "shop.example.") { // with all options, of secondaries, and signed by a key that nobody knows
		m := new(dns.Msg)
		if err := errors.Join(m.Unpack(packet), a.measure("options", packet, m)); err != nil {
			return err
		}
	}
	var most []string
	for _, class := range slices.Sorted(maps.Keys(a.longest)) {
		most = append(most, fmt.Sprintf("%s %.2f", class, a.longest[class]))
	}
	r.say("amplification: %d questions; octets out for one in, at most: %s", a.asked, strings.Join(most, ", "))
	if len(a.broken) > 0 {
		return fmt.Errorf("%d answers are too long, the first: %w", len(a.broken), a.broken[0])
	}
	if a.longest["long record"] < 3 || a.refused == 0 {
		return fmt.Errorf("nothing was near the limit, or nothing refused: %v", a.longest)
	}
	return nil
}

type amplifier struct {
	conn           net.Conn
	asked, refused int
	longest        map[string]float64
	broken         []error
}

// try asks with and without EDNS, of several sizes, and signatures.
func (a *amplifier) try(class, name string, typ uint16) error {
	for _, size := range []uint16{0, 512, 1232, 4096} {
		m := new(dns.Msg).SetQuestion(name, typ)
		if class == "version" {
			m.Question[0].Qclass = dns.ClassCHAOS
		}
		if size > 0 {
			m.SetEdns0(size, size != 512)
		}
		packet, err := m.Pack()
		if err != nil {
			return err
		}
		if err := a.measure(class, packet, m); err != nil {
			return fmt.Errorf("%s %d: %w", name, typ, err)
		}
	}
	return nil
}

func (a *amplifier) measure(class string, packet []byte, m *dns.Msg) error {
	a.asked++
	if err := a.conn.SetDeadline(time.Now().Add(forever)); err != nil {
		return err
	}
	if _, err := a.conn.Write(packet); err != nil {
		return err
	}
	buf := make([]byte, 65535)
	for {
		n, err := a.conn.Read(buf)
		if err != nil {
			return err
		}
		if n < 12 || binary.BigEndian.Uint16(buf) != m.Id {
			continue
		}
		a.longest[class] = max(a.longest[class], float64(n)/float64(len(packet)))
		if n > amplification*len(packet) {
			a.broken = append(a.broken, fmt.Errorf("%d octets for %d: %v", n, len(packet), m))
		}
		if buf[3]&15 == dns.RcodeRefused {
			a.refused++
			if n > len(packet)+11 {
				a.broken = append(a.broken, fmt.Errorf("refused with %d octets for %d: %v", n, len(packet), m))
			}
		} else if class == "foreign" && buf[3]&15 != dns.RcodeFormatError { // what makes no sense in any zone
			a.broken = append(a.broken, fmt.Errorf("a foreign zone is not refused: %v", m))
		}
		return nil
	}
}
