package gossip

import (
	"context"
	"time"

	"github.com/hashicorp/memberlist"

	"nearcast/cdn"
)

// RunUntilKilled runs like Run, but at the end closes the sockets without a word,
// as the kernel does for a killed process.
func (p *Pool) RunUntilKilled(ctx context.Context) error {
	p.maintain(ctx)
	return p.shutdown()
}

// ParseMeta reads a member's meta, and says it again.
func ParseMeta(b []byte) ([]byte, error) {
	m, err := parseMeta(b)
	if err != nil {
		return nil, err
	}
	return m.encode(), nil
}

// Meta is what a member with these words says about itself now.
func Meta(role, state, version, pop string) string {
	m := meta{role: cdn.Role(role), state: cdn.NodeState(state), started: time.Now(), version: version, pop: cdn.POPName(pop)}
	return string(m.encode())
}

// MaxMeta is the bound of a meta.
const MaxMeta = maxMeta

// MaxMembers is the bound of a pool's memory.
const MaxMembers = maxMembers

// Fill makes the pool remember as many names as it may.
func (p *Pool) Fill(name func(int) string) {
	for i := range maxMembers {
		p.view.put(&Member{Name: cdn.NodeName(name(i))})
	}
}

// Envelope is the envelope of a directed message, in words.
type Envelope struct {
	Way     byte
	From    cdn.NodeName
	Started int64
	To, Seq uint64
}

// ParseEnvelope reads an envelope and says it again.
func ParseEnvelope(b []byte) (e Envelope, msg, again []byte, err error) {
	got, msg, err := parseEnvelope(b)
	if err != nil {
		return e, nil, nil, err
	}
	return Envelope{got.way, got.from, got.started, got.to, got.seq}, msg, append(got.append(nil), msg...), nil
}

// Seal makes a packet of the protocol from a message, with the key of a secret.
func Seal(secret, label string, msg []byte) []byte {
	derived, err := deriveKeys([]string{secret})
	if err != nil {
		panic(err)
	}
	packet, err := seal(derived[0], label, msg)
	if err != nil {
		panic(err)
	}
	return packet
}

// Window is a window of sequence numbers.
type Window struct{ w window }

// Accept reports whether a number comes for the first time.
func (w *Window) Accept(started int64, seq uint64) bool { return w.w.accept(started, seq) }

// ObserveRTT takes a round trip and what came with it.
func (p *Pool) ObserveRTT(node cdn.NodeName, rtt time.Duration, payload []byte) {
	pings{p}.NotifyPingComplete(&memberlist.Node{Name: string(node)}, rtt, payload)
}

// Coordinate returns what this member says about where it is.
func (p *Pool) Coordinate() []byte { return pings{p}.AckPayload() }

// Receive takes a directed message as the protocol hands it over.
func (p *Pool) Receive(b []byte) { p.receive(b) }

// Wire is the way to the others.
func Wire(t memberlist.NodeAwareTransport) memberlist.NodeAwareTransport { return wire{t} }

// Bounds of what waits for OnMessage.
const (
	InboxMessages = inboxMessages
	InboxOctets   = inboxOctets
)

// Queue returns the protocol's queue of news.
func (p *Pool) Queue() *memberlist.TransmitLimitedQueue {
	q, err := broadcasts(p.list)
	if err != nil {
		panic(err)
	}
	return q
}
