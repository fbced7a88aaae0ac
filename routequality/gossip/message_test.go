package gossip_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log" //nolint:depguard // memberlist wants one
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"pgregory.net/rapid"

	"nearcast/cdn"
	"nearcast/routequality/gossip"
	"nearcast/routequality/gossip/memnet"
)

// dropped returns how many messages a member has dropped for a reason.
func dropped(t *testing.T, m *machine, reason string) float64 {
	t.Helper()
	return labelled(t, m.cfg.Registry, "nearcast_routequality_gossip_messages_dropped_total", "reason", reason)
}

func TestMessages(t *testing.T) {
	inBubble(t, 3, memnet.Config{}, nil, func(f *fleet) {
		a, b := f.all[0], f.all[1]
		long, longest := strings.Repeat("p", gossip.MaxPacket), strings.Repeat("s", gossip.MaxReliable)
		for _, err := range []error{
			a.Send("n1", []byte("hello")), a.Send("n1", nil), a.Send("n1", []byte(long)), a.SendReliably("n1", []byte(longest)), b.Send("n0", []byte("back")),
		} {
			if err != nil {
				t.Error(err)
			}
		}
		<-time.After(time.Second)
		got, want := b.messages(), []string{"n0: ", "n0: hello", "n0: " + long, "n0: " + longest}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("n1 got %d messages of %d octets, want %d: %.40q", len(got), len(strings.Join(got, "")), len(want), got)
		}
		if got := a.messages(); !slices.Equal(got, []string{"n1: back"}) {
			t.Errorf("n0 got %q", got)
		}
		f.all[2].end()
		f.await(time.Second, sees(a, b), a)
		for what, err := range map[string]error{
			"too long a packet":  a.Send("n1", make([]byte, gossip.MaxPacket+1)),
			"too long a message": a.SendReliably("n1", make([]byte, gossip.MaxReliable+1)),
			"nobody":             a.Send("n7", nil),
			"one who has left":   a.Send("n2", nil),
			"itself":             a.Send("n0", nil),
		} {
			if err == nil {
				t.Errorf("sending %s gave no error", what)
			}
		}
	})
}

// A message to a member that has lost its power is given up after two seconds.
func TestSendReliablyIsBounded(t *testing.T) {
	for _, kind := range []gossip.Kind{gossip.LAN, gossip.WAN} {
		inBubble(t, 2, memnet.Config{}, func(_ int, c *gossip.Config) { c.Kind = kind }, func(f *fleet) {
			f.awaitAll(10*time.Second, f.complete)
			f.all[1].host.Cut(true)
			begin := time.Now()
			if err := f.all[0].SendReliably("n1", []byte("hello")); err == nil || time.Since(begin) > 2*time.Second {
				t.Errorf("%s: error %v after %v, want one within 2s", kind, err, time.Since(begin))
			}
		})
	}
}

// A peer that takes a stream and reads nothing holds nobody up for longer than the time allowed.
func TestPeerThatDoesNotRead(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	sockets, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{BindAddrs: []string{"127.0.0.1"}, Logger: log.New(io.Discard, "", 0)})
	if err != nil {
		t.Fatal(err)
	}
	defer sockets.Shutdown()
	conn, err := gossip.Wire(sockets).DialAddressTimeout(memberlist.Address{Addr: listener.Addr().String()}, 200*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	begin := time.Now()
	if n, err := conn.Write(make([]byte, 256<<20)); err == nil || time.Since(begin) > 10*time.Second {
		t.Errorf("wrote %d octets in %v, error %v", n, time.Since(begin), err)
	}
}

