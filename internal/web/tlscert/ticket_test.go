package tlscert_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"sync"
	"testing"
	"time"

	"nearcast/internal/web/tlscert"
)

// dumper keeps the tickets that a client gets.
type dumper struct {
	tls.ClientSessionCache

	mu      sync.Mutex // guards tickets
	tickets [][]byte
}

func (d *dumper) Put(key string, cs *tls.ClientSessionState) {
	if ticket, _, err := cs.ResumptionState(); err == nil && len(ticket) > 0 {
		d.mu.Lock()
		d.tickets = append(d.tickets, bytes.Clone(ticket))
		d.mu.Unlock()
	}
	d.ClientSessionCache.Put(key, cs)
}

// oneKey is a client's session cache that takes all servers for the same one.
type oneKey struct{ tls.ClientSessionCache }

func (o oneKey) Get(string) (*tls.ClientSessionState, bool) { return o.ClientSessionCache.Get("") }

func (o oneKey) Put(_ string, cs *tls.ClientSessionState) { o.ClientSessionCache.Put("", cs) }

func eachVersion(t *testing.T, f func(t *testing.T, version uint16)) {
	t.Helper()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) { f(t, version) })
	}
}

func TestResumption(t *testing.T) {
	ca := newAuthority(t)
	pair := ca.pair(t, leaf{names: []string{"a.test"}})
	eachVersion(t, func(t *testing.T, version uint16) {
		t.Helper()
		k := open(t, tlscert.Options{}, pair)
		config := k.Config(tlscert.ConfigOptions{Protocols: []string{"h2", "http/1.1"}})
		client := ca.visitor("a.test")
		client.MaxVersion, client.NextProtos = version, []string{"h2"}
		for i, want := range []bool{false, true, true} {
			if s := must(t, config, client); s.resumed() != want {
				t.Errorf("connection %d: resumed %v", i, s.resumed())
			}
		}
		other := k.Config(tlscert.ConfigOptions{Protocols: []string{"h2", "http/1.1"}})
		if !must(t, other, client).resumed() {
			t.Error("listeners of one keeper do not share sessions")
		}
		if must(t, open(t, tlscert.Options{}, pair).Config(tlscert.ConfigOptions{Protocols: []string{"h2"}}), client).resumed() {
			t.Error("another process has the same keys")
		}
	})
}

// A ticket is for what it was issued for, whatever the client does with it.
func TestBinding(t *testing.T) {
	ca := newAuthority(t)
	pair := ca.pair(t, leaf{names: []string{"a.test", "b.test", "*.a.test"}})
	eachVersion(t, func(t *testing.T, version uint16) {
		t.Helper()
		k := open(t, tlscert.Options{}, pair)
		policy := "1"
		config := k.Config(tlscert.ConfigOptions{
			Protocols: []string{"h2", "http/1.1"},
			Policy: func(name string) string {
				if name == "a.test" {
					return policy
				}
				return ""
			},
		})
		client := ca.visitor("a.test")
		client.ClientSessionCache = oneKey{tls.NewLRUClientSessionCache(1)}
		client.MaxVersion, client.NextProtos = version, []string{"h2"}
		try := func(what string, want bool) {
			t.Helper()
			if s := must(t, config, client); s.resumed() != want {
				t.Errorf("%s: resumed %v", what, s.resumed())
			}
		}
		try("first", false)
		try("again", true)
		client.ServerName = "A.test"
		try("capitals", true)
		client.ServerName = "b.test"
		try("another name of the certificate", false)
		client.ServerName = "x.a.test"
		try("a wildcard's name", false)
		client.ServerName = "y.a.test"
		try("another name of the wildcard", false)
		client.ServerName = "a.test"
		try("back", false)
		try("back again", true)
		client.NextProtos = []string{"http/1.1"}
		try("another protocol", false)
		try("another protocol again", true)
		policy = "2"
		try("another policy", false)
		try("another policy again", true)
	})
}

func TestTicketsEndWithTheCertificate(t *testing.T) {
	ca := newAuthority(t)
	eachVersion(t, func(t *testing.T, version uint16) {
		t.Helper()
		a, b := ca.pair(t, leaf{names: []string{"a.test"}}), ca.pair(t, leaf{names: []string{"b.test"}})
		k := open(t, tlscert.Options{}, a, b)
		config := k.Config(tlscert.ConfigOptions{})
		toA, toB := ca.visitor("a.test"), ca.visitor("b.test")
		toA.MaxVersion, toB.MaxVersion = version, version
		must(t, config, toA)
		must(t, config, toB)
		ca.rewrite(t, b, leaf{names: []string{"b.test"}})
		if err := k.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if must(t, config, toB).resumed() {
			t.Error("a ticket outlived its certificate")
		}
		if !must(t, config, toA).resumed() {
			t.Error("another certificate's ticket died")
		}
	})
}

