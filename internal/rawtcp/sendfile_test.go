//go:build linux

package rawtcp_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"nearcast/internal/rawtcp"
)

type fileSender interface {
	SendFile(head []byte, from rawtcp.Region, offset, length int64) (int64, error)
}

// region is a part of a file from an offset on, which is given up after some uses.
type region struct {
	f    *os.File
	at   int64
	uses int // -1: never given up
}

func (r *region) Use(f func(fd int, offset int64)) bool {
	if r.uses == 0 {
		return false
	}
	r.uses--
	f(int(r.f.Fd()), r.at)
	return true
}

// newRegion makes a file of random octets, and returns those of its region.
func newRegion(t *testing.T, size int) (*region, []byte) {
	t.Helper()
	all := make([]byte, size+1000)
	rand.NewChaCha8([32]byte{1}).Read(all)
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, all, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return &region{f: f, at: 1000, uses: -1}, all[1000:]
}

// TestSendFile sends parts of a region to a reader that is slow; the file's own position does not matter and stays.
func TestSendFile(t *testing.T) {
	for _, size := range []int{1, 1000, 64 << 10, 5<<20 + 7} {
		from, octets := newRegion(t, size)
		c, other := pair(t)
		skip := min(3, size-1)
		sent := make(chan error, 1)
		go func() {
			defer c.(interface{ CloseWrite() error }).CloseWrite()
			n, err := c.(fileSender).SendFile([]byte("head\n"), from, int64(skip), int64(size-skip))
			if err == nil && n != int64(5+size-skip) {
				err = errors.New("it says that a part has gone")
			}
			sent <- err
		}()
		got, err := io.ReadAll(other)
		if want := append([]byte("head\n"), octets[skip:]...); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d octets: %d came (%v), want %d", size, len(got), err, len(want))
		}
		if err := <-sent; err != nil {
			t.Errorf("%d octets: %v", size, err)
		}
		if at, _ := from.f.Seek(0, io.SeekCurrent); at != 0 {
			t.Errorf("%d octets: the file's position is %d", size, at)
		}
	}
}

// TestSendFileGone: a region that is given up while the client takes its time is not sent any further, and the
// connection is as good as before.
func TestSendFileGone(t *testing.T) {
	for _, uses := range []int{0, 1} {
		from, octets := newRegion(t, 32<<20)
		from.uses = uses
		c, other := pair(t)
		done := make(chan int64, 1)
		go func() {
			defer c.(interface{ CloseWrite() error }).CloseWrite()
			n, err := c.(fileSender).SendFile([]byte("h"), from, 0, int64(len(octets)))
			if !errors.Is(err, rawtcp.ErrGone) {
				t.Errorf("after %d uses: %v", uses, err)
			}
			c.Write([]byte("rest"))
			done <- n
		}()
		got, err := io.ReadAll(other)
		n := int(<-done)
		if err != nil || n < 1+uses || n > len(octets) || string(got) != "h"+string(octets[:n-1])+"rest" {
			t.Errorf("after %d uses: %d of %d octets came (%v)", uses, len(got), n, err)
		}
	}
}

// TestSendFileUnreadable: a file that cannot be read is as good as given up, and the connection as good as before.
func TestSendFileUnreadable(t *testing.T) {
	f, err := os.Open(t.TempDir()) // no disk fails on demand, and a folder is not read either
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, other := pair(t)
	if n, err := c.(fileSender).SendFile([]byte("head"), &region{f: f, uses: -1}, 0, 10); n != 4 || !errors.Is(err, rawtcp.ErrGone) {
		t.Errorf("%d octets went (%v), want 4 and that the rest has gone", n, err)
	}
	c.Write([]byte(" and rest"))
	c.Close()
	if got, err := io.ReadAll(other); err != nil || string(got) != "head and rest" {
		t.Errorf("%q came (%v)", got, err)
	}
}

// TestSendFileEnds: a file that is shorter than it was is as good as given up, and a client that takes nothing runs into the
// deadline.
func TestSendFileEnds(t *testing.T) {
	from, octets := newRegion(t, 1000)
	c, other := pair(t)
	if n, err := c.(fileSender).SendFile(nil, from, 0, 2000); n != 1000 || !errors.Is(err, rawtcp.ErrGone) {
		t.Errorf("of a short file %d octets went (%v)", n, err)
	}
	got := make([]byte, 1000)
	if _, err := io.ReadFull(other, got); err != nil || !bytes.Equal(got, octets) {
		t.Errorf("of a short file other octets came (%v)", err)
	}
	from, octets = newRegion(t, 64<<20)
	c.SetWriteDeadline(time.Now().Add(30 * time.Millisecond))
	if n, err := c.(fileSender).SendFile(nil, from, 0, int64(len(octets))); n >= int64(len(octets)) || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("to a client that takes nothing %d octets went (%v)", n, err)
	}
	c.Close()
	if _, err := c.(fileSender).SendFile(nil, from, 0, 1); !errors.Is(err, net.ErrClosed) {
		t.Errorf("to a closed connection: %v", err)
	}
}
