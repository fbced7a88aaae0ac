package tlscert

import (
	"crypto/tls"
	"crypto/x509"
	"time"
)

// Stalled returns how many handshakes wait for their clients.
func (g *Gate) Stalled() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for t := g.all.front; t != nil; t = t.links[byAge].after {
		if t.stalled.Load() {
			n++
		}
	}
	return n
}

// Clients returns how many clients have handshakes under way.
func (g *Gate) Clients() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.clients)
}

// Hold takes a slot until release is called.
func (g *Gate) Hold() (release func()) {
	g.slots <- struct{}{}
	return func() { <-g.slots }
}

// WireUnder returns the Wire under a connection, or nil if no [Gate] made it.
func WireUnder(c *tls.Conn) *Wire {
	w, _ := c.NetConn().(*Wire)
	return w
}

// ParseFiles parses the content of a pair of files.
func ParseFiles(chain, key []byte) error {
	var r report
	c := parsePair(Pair{Chain: "chain", Key: "key"}, chain, key, &r)
	if len(r.errs) > 0 {
		return r.errs[0]
	}
	namesOf(c, &r)
	return nil
}

// CheckStaple parses an OCSP response.
func CheckStaple(der []byte, chain []*x509.Certificate, now time.Time) error {
	_, err := parseStaple(der, chain, now)
	return err
}

// Lend makes it look as if n more buffers were in use.
func (w *Wire) Lend(n int64) { w.gate.lent.Add(n) }

// Collecting reports whether the Wire has a buffer.
func (w *Wire) Collecting() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf != nil
}
