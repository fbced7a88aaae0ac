package main

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"nearcast/loadtest/rig"
	"nearcast/scheduler/dnswire/dnsmutate"
)

// How much the scheduler's memory may grow by, in MiB: from the beginning, when among others the signatures that are kept, 32 MiB, are none, with what the
// garbage collector takes beside; and after it has warmed up for longer than growing takes.
const (
	maxGrowth     = 96
	maxWarmGrowth = 12
	warmUp        = 20 * time.Second
)

// vandals send mutants of queries over every front.
type vandals struct {
	s                    *stage
	queries              [][]byte
	udp, tcp, dot, https atomic.Int64 // sent
	answered             atomic.Int64 // over UDP
}

// mutantsDoNoHarm sends mutants while honest clients ask.
func mutantsDoNoHarm(ctx context.Context, o options, r *report) error {
	s, err := open(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	known, err := s.learn(ctx, 500)
	if err != nil {
		return err
	}
	v := &vandals{s: s, queries: dnsmutate.Queries(worldZone+".", "d1.cdn.test.", "p00-0.d2.cdn.test.", "a.wild.cdn.test.", "long.cdn.test.", "x.sub.cdn.test.", "mail.shop.example.")}
	cold := s.RSS()
	fares, warm, err := s.during(ctx, s.everyFront(), known, v.rage)
	if err != nil {
		return err
	}
	seconds := o.duration.Seconds()
	r.say("mutants: sent %d over UDP (%.0f/s, %d answered), %d over TCP, %d over DoT, %d over DoH", v.udp.Load(), float64(v.udp.Load())/seconds, v.answered.Load(), v.tcp.Load(), v.dot.Load(), v.https.Load())
	for name, n := range map[string]int64{"UDP": v.udp.Load(), "TCP": v.tcp.Load(), "DoT": v.dot.Load(), "DoH": v.https.Load(), "answered": v.answered.Load()} {
		if n == 0 {
			return fmt.Errorf("no mutant came through: %s", name)
		}
	}
	return errors.Join(r.tell("mutants", fares), s.unharmed(r, "mutants", warm, cold)) //nolint:contextcheck // what comes after the load is not ended with it
}

// everyFront are clients of every front, and of UDP from another network, too.
func (s *stage) everyFront() []honest {
	var all []honest
	for _, front := range dnsFronts {
		all = append(all, honest{front: front, pause: 10 * time.Millisecond})
	}
	for i := range 4 {
		all = append(all, honest{front: "udp", from: netip.AddrFrom4([4]byte{127, 0, 33, byte(i + 1)}), pause: 25 * time.Millisecond}) // below the limit of rates
	}
	return all
}

// during lets clients ask while something is done to the scheduler. It returns how they fared, and the scheduler's memory after half the time.
func (s *stage) during(ctx context.Context, clients []honest, known *answers, attack func(context.Context)) (map[string]*fare, int64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.o.duration)
	defer cancel()
	var attacking sync.WaitGroup
	attacking.Go(func() { attack(ctx) })
	var warm int64
	attacking.Go(func() {
		_ = rig.Pause(ctx, s.o.duration/2)
		warm = s.RSS()
	})
	fares := s.visit(ctx, clients, known)
	attacking.Wait()
	select {
	case <-s.Ended():
		return fares, warm, fmt.Errorf("the scheduler has ended: %w", s.Wait())
	default:
		return fares, warm, nil
	}
}

// unharmed checks the memory and the log of the scheduler.
func (s *stage) unharmed(r *report, what string, warm, cold int64) error {
	now := s.RSS()
	r.say("%s: memory of the scheduler %.1f MiB before, %.1f after half the time, %.1f at the end", what, float64(cold)/mebi, float64(warm)/mebi, float64(now)/mebi)
	if m, err := s.Metrics(context.Background()); err == nil { // a machine that is too busy loses packets in its kernel
		for name, n := range m {
			if n > 0 && strings.HasPrefix(name, "nearcast_scheduler_dns_dropped_total") {
				r.say("%s: %s %.0f", what, name, n)
			}
		}
	}
	log, err := os.ReadFile(s.Log)
	switch {
	case err != nil:
		return err
	case strings.Contains(string(log), "panic"):
		return fmt.Errorf("the log tells of a panic:\n%s", log)
	case now-cold > maxGrowth*mebi || s.o.duration/2 > warmUp && now-warm > maxWarmGrowth*mebi:
		return fmt.Errorf("the memory has grown by %d MiB, by %d of them in the second half", (now-cold)/mebi, (now-warm)/mebi)
	}
	return nil
}

