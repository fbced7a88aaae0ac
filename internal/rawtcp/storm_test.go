package rawtcp_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

type partsWriter interface {
	WriteParts(parts [][]byte) (int64, error)
}

// TestStorm writes through small buffers with deadlines that come at any time: the octets that a write says have gone are those
// that arrive, and the next write goes on behind them.
func TestStorm(t *testing.T) {
	c, other := pair(t)
	c.(interface{ SetWriteBuffer(int) error }).SetWriteBuffer(16 << 10)
	other.SetReadBuffer(16 << 10)
	random := rand.New(rand.NewPCG(1, 2))
	sent := make([]byte, 1<<20)
	for i := range sent {
		sent[i] = byte(random.Uint32())
	}
	got := make(chan []byte, 1)
	go func() {
		all, _ := io.ReadAll(other)
		got <- all
	}()
	var stop sync.WaitGroup
	ended := make(chan struct{})
	stop.Go(func() { // somebody else changes the deadline all the time
		for {
			select {
			case <-ended:
				return
			default:
				c.SetWriteDeadline(time.Now().Add(time.Duration(rand.IntN(3000)) * time.Microsecond))
			}
		}
	})
	for rest := sent; len(rest) > 0; {
		n, err := storm(c, random, rest)
		rest = rest[n:]
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	}
	close(ended)
	stop.Wait()
	c.(interface{ CloseWrite() error }).CloseWrite()
	if all := <-got; !bytes.Equal(all, sent) {
		t.Errorf("%d octets came, and not those %d that were sent", len(all), len(sent))
	}
}

// storm writes some of p, in one way or the other.
func storm(c net.Conn, random *rand.Rand, p []byte) (int, error) {
	n := min(len(p), random.IntN(200<<10))
	if random.IntN(2) == 0 {
		return c.Write(p[:n])
	}
	var parts [][]byte
	for rest := p[:n]; len(rest) > 0; {
		size := min(len(rest), random.IntN(40<<10))
		parts = append(parts, rest[:size])
		rest = rest[size:]
	}
	written, err := c.(partsWriter).WriteParts(parts)
	return int(written), err
}

// TestCloseWakes: whoever waits for the other end is woken by Close, CloseWrite and a reset.
func TestCloseWakes(t *testing.T) {
	for name, end := range map[string]func(c net.Conn, other *net.TCPConn){
		"close": func(c net.Conn, _ *net.TCPConn) { c.Close() },
		"reset": func(_ net.Conn, other *net.TCPConn) { other.SetLinger(0); other.Close() },
		"past":  func(c net.Conn, _ *net.TCPConn) { c.SetDeadline(time.Unix(1, 0)) },
	} {
		t.Run(name, func(t *testing.T) {
			c, other := pair(t)
			var waiting sync.WaitGroup
			began := make(chan struct{}, 2)
			waiting.Go(func() {
				began <- struct{}{}
				if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil {
					t.Errorf("read %d octets (%v)", n, err)
				}
			})
			waiting.Go(func() {
				began <- struct{}{}
				for {
					if _, err := c.(partsWriter).WriteParts([][]byte{make([]byte, 20<<10), make([]byte, 30<<10)}); err != nil {
						return
					}
				}
			})
			<-began
			<-began
			end(c, other)
			waiting.Wait()
		})
	}
}

// TestHalfClosed: the end of what the other sends does not keep us from sending.
func TestHalfClosed(t *testing.T) {
	c, other := pair(t)
	other.CloseWrite()
	if n, err := c.Read(make([]byte, 10)); n > 0 || err != io.EOF {
		t.Errorf("read %d octets (%v)", n, err)
	}
	if _, err := c.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	c.(interface{ CloseWrite() error }).CloseWrite()
	if all, err := io.ReadAll(other); string(all) != "abc" || err != nil {
		t.Errorf("%q (%v)", all, err)
	}
	if _, err := c.Write([]byte("abc")); err == nil {
		t.Error("a write after CloseWrite has no error")
	}
}
