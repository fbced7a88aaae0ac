package tlscert

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// What a ticket looks like: the key's id, a nonce, and the sealed session.
const (
	ticketID    = 8
	ticketNonce = 12
	ticketHead  = ticketID + ticketNonce
	ticketTag   = 16
)

// oldTicketKeys is how many keys before the one that seals still open.
const oldTicketKeys = 2

// ticketKey seals sessions for one period. It is random, and in memory only: who takes the machine's
// disk, or another machine, cannot read what was sent before. Within a period one key seals at most
// 2^32 tickets with random nonces (NIST SP 800-38D section 8.3): 12 hours at 99,000 a second.
type ticketKey struct {
	id   [ticketID]byte
	aead cipher.AEAD
	born time.Time
}

func newTicketKey(now time.Time) *ticketKey {
	var secret [32]byte
	rand.Read(secret[:])
	defer clear(secret[:])
	block, err := aes.NewCipher(secret[:])
	if err != nil {
		panic("tlscert: " + err.Error()) // 32 octets are a key
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("tlscert: " + err.Error()) // AES has blocks of 16
	}
	k := &ticketKey{aead: aead, born: now}
	rand.Read(k.id[:])
	return k
}

// ticketKeys are the keys in use, the newest first.
type ticketKeys struct {
	every   time.Duration
	current atomic.Pointer[[]*ticketKey]
	mu      sync.Mutex // guards the replacement of current
}

func newTicketKeys(every time.Duration, now time.Time) *ticketKeys {
	t := &ticketKeys{every: every}
	t.current.Store(&[]*ticketKey{newTicketKey(now)})
	return t
}

// at returns the keys of a moment: there is a new one if the newest was old, and those that have
// outlived their periods are gone.
func (t *ticketKeys) at(now time.Time) []*ticketKey {
	keys := *t.current.Load()
	if now.Sub(keys[0].born) < t.every {
		return keys
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	keys = *t.current.Load()
	if now.Sub(keys[0].born) < t.every {
		return keys
	}
	fresh := []*ticketKey{newTicketKey(now)}
	for _, k := range keys {
		if len(fresh) <= oldTicketKeys && now.Sub(k.born) < (oldTicketKeys+1)*t.every {
			fresh = append(fresh, k)
		}
	}
	t.current.Store(&fresh)
	return fresh
}

// seal makes a ticket of a session. It opens only for the same binding, which it does not
// contain: the binding is authenticated with the session.
func (t *ticketKeys) seal(session, binding []byte, now time.Time) []byte {
	k := t.at(now)[0]
	ticket := make([]byte, ticketHead, ticketHead+len(session)+ticketTag)
	copy(ticket, k.id[:])
	rand.Read(ticket[ticketID:])
	return k.aead.Seal(ticket, ticket[ticketID:], session, binding)
}

// open returns the session of a ticket, or nil if it was sealed for another binding, with a
// key that is gone, or by somebody else.
func (t *ticketKeys) open(ticket, binding []byte, now time.Time) []byte {
	if len(ticket) < ticketHead+ticketTag {
		return nil
	}
	for _, k := range t.at(now) {
		if string(k.id[:]) != string(ticket[:ticketID]) {
			continue
		}
		session, err := k.aead.Open(nil, ticket[ticketID:ticketHead], ticket[ticketHead:], binding)
		if err != nil {
			return nil
		}
		return session
	}
	return nil
}

// bindingSize is room for the binding of most tickets.
const bindingSize = 256

// appendBinding appends what a ticket is bound to: the certificates for the name, the protocol
// chosen, the caller's policy and the name itself. Each but the last has its length before it, so that no
// two bindings look alike.
//
// RFC 6066 section 3 forbids to resume a session under another name; RFC 8446 section
// 4.2.11 leaves it to the server. Here it is forbidden always: see "Shared session state across virtual hosts"
// (Delignat-Lavaud and Bhargavan, 2015) and CVE-2025-68121 for what comes of it else.
func (c *config) appendBinding(b []byte, s *Set, state *tls.ConnectionState) []byte {
	name := fold(state.ServerName)
	digest := s.digestFor(name)
	var policy string
	if c.Policy != nil {
		policy = c.Policy(name)
	}
	b = append(b, digest[:]...)
	b = append(b, byte(len(state.NegotiatedProtocol)))
	b = append(b, state.NegotiatedProtocol...)
	b = append(b, byte(len(policy)>>24), byte(len(policy)>>16), byte(len(policy)>>8), byte(len(policy)))
	b = append(b, policy...)
	return append(b, name...)
}

// wrap is [tls.Config.WrapSession].
func (c *config) wrap(state tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
	plain, err := session.Bytes()
	if err != nil {
		return nil, fmt.Errorf("tlscert: encoding a session: %w", err)
	}
	var room [bindingSize]byte
	binding := c.appendBinding(room[:0], c.keeper.Set(), &state)
	return c.keeper.tickets.seal(plain, binding, c.keeper.now()), nil
}

// unwrap is [tls.Config.UnwrapSession]. Whatever is wrong with a ticket, the handshake goes on
// without it (RFC 5077 section 3.1, RFC 8446 section 4.2.11).
func (c *config) unwrap(ticket []byte, state tls.ConnectionState) (*tls.SessionState, error) {
	if len(ticket) == 0 {
		return nil, nil //nolint:nilnil // crypto/tls wants it so
	}
	var room [bindingSize]byte
	binding := c.appendBinding(room[:0], c.keeper.Set(), &state)
	plain := c.keeper.tickets.open(ticket, binding, c.keeper.now())
	if plain == nil {
		return nil, nil //nolint:nilnil // as above
	}
	session, err := tls.ParseSessionState(plain)
	if err != nil {
		return nil, nil //nolint:nilnil,nilerr // as above
	}
	session.EarlyData = false // it can be replayed (RFC 8446 section 8)
	return session, nil
}