// While OnMessage is busy, messages wait, and the oldest go first when there are too many or too long ones; the packet loop waits for nobody.
func TestQueue(t *testing.T) {
	busy, entered := make(chan struct{}), make(chan struct{}, 1)
	var calls atomic.Int64
	var last atomic.Value
	cfg := config("n1")
	cfg.OnMessage = func(_ cdn.NodeName, msg []byte) {
		calls.Add(1)
		last.Store(string(msg[:min(len(msg), 20)]))
		select {
		case entered <- struct{}{}:
		default:
		}
		<-busy
	}
	n1 := start(t, cfg)
	n0 := start(t, config("n0", n1.Addr()))
	n0.awaitState(t, 5*time.Second, "n1", cdn.StateStarting)
	n1.awaitState(t, 5*time.Second, "n0", cdn.StateStarting)
	if err := n0.SendReliably("n1", []byte("first")); err != nil {
		t.Fatal(err)
	}
	<-entered
	received := func() float64 {
		return labelled(t, n1.reg, "nearcast_routequality_gossip_messages_received_total", "way", "stream")
	}
	big := bytes.Repeat([]byte("b"), gossip.MaxReliable)
	for i := range 12 {
		if err := n0.SendReliably("n1", append(fmt.Appendf(nil, "big %d ", i), big[10:]...)); err != nil {
			t.Fatal(err)
		}
		await(t, 10*time.Second, "a message to be taken", func() bool { return received() == float64(i+2) })
	}
	full := labelled(t, n1.reg, "nearcast_routequality_gossip_messages_dropped_total", "reason", "queue_full")
	if waiting := 12 - int(full); waiting > gossip.InboxOctets/gossip.MaxReliable+1 || waiting < 7 {
		t.Errorf("%d messages of 1 MiB wait, want about 8", waiting)
	}
	close(busy)
	await(t, 10*time.Second, "what waited to be delivered", func() bool { return calls.Load() == 13-int64(full) })
	if got := last.Load(); !strings.HasPrefix(got.(string), "big 11 ") {
		t.Errorf("the last message is %q, want the newest", got)
	}
}

type packet struct {
	from, to netip.AddrPort
	b        []byte
}

