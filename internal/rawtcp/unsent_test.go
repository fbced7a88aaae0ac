//go:build linux

package rawtcp_test

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"nearcast/internal/rawtcp"
)

// TestLimitUnsent: a client that takes nothing is sent no more than what its own window and the limit have room for, and one that
// does take it gets all.
func TestLimitUnsent(t *testing.T) {
	held := func(limit int) (total int) {
		c, other := pair(t)
		other.SetReadBuffer(4 << 10)
		if limit > 0 {
			if err := rawtcp.LimitUnsent(c.(interface{ NetConn() net.Conn }).NetConn(), limit); err != nil {
				t.Fatal(err)
			}
		}
		c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
		for {
			n, err := c.Write(make([]byte, 32<<10))
			total += n
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return total
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	without, with := held(0), held(16<<10)
	if with > without/4 || with > 1<<20 {
		t.Errorf("%d octets were taken with a limit, and %d without", with, without)
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if err := rawtcp.LimitUnsent(a, 1); err != nil {
		t.Errorf("a pipe: %v", err)
	}
}
