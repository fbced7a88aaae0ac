package tlscert_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"nearcast/internal/web/tlscert"
)

// FuzzFiles: whatever is in the files, parsing them ends, and what is taken is a pair.
func FuzzFiles(f *testing.F) {
	ca := newAuthority(f)
	cert, key := ca.issue(f, leaf{names: []string{"a.test", "*.b.test"}})
	other, rsa := ca.issue(f, leaf{names: []string{"a.test"}, key: rsaKey()})
	for _, chain := range [][]byte{chainPEM(cert, ca.intermediate), chainPEM(other), nil} {
		f.Add(chain, keyPEM(f, key))
		f.Add(chain, keyPEM(f, rsa))
		f.Add(append(keyPEM(f, key), chain...), chain)
	}
	f.Fuzz(func(t *testing.T, chain, key []byte) {
		if tlscert.ParseFiles(chain, key) != nil {
			return
		}
		if _, err := tls.X509KeyPair(chain, key); err != nil {
			t.Errorf("crypto/tls does not take it: %v", err)
		}
	})
}

// FuzzStaple: only what the CA signed is stapled.
func FuzzStaple(f *testing.F) {
	ca := newAuthority(f)
	cert, _ := ca.issue(f, leaf{names: []string{"a.test"}})
	now := time.Now()
	good := ca.respond(f, cert, ocsp.Good, now.Add(-time.Hour), now.Add(time.Hour), ca.key)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(ca.respond(f, cert, ocsp.Revoked, now.Add(-time.Hour), now.Add(time.Hour), ca.key))
	chain := []*x509.Certificate{cert, ca.intermediate}
	f.Fuzz(func(t *testing.T, der []byte) {
		if tlscert.CheckStaple(der, chain, now) == nil && !bytes.Equal(der, good) && len(der) <= len(good) {
			t.Errorf("stapled %x", der)
		}
	})
}

// FuzzTicket: no octets but a ticket's own are a ticket.
func FuzzTicket(f *testing.F) {
	ca := newAuthority(f)
	k := open(f, tlscert.Options{}, ca.pair(f, leaf{names: []string{"a.test"}}))
	config := k.Config(tlscert.ConfigOptions{})
	d := &dumper{ClientSessionCache: tls.NewLRUClientSessionCache(0)}
	client := ca.visitor("a.test")
	client.ClientSessionCache = d
	must(f, config, client)
	ticket := d.tickets[0]
	f.Add(ticket, "a.test", "")
	f.Add(ticket, "b.test", "h2")
	f.Add(ticket[:20], "", "http/1.1")
	f.Add([]byte{}, "a.test", "")
	f.Fuzz(func(t *testing.T, data []byte, name, protocol string) {
		session, err := config.UnwrapSession(data, tls.ConnectionState{ServerName: name, NegotiatedProtocol: protocol})
		if err != nil {
			t.Fatal(err)
		}
		if session != nil && (!bytes.Equal(data, ticket) || protocol != "" || len(name) < 6 || len(name) > 7) {
			t.Errorf("opened for %q, %q: %x", name, protocol, data)
		}
	})
}
