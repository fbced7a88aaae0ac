package rawtcp_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"nearcast/internal/rawtcp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair returns both ends of a connection; the first is wrapped.
func pair(t *testing.T) (wrapped net.Conn, other *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return rawtcp.Wrap(b), a.(*net.TCPConn)
}

// TestBothWays moves octets in pieces of every size through a connection whose other end is slow.
func TestBothWays(t *testing.T) {
	for _, size := range []int{1, 1000, 64 << 10, 64<<10 + 1, 8 << 20} {
		c, other := pair(t)
		sent := bytes.Repeat([]byte("0123456789abcde"), size/15+1)[:size]
		go func() {
			c.Write(sent)
			c.(interface{ CloseWrite() error }).CloseWrite()
		}()
		got, err := io.ReadAll(other)
		if err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%d octets: %d came (%v)", size, len(got), err)
		}
		go func() {
			other.Write(sent)
			other.CloseWrite()
		}()
		got, err = io.ReadAll(c)
		if err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%d octets the other way: %d came (%v)", size, len(got), err)
		}
	}
}

// TestParts writes many parts of all sizes to a reader that is slow.
func TestParts(t *testing.T) {
	for _, sizes := range [][]int{{0}, {1}, {100, 0, 3000}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, {200, 16 << 10}, {200, 60 << 10, 3000}, {200, 1 << 20}} {
		c, other := pair(t)
		var parts [][]byte
		var sent []byte
		for i, size := range sizes {
			parts = append(parts, bytes.Repeat([]byte{byte('a' + i)}, size))
			sent = append(sent, parts[i]...)
		}
		const times = 40 // more than the buffers between the two ends hold
		go func() {
			defer c.(interface{ CloseWrite() error }).CloseWrite()
			for range times {
				n, err := c.(interface {
					WriteParts([][]byte) (int64, error)
				}).WriteParts(parts)
				if err != nil || n != int64(len(sent)) {
					t.Errorf("%v: %d octets written (%v)", sizes, n, err)
					return
				}
			}
		}()
		got, err := io.ReadAll(other)
		if err != nil || !bytes.Equal(got, bytes.Repeat(sent, times)) {
			t.Errorf("%v: %d octets came (%v)", sizes, len(got), err)
		}
	}
}

// TestWaitReadable: it waits for octets, for the end and for the deadline, and takes nothing away.
func TestWaitReadable(t *testing.T) {
	c, other := pair(t)
	wait := c.(interface{ WaitReadable() error }).WaitReadable
	c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if err := wait(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("with nothing to read: %v, want a time-out", err)
	}
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	done := make(chan error, 1)
	go func() { done <- wait() }()
	other.Write([]byte("x"))
	if err := <-done; err != nil {
		t.Errorf("when an octet came: %v", err)
	}
	other.CloseWrite()
	if err := wait(); err != nil {
		t.Errorf("with an octet there: %v", err)
	}
	if got, err := io.ReadAll(c); string(got) != "x" || err != nil {
		t.Errorf("then %q (%v) was read", got, err)
	}
	if err := wait(); err != nil {
		t.Errorf("at the end: %v", err)
	}
}

func TestDeadlines(t *testing.T) {
	c, _ := pair(t)
	c.SetDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("reading: %v, want a time-out", err)
	}
	c.SetDeadline(time.Now().Add(20 * time.Millisecond))
	total := 0
	var err error
	for err == nil {
		var n int
		n, err = c.Write(make([]byte, 32<<10)) // until the other end's buffers are full
		total += n
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) || total == 0 {
		t.Errorf("writing: %v after %d octets, want a time-out", err, total)
	}
	c.SetDeadline(time.Time{})
	c.Close()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("reading what is closed: %v", err)
	}
	if _, err := c.Write(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("writing to what is closed: %v", err)
	}
}

func TestReset(t *testing.T) {
	c, other := pair(t)
	other.SetLinger(0)
	other.Close()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("reading: %v, want a reset", err)
	}
	if _, err := c.Write(make([]byte, 1)); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("writing: %v, want a broken pipe", err)
	}
}

func TestOthersStay(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	defer a.Close()
	if rawtcp.Wrap(a) != a {
		t.Error("a pipe was wrapped")
	}
}

// TestNoAllocations pins that reading and writing cost no memory.
func TestNoAllocations(t *testing.T) {
	c, other := pair(t)
	p := make([]byte, 100)
	n := testing.AllocsPerRun(100, func() {
		other.Write(p)
		io.ReadFull(c, p)
		c.Write(p)
		io.ReadFull(other, p)
	})
	if n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