func TestTicketKeysRotate(t *testing.T) {
	ca := newAuthority(t)
	pair := ca.pair(t, leaf{names: []string{"a.test"}})
	eachVersion(t, func(t *testing.T, version uint16) {
		t.Helper()
		c := newClock()
		k := open(t, tlscert.Options{Now: c.now}, pair)
		config := k.Config(tlscert.ConfigOptions{})
		d := &dumper{ClientSessionCache: tls.NewLRUClientSessionCache(0)}
		client := ca.visitor("a.test")
		client.ClientSessionCache, client.MaxVersion, client.Time = d, version, c.now
		must(t, config, client)
		born := c.now()
		old := ca.visitor("a.test") // has a ticket of the first key, and is not given another
		old.MaxVersion, old.Time = version, c.now
		frozen := &freezer{ClientSessionCache: tls.NewLRUClientSessionCache(0)}
		old.ClientSessionCache = frozen
		must(t, config, old)
		frozen.frozen = true
		for range 4 {
			c.add(6 * time.Hour)
			must(t, config, client)
			wantResumed := c.now().Sub(born) < 36*time.Hour
			if got := must(t, config, old).resumed(); got != wantResumed {
				t.Errorf("after %v: resumed %v", c.now().Sub(born), got)
			}
		}
		c.add(13 * time.Hour) // 37 h
		if must(t, config, old).resumed() {
			t.Error("the first key still opens after three periods")
		}
		c.add(100 * time.Hour)
		if must(t, config, client).resumed() {
			t.Error("keys outlive a pause")
		}
		checkTickets(t, d.tickets)
	})
}

// freezer takes no more tickets once it is frozen.
type freezer struct {
	tls.ClientSessionCache

	frozen bool
}

func (f *freezer) Put(key string, cs *tls.ClientSessionState) {
	if !f.frozen {
		f.ClientSessionCache.Put(key, cs)
	}
}

// checkTickets is what an attacker would do who dumps tickets: "We Really Need to Talk About Session
// Tickets" (Hebrok and others, 2023) found keys that were all zero, and never changed.
func checkTickets(t *testing.T, tickets [][]byte) {
	t.Helper()
	ids, nonces := map[string]bool{}, map[string]bool{}
	for _, ticket := range tickets {
		id, nonce := ticket[:8], ticket[8:20]
		if bytes.Equal(id, make([]byte, 8)) || bytes.Equal(nonce, make([]byte, 12)) {
			t.Errorf("zeros in %x", ticket)
		}
		if nonces[string(nonce)] {
			t.Errorf("a nonce came twice: %x", nonce)
		}
		ids[string(id)], nonces[string(nonce)] = true, true
		if bytes.Contains(ticket, []byte("a.test")) {
			t.Errorf("the name can be read in %x", ticket)
		}
	}
	if len(tickets) < 5 || len(ids) < 3 {
		t.Errorf("%d tickets with %d keys", len(tickets), len(ids))
	}
}

// Each octet of a ticket counts.
func TestDamagedTicket(t *testing.T) {
	ca := newAuthority(t)
	k := open(t, tlscert.Options{}, ca.pair(t, leaf{names: []string{"a.test"}}))
	config := k.Config(tlscert.ConfigOptions{})
	d := &dumper{ClientSessionCache: tls.NewLRUClientSessionCache(0)}
	client := ca.visitor("a.test")
	client.ClientSessionCache = d
	must(t, config, client)
	state := tls.ConnectionState{ServerName: "a.test", Version: tls.VersionTLS13}
	if s, err := config.UnwrapSession(d.tickets[0], state); s == nil || err != nil {
		t.Fatalf("the ticket itself: %v, %v", s, err)
	}
	for i := range d.tickets[0] {
		bad := bytes.Clone(d.tickets[0])
		bad[i] ^= 1
		if s, err := config.UnwrapSession(bad, state); s != nil || err != nil {
			t.Errorf("octet %d: %v, %v", i, s, err)
		}
		if s, err := config.UnwrapSession(bad[:i], state); s != nil || err != nil {
			t.Errorf("%d octets: %v, %v", i, s, err)
		}
	}
}

// Handshakes, reloads and rotation at the same time.
func TestAllAtOnce(t *testing.T) {
	ca := newAuthority(t)
	pair := ca.pair(t, leaf{names: []string{"a.test"}})
	k := open(t, tlscert.Options{Rotation: time.Nanosecond}, pair)
	config := k.Config(tlscert.ConfigOptions{Protocols: []string{"h2"}})
	var all sync.WaitGroup
	errs := make(chan error, 100)
	for range 4 {
		all.Go(func() {
			client := ca.visitor("a.test")
			for range 10 {
				if s := shake(t, config, client); s.clientErr != nil || s.serverErr != nil {
					errs <- fmt.Errorf("client: %w, server: %w", s.clientErr, s.serverErr)
				}
			}
		})
	}
	for range 20 {
		if err := k.Reload(t.Context()); err != nil {
			t.Error(err)
		}
	}
	all.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
}
