package main

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// volley is load over UDP from one socket, with many packets for each system call, so that the load costs less than what it loads.
type volley struct {
	addr string
	// next writes the next query into room, whose first two octets are then replaced, and returns it.
	next func(room []byte) []byte
	// check sees the answers; nil: none is looked at.
	check func(answer []byte) bool

	sent, answered, wrong atomic.Int64
	// tardy is how long after they were due queries were sent at a rate: what of the latency is the load's own. It is valid once the sending has ended.
	tardy histogram
	// served is from when queries were sent until their answers arrived: what of the latency is the server's and the system's.
	served histogram
}

const (
	volleyRoom  = 512
	volleyBatch = 32
)

// socket is a volley's.
type socket struct {
	conn  *net.UDPConn
	batch *ipv4.PacketConn
	out   []ipv4.Message
	in    []ipv4.Message
	id    uint16
	due   [1 << 16]int64 // when the query of an ID was due, ns since begin and one more; zero: it was answered
	left  [1 << 16]int64 // when it was sent, ns since begin
	late  histogram      // from when a query was due until its answer arrived
	begin time.Time
}

func (v *volley) open(ctx context.Context, begin time.Time) (*socket, error) {
	nc, err := new(net.Dialer).DialContext(ctx, "udp", v.addr)
	if err != nil {
		return nil, err
	}
	conn := nc.(*net.UDPConn)   //nolint:forcetypeassert,errcheck // of UDP
	conn.SetReadBuffer(4 << 20) //nolint:errcheck // the system has a smaller one then
	if err := stamped(conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	s := &socket{conn: conn, batch: ipv4.NewPacketConn(conn), begin: begin}
	for range volleyBatch {
		s.out = append(s.out, ipv4.Message{Buffers: [][]byte{make([]byte, 0, volleyRoom)}})
		s.in = append(s.in, ipv4.Message{Buffers: [][]byte{make([]byte, 2048)}, OOB: make([]byte, 64)})
	}
	return s, nil
}

// send sends n queries, at most volleyBatch, that are due at a time.
func (v *volley) send(s *socket, n int, due time.Duration, step time.Duration) error {
	for i := range n {
		packet := v.next(s.out[i].Buffers[0][:0])
		s.id++
		s.left[s.id] = int64(time.Since(s.begin))
		binary.BigEndian.PutUint16(packet, s.id)
		atomic.StoreInt64(&s.due[s.id], int64(due)+int64(i)*int64(step)+1)
		s.out[i].Buffers[0] = packet
	}
	for at := 0; at < n; {
		sent, err := s.batch.WriteBatch(s.out[at:n], 0)
		if err != nil {
			return err
		}
		at += sent
	}
	v.sent.Add(int64(n))
	return nil
}

// stamped has the system note when packets arrive: an answer is there then, not when the load comes to look at it.
func stamped(conn *net.UDPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	err1 := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	})
	return errors.Join(err, err1)
}

// arrival is when a packet arrived, ns since begin.
func (s *socket) arrival(m *ipv4.Message) (int64, error) {
	messages, err := unix.ParseSocketControlMessage(m.OOB[:m.NN])
	if err != nil {
		return 0, err
	}
	for _, c := range messages {
		if c.Header.Level == unix.SOL_SOCKET && c.Header.Type == unix.SCM_TIMESTAMPNS && len(c.Data) >= 16 {
			at := time.Unix(int64(binary.NativeEndian.Uint64(c.Data)), int64(binary.NativeEndian.Uint64(c.Data[8:]))) //nolint:gosec // a time
			return at.UnixNano() - s.begin.UnixNano(), nil
		}
	}
	return 0, errors.New("the system did not say when a packet arrived")
}

// receive takes answers, and returns how many they were.
func (v *volley) receive(s *socket) (int, error) {
	n, err := s.batch.ReadBatch(s.in, 0)
	got := 0
	for i := range max(n, 0) {
		answer := s.in[i].Buffers[0][:s.in[i].N]
		if len(answer) < 12 {
			continue
		}
		id := binary.BigEndian.Uint16(answer)
		due := atomic.SwapInt64(&s.due[id], 0) // and whoever stored it has stored left before
		if due == 0 {
			continue
		}
		got++
		arrived, err := s.arrival(&s.in[i])
		if err != nil {
			return got, err
		}
		s.late.add(time.Duration(arrived - due + 1))
		v.served.add(time.Duration(arrived - s.left[id]))
		if v.check != nil && !v.check(answer) {
			v.wrong.Add(1)
		}
	}
	v.answered.Add(int64(got))
	return got, err
}

// closed keeps a number of queries on their way, as dnsperf does, until ctx ends and one at least was answered. What is lost is sent anew after a second.
func (v *volley) closed(ctx context.Context, window int) (*histogram, error) {
	return v.run(ctx, func(s *socket) error {
		for missing := window; ctx.Err() == nil || v.answered.Load() == 0; {
			for ; missing > 0; missing -= volleyBatch {
				if err := v.send(s, min(missing, volleyBatch), time.Since(s.begin), 0); err != nil {
					return err
				}
			}
			if err := s.conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
				return err
			}
			n, err := v.receive(s)
			var timeout net.Error
			if err != nil && (!errors.As(err, &timeout) || !timeout.Timeout()) {
				return err
			}
			if missing = n; n == 0 {
				missing = window
			}
		}
		return nil
	})
}

// steady sends at a rate, whether or not answers come, until ctx ends.
func (v *volley) steady(ctx context.Context, rate float64) (*histogram, error) {
	step := time.Duration(float64(time.Second) / rate)
	return v.run(ctx, func(s *socket) error {
		var reading sync.WaitGroup
		reading.Go(func() {
			for {
				if _, err := v.receive(s); err != nil {
					return
				}
			}
		})
		err := v.pace(ctx, s, step)
		time.Sleep(100 * time.Millisecond) // for answers on their way
		if err1 := s.conn.SetReadDeadline(time.Now()); err == nil {
			err = err1
		}
		reading.Wait()
		return err
	})
}

// pace sends what is due. Its thread sleeps by itself: the runtime's sleep is no finer than a millisecond where there is a network to look at, and how
// late queries go out would count as how late answers are.
func (v *volley) pace(ctx context.Context, s *socket, step time.Duration) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(4, runtime.GOMAXPROCS(0)))) // a thread that sleeps keeps its processor for a while
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	unix.Prctl(unix.PR_SET_TIMERSLACK, 1000, 0, 0, 0) //nolint:errcheck // it is 50 us late then
	first := time.Since(s.begin)
	for sent := 0; ctx.Err() == nil || sent == 0; {
		now := time.Since(s.begin) - first
		n := min(int(now/step)+1-sent, volleyBatch)
		if n <= 0 {
			wait := unix.NsecToTimespec(int64(time.Duration(sent)*step - now))
			unix.Nanosleep(&wait, nil) //nolint:errcheck // somebody looks at the time again
			continue
		}
		if err := v.send(s, n, first+time.Duration(sent)*step, step); err != nil {
			return err
		}
		after := time.Since(s.begin) - first
		for i := range n {
			v.tardy.add(after - time.Duration(sent+i)*step)
		}
		sent += n
	}
	return nil
}

// run opens a socket and lets f use it.
func (v *volley) run(ctx context.Context, f func(s *socket) error) (*histogram, error) {
	s, err := v.open(ctx, time.Now())
	if err != nil {
		return nil, err
	}
	defer s.conn.Close() //nolint:errcheck // only a socket
	return &s.late, f(s)
}