// tape records every packet, until the returned function stops it.
func (f *fleet) tape() (stop func() []packet) {
	var mu sync.Mutex
	var all []packet
	f.net.Tap(func(from, to netip.AddrPort, b []byte) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, packet{from, to, bytes.Clone(b)})
	})
	return func() []packet {
		f.net.Tap(nil)
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

// Whatever is said without the key, with the key of another pool, or again, changes nothing: no member, no message.
func TestForgedAndReplayed(t *testing.T) {
	inBubble(t, 4, memnet.Config{}, func(i int, c *gossip.Config) {
		if i == 3 { // who shares the secret, not the pool
			c.Cluster = "other"
		}
	}, func(f *fleet) {
		ours := f.all[:3]
		f.await(20*time.Second, sees(ours...), ours...)
		stop := f.tape()
		for i := range 20 {
			for _, from := range ours {
				to := ours[(slices.Index(ours, from)+1)%3]
				if err := from.Send(to.cfg.Node, fmt.Append(nil, i)); err != nil {
					t.Error(err)
				}
			}
		}
		ours[1].SetState(cdn.StateDraining)
		ours[1].host.Pause(600 * time.Millisecond) // so that there are accusations on the tape
		<-time.After(5 * time.Second)
		ours[1].SetState(cdn.StateReady)
		<-time.After(5 * time.Second)
		taped := stop()
		if len(taped) < 200 {
			t.Fatalf("only %d packets on the tape", len(taped))
		}
		members := func(m *machine) string { return fmt.Sprint(m.Members()) }
		replay := func(what string, send func(p packet)) {
			t.Helper()
			before := make([]string, len(ours))
			for i, m := range ours {
				before[i] = members(m) + fmt.Sprint(len(m.messages()))
			}
			for i, p := range taped {
				send(p)
				if i%50 == 0 {
					<-time.After(time.Millisecond)
				}
			}
			f.unchanged(2*time.Second, what, func(m *machine) bool {
				i := slices.Index(ours, m)
				return members(m)+fmt.Sprint(len(m.messages())) == before[i]
			}, ours...)
		}
		if got := len(ours[0].messages()); got != 20 {
			t.Fatalf("n0 got %d messages, want 20", got)
		}
		replay("replayed", func(p packet) { f.net.Inject(p.from, p.to, p.b) })
		replay("replayed to everybody", func(p packet) {
			for _, m := range f.all {
				f.net.Inject(p.from, m.addr, p.b)
			}
		})
		if repeated, astray := dropped(t, ours[1], "repeated"), dropped(t, ours[2], "astray"); repeated < 20 || astray < 20 {
			t.Errorf("dropped as repeated %v, as astray %v, want 20 of each at least", repeated, astray)
		}
		// With a key, but of another pool or none of ours, and garbage.
		dead := append([]byte{5, 0x83}, "\xabIncarnation\xce\xff\xff\xff\xff\xa4Node\xa2n1\xa4From\xa2n1"...)
		for _, forged := range [][]byte{
			nil,
			{244},
			{244, 0},
			[]byte("garbage"),
			dead,
			gossip.Seal("a guess", "nearcast/test/lan/ams", dead),
			gossip.Seal("a secret", "nearcast/other/lan/ams", dead),
			append(append([]byte{244, 21}, "nearcast/test/lan/ams"...), dead...),
		} {
			taped = []packet{{f.all[3].addr, addr(0), forged}, {addr(1), addr(0), forged}, {addr(1), addr(2), forged}}
			replay(fmt.Sprintf("forged %.30q", forged), func(p packet) { f.net.Inject(p.from, p.to, p.b) })
		}
	})
}

// Neither side's next life believes what was said in an earlier one.
func TestReplayedAcrossRestart(t *testing.T) {
	inBubble(t, 3, memnet.Config{}, nil, func(f *fleet) {
		stop := f.tape()
		for i := range 5 {
			if err := f.all[2].Send("n0", fmt.Append(nil, i)); err != nil {
				t.Error(err)
			}
		}
		f.all[2].SetState(cdn.StateDraining)
		<-time.After(time.Second)
		f.all[2].end() // whose goodbye is on the tape
		f.await(time.Second, sees(f.all[:2]...), f.all[:2]...)
		<-time.After(2 * time.Minute) // until the protocol has forgotten it
		taped := stop()
		for _, who := range []int{2, 0} {
			f.restart(f.all[who])
			f.awaitAll(10*time.Second, f.complete)
			<-time.After(3 * time.Second)
			for _, p := range taped {
				f.net.Inject(p.from, p.to, p.b)
			}
			f.unchanged(5*time.Second, fmt.Sprintf("replayed after n%d was restarted", who), func(m *machine) bool {
				return f.complete(m) && m.State("n2") == cdn.StateStarting
			}, f.all...)
		}
		if got := f.all[0].messages(); len(got) != 5 {
			t.Errorf("n0 got %q, want 5 messages once", got)
		}
		if n := dropped(t, f.all[0], "astray"); n != 5 {
			t.Errorf("%v messages were dropped as for an earlier life, want 5", n)
		}
	})
}

// What comes with the key and is no message from a living member is dropped, and counted by reason.
func TestDropped(t *testing.T) {
	inBubble(t, 2, memnet.Config{}, nil, func(f *fleet) {
		<-time.After(time.Second)
		for _, b := range [][]byte{nil, {1}, []byte("no envelope at all, but long enough"), bytes.Repeat([]byte{1}, 27)} {
			f.all[0].Receive(b)
		}
		if got := dropped(t, f.all[0], "malformed"); got != 4 {
			t.Errorf("%v messages are malformed, want 4", got)
		}
		stranger := append(append([]byte{1, 0}, make([]byte, 24)...), "\x02n9hello"...)
		f.all[0].Receive(stranger)
		if got := dropped(t, f.all[0], "stranger"); got != 1 {
			t.Errorf("%v messages are from strangers, want 1", got)
		}
		copy(stranger[27:], "n1")
		f.all[0].Receive(stranger)
		if got := dropped(t, f.all[0], "astray"); got != 1 {
			t.Errorf("%v messages are astray, want 1", got)
		}
	})
}

func FuzzEnvelope(f *testing.F) {
	f.Add(append(append([]byte{1, 0}, make([]byte, 24)...), "\x02n9hello"...))
	f.Add([]byte{1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, again, err := gossip.ParseEnvelope(b)
		if err == nil && !bytes.Equal(again, b) {
			t.Errorf("%q is said again as %q", b, again)
		}
	})
}

// A window takes every number that is less than 64 below the highest once, and no other below it.
func TestWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w gossip.Window
		seen, highest := map[uint64]bool{0: true}, uint64(0)
		for _, seq := range rapid.SliceOf(rapid.Uint64Range(0, 300)).Draw(t, "numbers") {
			want := !seen[seq] && seq+64 > highest
			if got := w.Accept(7, seq); got != want {
				t.Fatalf("number %d below %d: taken %t, want %t", seq, highest, got, want)
			}
			seen[seq], highest = true, max(seq, highest)
		}
		if !w.Accept(8, 1) {
			t.Error("a new life's first number is refused")
		}
	})
}

// What waits is dropped with the pool: nothing is delivered after Run.
func TestNothingAfterRun(t *testing.T) {
	inBubble(t, 2, memnet.Config{}, nil, func(f *fleet) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		f.all[0].end()
		for ctx.Err() == nil {
			f.all[1].Send("n0", []byte("late"))
			<-time.After(100 * time.Millisecond)
		}
		if got := f.all[0].messages(); len(got) > 0 {
			t.Errorf("got %q after the end", got)
		}
	})
}
