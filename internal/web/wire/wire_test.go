package wire_test

import (
	"crypto/tls"
	"io"
	"net"
	"testing"

	"nearcast/internal/web/tlscert"
	"nearcast/internal/web/wire"
)

// What lies under the TLS of a gate can do what the servers look for.
var (
	_ wire.Corker = (*tlscert.Wire)(nil)
	_ wire.Waiter = (*tlscert.Wire)(nil)
)

func TestBelow(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if got := wire.Below(a); got != a {
		t.Errorf("without TLS: got %v", got)
	}
	if got := wire.Below(tls.Server(a, &tls.Config{})); got != a {
		t.Errorf("with TLS: got %v", got)
	}
}

// TestLingerEnds: a client that sends without end is not listened to for ever.
func TestLingerEnds(t *testing.T) {
	a, b := net.Pipe()
	sent := make(chan int64)
	go func() {
		n, _ := io.Copy(b, endless{})
		sent <- n
	}()
	wire.Linger(a, make([]byte, 1000))
	a.Close()
	if n := <-sent; n < 60<<10 || n > 100<<10 {
		t.Errorf("%d octets were read", n)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
