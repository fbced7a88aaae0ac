package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"nearcast/loadtest/rig"
)

const (
	crowdNetworks  = 4
	crowdAddresses = 50   // of each network
	crowdWants     = 4500 // connections: all that DNS over TCP has, and more
)

// crowded has 200 addresses of a few networks want all connections of DNS over TCP, a third of them each without a
// word, with half a length, or with a question now and then, while clients with a connection go on asking and newcomers
// ask once, over TCP and TLS.
func crowded(ctx context.Context, o options, r *report) error {
	s, err := open(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	known, err := s.learn(ctx, 300)
	if err != nil {
		return err
	}
	here := make([]honest, 0, 4)
	for i, front := range []string{"tcp", "tcp", "dot", "dot"} {
		here = append(here, honest{front: front, from: netip.AddrFrom4([4]byte{127, 40, byte(i), 1}), pause: 25 * time.Millisecond}) //nolint:gosec // few
	}
	var c crowd
	cold := s.RSS()
	fares, warm, err := s.during(ctx, here, known, func(ctx context.Context) { c.push(ctx, s, known) })
	if err != nil {
		return err
	}
	r.say("crowd: at most %d connections of %d addresses are held; of those without one %d of %d are answered", c.most.Load(), crowdNetworks*crowdAddresses, c.answered.Load(), c.came.Load())
	if c.answered.Load() != c.came.Load() || c.came.Load() == 0 {
		err = fmt.Errorf("%d newcomers were not answered, the first: %w", c.came.Load()-c.answered.Load(), c.first)
	}
	return errors.Join(err, r.tell("crowd", fares), s.unharmed(r, "crowd", warm, cold)) //nolint:contextcheck // what comes after the load is not ended with it
}

// crowd is those who want all connections, and those who want one.
type crowd struct {
	held, most, came, answered atomic.Int64
	first                      error // of the newcomers
}

func (c *crowd) push(ctx context.Context, s *stage, known *answers) {
	var all sync.WaitGroup
	defer all.Wait()
	for i := range c.wants() {
		all.Go(func() {
			for rig.Pause(ctx, time.Second) == nil {
				c.hold(ctx, s, i)
			}
		})
	}
	for i := 0; rig.Pause(ctx, 50*time.Millisecond) == nil; i++ {
		c.came.Add(1)
		if err := newcomer(context.WithoutCancel(ctx), s, known, i); err == nil {
			c.answered.Add(1)
		} else if c.first == nil {
			c.first = err
		}
	}
}

// wants is how many connections are wanted: fewer if this program may not have so many.
func (c *crowd) wants() int {
	var may syscall.Rlimit
	const others = 500 // files
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &may); err != nil || may.Cur >= crowdWants+others {
		return crowdWants
	}
	return max(1, int(may.Cur)-others) //nolint:gosec // less than the former
}

// hold holds a connection for as long as it is let.
func (c *crowd) hold(ctx context.Context, s *stage, i int) {
	from := net.TCPAddr{IP: net.IPv4(127, 41, byte(i%crowdNetworks), byte(1+i/crowdNetworks%crowdAddresses))}
	d := net.Dialer{LocalAddr: &from, Timeout: s.o.patience()}
	nc, err := d.DialContext(ctx, "tcp", s.DNS)
	if err != nil {
		return
	}
	defer nc.Close()                                      //nolint:errcheck // nothing is on its way
	stop := context.AfterFunc(ctx, func() { nc.Close() }) //nolint:errcheck // as above
	defer stop()
	held := c.held.Add(1)
	defer c.held.Add(-1)
	for most := c.most.Load(); held > most && !c.most.CompareAndSwap(most, held); most = c.most.Load() {
	}
	switch i % 3 {
	case 1:
		nc.Write([]byte{0}) //nolint:errcheck // reading tells
	case 2:
		for err == nil {
			if _, err = talk(&dns.Conn{Conn: nc}, question("d1."+worldZone+".", dns.TypeA, netip.Prefix{}, false), s.o.patience()); err == nil {
				err = rig.Pause(ctx, time.Second)
			}
		}
		return
	}
	io.Copy(io.Discard, nc) //nolint:errcheck // until it is over
}

// newcomer asks once over a connection of its own.
func newcomer(ctx context.Context, s *stage, known *answers, i int) error {
	c := newClient(s, netip.AddrFrom4([4]byte{127, 42, byte(i), byte(1 + i>>8&127)})) //nolint:gosec // what is left
	defer c.close()
	p := &known.pairs[i%len(known.pairs)]
	_, err := c.exchange(ctx, []string{"tcp", "dot"}[i%2], question(p.name, dns.TypeA, p.subnet, false))
	return err
}