// rage sends mutants over all fronts until ctx ends.
func (v *vandals) rage(ctx context.Context) {
	var all sync.WaitGroup
	for i := range 2 {
		all.Go(func() { v.overUDP(ctx, v.s.rng(10+uint64(i)), v.s.o.mutants/2) }) //nolint:gosec // positive
		all.Go(func() { v.overStreams(ctx, v.s.rng(20+uint64(i)), false) })       //nolint:gosec // as above
		all.Go(func() { v.overStreams(ctx, v.s.rng(30+uint64(i)), true) })        //nolint:gosec // as above
		all.Go(func() { v.overHTTPS(ctx, v.s.rng(40+uint64(i))) })                //nolint:gosec // as above
	}
	all.Wait()
}

func (v *vandals) mutant(rng *rand.Rand, dst []byte) []byte {
	return dnsmutate.Mutate(rng, dst, v.queries[rng.IntN(len(v.queries))])
}

func (v *vandals) overUDP(ctx context.Context, rng *rand.Rand, perSecond int) {
	conn, err := new(net.Dialer).DialContext(ctx, "udp", v.s.DNS)
	if err != nil {
		return
	}
	var reading sync.WaitGroup
	defer reading.Wait()
	defer conn.Close() //nolint:errcheck // only a socket
	reading.Go(func() {
		buf := make([]byte, 4096)
		for {
			if _, err := conn.Read(buf); errors.Is(err, net.ErrClosed) {
				return
			} else if err == nil {
				v.answered.Add(1)
			}
		}
	})
	var packet []byte
	steadily(ctx, perSecond, func() {
		packet = v.mutant(rng, packet[:0])
		if _, err := conn.Write(packet); err == nil {
			v.udp.Add(1)
		}
	})
}

// steadily calls f so many times a second until ctx ends.
func steadily(ctx context.Context, perSecond int, f func()) {
	start := time.Now()
	for done := 0; ctx.Err() == nil; {
		due := int(time.Since(start).Seconds() * float64(perSecond))
		for range min(due-done, 64) {
			f()
		}
		if due-done <= 64 {
			_ = rig.Pause(ctx, time.Millisecond)
		}
		done = min(due, done+64)
	}
}

// overStreams sends mutants over connections, now and then with a length that lies, and reads what comes.
func (v *vandals) overStreams(ctx context.Context, rng *rand.Rand, secure bool) {
	addr, sent := v.s.DNS, &v.tcp
	if secure {
		addr, sent = v.s.TLS, &v.dot
	}
	for rig.Pause(ctx, 2*time.Millisecond) == nil {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err != nil {
			continue
		}
		if secure {
			conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"dot"}}) //nolint:gosec // the certificate is the test's
		}
		if err := conn.SetDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			conn.Close() //nolint:errcheck // as it says
			continue
		}
		var packet []byte
		n := 1 + rng.IntN(40)
		for range n {
			packet = v.mutant(rng, append(packet[:0], 0, 0))
			binary.BigEndian.PutUint16(packet, uint16(len(packet)-2)) //nolint:gosec // shorter than a packet
			if rng.IntN(20) == 0 {
				packet[rng.IntN(2)] ^= 1 << rng.IntN(8)
			}
			if _, err := conn.Write(packet); err != nil {
				break
			}
			sent.Add(1)
		}
		io.Copy(io.Discard, io.LimitReader(conn, int64(1+rng.IntN(4000)))) //nolint:errcheck // it may be cut off
		conn.Close()                                                       //nolint:errcheck // as above
	}
}

func (v *vandals) overHTTPS(ctx context.Context, rng *rand.Rand) {
	c := newClient(v.s, netip.Addr{})
	defer c.close()
	var packet []byte
	for rig.Pause(ctx, time.Millisecond) == nil {
		packet = v.mutant(rng, packet[:0])
		target, method, content := "https://"+v.s.TLS+"/dns-query", http.MethodPost, string(packet)
		if rng.IntN(2) == 0 {
			method, content = http.MethodGet, ""
			text := []byte("?dns=" + base64.RawURLEncoding.EncodeToString(packet))
			if rng.IntN(4) == 0 {
				text[rng.IntN(len(text))] = "A=&%-_+/.~"[rng.IntN(10)]
			}
			target += string(text)
		}
		req, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(content))
		if err != nil {
			continue // the mutant is no URL
		}
		req.Header.Set("Content-Type", "application/dns-message")
		if _, _, err := fetch(c.secure, req); err == nil { //nolint:bodyclose // fetch reads all of it and closes it
			v.https.Add(1)
		}
	}
}
