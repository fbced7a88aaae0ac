// Package probetest is for tests of what probes: connections behind which somebody answers, as a cache node would.
package probetest

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// Conn returns one end of a connection whose other end answers one question of a probe.
func Conn() net.Conn {
	here, there := net.Pipe()
	go func() {
		defer there.Close() //nolint:errcheck // it is a pipe
		if _, err := http.ReadRequest(bufio.NewReader(there)); err != nil {
			return // nothing was asked
		}
		io.WriteString(there, "HTTP/1.1 204 No Content\r\n\r\n") //nolint:errcheck // whoever asked has gone
	}()
	return here
}
