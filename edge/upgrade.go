package edge

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"nearcast/edge/httpcache"
	"nearcast/edge/store"
)

// tunnelIdle is how long a tunnel may be silent both ways.
const tunnelIdle = 10 * time.Minute

// upgradeOf returns the protocol that a request wants to change to (RFC 9110 section 7.8), or "". A
// change to another version of HTTP is not passed on: behind it nobody would tell one request
// from the next.
func upgradeOf(r *http.Request) string {
	protocol := r.Header.Get("Upgrade")
	if protocol == "" || r.Method != http.MethodGet || !r.ProtoAtLeast(1, 1) || r.ContentLength != 0 || len(r.Header["Upgrade"]) != 1 {
		return ""
	}
	asked := false
	for option := range strings.SplitSeq(joinLines(r.Header["Connection"]), ",") {
		asked = asked || strings.EqualFold(strings.TrimSpace(option), "upgrade")
	}
	name, _, _ := strings.Cut(strings.ToLower(protocol), "/")
	if !asked || name == "h2c" || name == "http" || name == "tls" || strings.ContainsAny(protocol, ", \t") {
		return ""
	}
	return protocol
}

// upgrade asks upstream to change the protocol. Only once it has, with 101, does the connection become a
// tunnel; any other answer is passed on.
func (x *exchange) upgrade(protocol string) {
	c := cacheStatus{fwd: "request"}
	fields := x.outgoing(x.s)
	fields["Connection"], fields["Upgrade"] = []string{"Upgrade"}, []string{protocol}
	resp, err := x.askFor(fields)
	if err != nil {
		x.passFailed(err, c)
		return
	}
	defer resp.Body.Close() //nolint:errcheck // the tunnel is over
	if resp.StatusCode != http.StatusSwitchingProtocols {
		x.relay(resp, receive(resp, x.s.now()), c, false, func(store.Body) {})
		return
	}
	upstream, ok := resp.Body.(io.ReadWriteCloser)
	if !ok || !strings.EqualFold(resp.Header.Get("Upgrade"), protocol) {
		c.detail = "another protocol"
		x.failUpstream(errors.New("the upstream changed to another protocol than was asked for"), http.StatusBadGateway, c)
		return
	}
	c.fwdStatus = resp.StatusCode
	h := httpcache.EndToEnd(resp.Header)
	h.Del(hopField)
	x.stamp(h, wordPass, c)
	h["Connection"], h["Upgrade"] = []string{"Upgrade"}, []string{protocol}
	x.tunnel(upstream, h)
}

// tunnel sends the 101 and moves octets both ways until one side ends or both are silent.
func (x *exchange) tunnel(upstream io.ReadWriteCloser, h http.Header) {
	conn, buffered, err := x.rc.Hijack()
	if err != nil {
		x.abort(err)
	}
	defer conn.Close()            //nolint:errcheck // the tunnel is over
	conn.SetDeadline(time.Time{}) //nolint:errcheck // those of the exchange are over
	x.rec.status, x.rec.firstByte = http.StatusSwitchingProtocols, x.s.now()
	if err := writeSwitch(conn, h); err != nil {
		x.abort(err)
	}
	end := func() {
		conn.Close()     //nolint:errcheck // that it fails the copying is the purpose
		upstream.Close() //nolint:errcheck // likewise
	}
	stop := context.AfterFunc(x.s.closing, end)
	defer stop()
	idle := time.AfterFunc(tunnelIdle, end)
	defer idle.Stop()
	beat := func() { idle.Reset(tunnelIdle) }
	var wg sync.WaitGroup
	wg.Go(func() {
		defer end()
		move(upstream, visitorSide(conn, buffered.Reader), beat, func(int64) {})
	})
	move(conn, upstream, beat, x.gave)
	end()
	wg.Wait()
}

// writeSwitch writes the head of a 101.
func writeSwitch(w io.Writer, h http.Header) error {
	out := bufio.NewWriter(w)
	fmt.Fprint(out, "HTTP/1.1 101 Switching Protocols\r\n")
	h.Write(out) //nolint:errcheck // Flush reports it
	fmt.Fprint(out, "\r\n")
	return out.Flush()
}

// visitorSide reads what had been read ahead before the rest of the connection.
func visitorSide(conn net.Conn, ahead *bufio.Reader) io.Reader {
	if ahead == nil || ahead.Buffered() == 0 {
		return conn
	}
	return io.MultiReader(io.LimitReader(ahead, int64(ahead.Buffered())), conn)
}

// move copies until an end or an error, and tells how many octets have gone.
func move(dst io.Writer, src io.Reader, beat func(), moved func(octets int64)) {
	buf := make([]byte, copySize)
	for {
		n, err := src.Read(buf)
		beat()
		if n > 0 {
			if _, err := dst.Write(buf[:n]); err != nil {
				return
			}
			moved(int64(n))
		}
		if err != nil {
			return
		}
	}
}
