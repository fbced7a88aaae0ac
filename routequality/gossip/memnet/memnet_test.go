package memnet_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"nearcast/routequality/gossip/memnet"
)

var (
	here  = netip.MustParseAddrPort("10.0.0.1:1")
	there = netip.MustParseAddrPort("10.0.0.2:1")
)

func hosts(t *testing.T, cfg memnet.Config) (n *memnet.Network, a, b *memnet.Host) {
	t.Helper()
	n = memnet.New(cfg)
	a, err := n.Host(here)
	if err != nil {
		t.Fatal(err)
	}
	if b, err = n.Host(there); err != nil {
		t.Fatal(err)
	}
	return n, a, b
}

func slow(_, _ netip.AddrPort) time.Duration { return 20 * time.Millisecond }

func send(t *testing.T, h *memnet.Host, to netip.AddrPort) {
	t.Helper()
	if _, err := h.WriteTo([]byte("packet"), to.String()); err != nil {
		t.Fatal(err)
	}
}

// arrives returns after how long a packet comes; zero if it does not.
func arrives(h *memnet.Host) time.Duration {
	begin := time.Now()
	select {
	case <-h.PacketCh():
		return time.Since(begin)
	case <-time.After(time.Minute):
		return 0
	}
}

func TestPackets(t *testing.T) {
	for _, test := range []struct {
		name   string
		before func(n *memnet.Network, a, b *memnet.Host)
		want   time.Duration
	}{
		{"delay", func(*memnet.Network, *memnet.Host, *memnet.Host) {}, 20 * time.Millisecond},
		{"blocked", func(n *memnet.Network, _, _ *memnet.Host) { n.Block(here, there, true) }, 0},
		{"blocked the other way", func(n *memnet.Network, _, _ *memnet.Host) { n.Block(there, here, true) }, 20 * time.Millisecond},
		{"unblocked", func(n *memnet.Network, _, _ *memnet.Host) {
			n.Block(here, there, true)
			n.Block(here, there, false)
		}, 20 * time.Millisecond},
		{"sender cut", func(_ *memnet.Network, a, _ *memnet.Host) { a.Cut(true) }, 0},
		{"receiver cut", func(_ *memnet.Network, _, b *memnet.Host) { b.Cut(true) }, 0},
		{"sender stands still", func(_ *memnet.Network, a, _ *memnet.Host) { a.Pause(time.Second) }, 1020 * time.Millisecond},
		{"receiver stands still", func(_ *memnet.Network, _, b *memnet.Host) { b.Pause(time.Second) }, time.Second},
		{"both", func(_ *memnet.Network, a, b *memnet.Host) { a.Pause(time.Second); b.Pause(time.Second) }, 1020 * time.Millisecond},
		{"gone", func(_ *memnet.Network, _, b *memnet.Host) { b.Shutdown() }, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, a, b := hosts(t, memnet.Config{Delay: slow})
				test.before(n, a, b)
				send(t, a, there)
				if got := arrives(b); got != test.want {
					t.Errorf("a packet comes after %v, want %v", got, test.want)
				}
			})
		})
	}
}

// The same seed loses the same packets, another seed others, and about as many as it should.
func TestLoss(t *testing.T) {
	fates := func(seed uint64) (all string) {
		synctest.Test(t, func(t *testing.T) {
			_, a, b := hosts(t, memnet.Config{Seed: seed, Loss: 0.1, Jitter: 0.5})
			for range 2000 {
				send(t, a, there)
				<-time.After(time.Second)
				select {
				case <-b.PacketCh():
					all += "."
				default:
					all += "x"
				}
			}
		})
		return all
	}
	one, lost := fates(1), 0
	for _, f := range one {
		if f == 'x' {
			lost++
		}
	}
	if lost < 150 || lost > 250 {
		t.Errorf("%d of 2000 packets are lost, want about 200", lost)
	}
	if fates(1) != one {
		t.Error("one seed loses other packets the second time")
	}
	if fates(2) == one {
		t.Error("another seed loses the same packets")
	}
}

func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := hosts(t, memnet.Config{Delay: slow})
		begin := time.Now()
		near, err := a.DialTimeout(there.String(), time.Second)
		if err != nil {
			t.Fatal(err)
		}
		far := <-b.StreamCh()
		if d := time.Since(begin); d != 40*time.Millisecond {
			t.Errorf("a stream opens after %v, want 40ms", d)
		}
		for _, part := range []string{"hello, ", "there"} {
			if _, err := io.WriteString(near, part); err != nil {
				t.Fatal(err)
			}
		}
		near.Close()
		begin = time.Now()
		got, err := io.ReadAll(far)
		if string(got) != "hello, there" || err != nil || time.Since(begin) != 20*time.Millisecond {
			t.Errorf("read %q, %v after %v", got, err, time.Since(begin))
		}
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("reading what was closed: %v", err)
		}

		near, err = a.DialTimeout(there.String(), time.Second)
		if err != nil {
			t.Fatal(err)
		}
		far = <-b.StreamCh()
		n.Block(here, there, true)
		io.WriteString(near, "lost")
		far.SetDeadline(time.Now().Add(time.Second))
		if _, err := far.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("reading from silence: %v", err)
		}
		begin = time.Now()
		if _, err := a.DialTimeout(there.String(), 3*time.Second); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) != 3*time.Second {
			t.Errorf("dialling into silence: %v after %v", err, time.Since(begin))
		}
		n.Block(here, there, false)
		b.Shutdown()
		if _, err := a.DialTimeout(there.String(), 3*time.Second); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dialling nobody: %v", err)
		}
	})
}

func TestAddresses(t *testing.T) {
	n, a, _ := hosts(t, memnet.Config{})
	if _, err := n.Host(here); err == nil {
		t.Error("two hosts at one address")
	}
	a.Shutdown()
	if _, err := n.Host(here); err != nil {
		t.Errorf("the address of one that is gone: %v", err)
	}
}
