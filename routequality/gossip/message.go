package gossip

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"nearcast/cdn"
)

// Bounds of directed messages.
const (
	// MaxPacket is the largest message, in octets, that [Pool.Send] takes: with everything around it it fits an Ethernet frame.
	MaxPacket = 1200
	// MaxReliable is the largest message, in octets, that [Pool.SendReliably] takes.
	MaxReliable = 1 << 20
)

const (
	reliableTimeout = 2 * time.Second
	inboxMessages   = 1024    // that wait for OnMessage
	inboxOctets     = 8 << 20 // in all of them
)

// Why a message was dropped, as the metric says it.
const (
	dropMalformed = "malformed"  // no envelope, or a format that is not known
	dropStranger  = "stranger"   // its sender is no living member
	dropPastLife  = "past_life"  // of the sender, or of the one before
	dropAstray    = "astray"     // it is for somebody else, or for an earlier process of this name
	dropRepeated  = "repeated"   // it has come before, or far too late
	dropFull      = "queue_full" // too many newer ones wait
)

// dropReasons are all of them, so that each is there from the start.
func dropReasons() []string {
	return []string{dropMalformed, dropStranger, dropPastLife, dropAstray, dropRepeated, dropFull}
}

// sequences number this member's messages to each other one, and remember the numbers of theirs.
type sequences struct {
	mu       sync.Mutex // guards the following
	sent     map[cdn.NodeName]*[ways]uint64
	received map[cdn.NodeName]*[ways]window
}

// next returns the number of the next message to a member.
func (s *sequences) next(to cdn.NodeName, way byte) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.sent[to]
	if n == nil {
		n = new([ways]uint64)
		s.sent[to] = n
	}
	n[way]++
	return n[way]
}

// accept reports whether a message has not come before.
func (s *sequences) accept(e *envelope) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.received[e.from]
	if w == nil {
		w = new([ways]window)
		s.received[e.from] = w
	}
	return w[e.way].accept(e.started, e.seq)
}

// Send sends a message of at most [MaxPacket] octets in one packet. It may be lost, and may overtake another; it does not come twice. It is an
// error if to is no living member. It does not wait.
func (p *Pool) Send(to cdn.NodeName, msg []byte) error {
	return p.send(to, byPacket, msg, MaxPacket, func(n *memberlist.Node, b []byte) error { return p.list.SendBestEffort(n, b) })
}

// SendReliably sends a message of at most [MaxReliable] octets over a stream. It waits for at most two seconds, for the stream to be open and all of
// the message to be on its way; that it was read is not known then. It is an error if to is no living member.
func (p *Pool) SendReliably(to cdn.NodeName, msg []byte) error {
	return p.send(to, byStream, msg, MaxReliable, func(n *memberlist.Node, b []byte) error {
		n.Name = directed + n.Name
		return p.list.SendReliable(n, b)
	})
}

func (p *Pool) send(to cdn.NodeName, way byte, msg []byte, most int, write func(*memberlist.Node, []byte) error) error {
	m := p.view.get(to)
	switch {
	case len(msg) > most:
		return fmt.Errorf("gossip: a message of %d octets for %s, at most %d fit", len(msg), to, most)
	case to == p.self:
		return fmt.Errorf("gossip: a message for %s, which is this node itself", to)
	case m == nil || m.State == cdn.StateDown:
		return fmt.Errorf("gossip: a message for %s, which is no living member of the pool", to)
	}
	e := envelope{way: way, from: p.self, started: p.local.Load().started.UnixMicro(), to: life(to, m.Started), seq: p.sequences.next(to, way)}
	sealed := append(e.append(make([]byte, 0, envelopeFixed+len(p.self)+len(msg))), msg...)
	node := &memberlist.Node{Name: string(to), Addr: m.Addr.Addr().AsSlice(), Port: m.Addr.Port()}
	if err := write(node, sealed); err != nil {
		p.metrics.sendFailures.WithLabelValues(wayLabel(way)).Inc()
		return fmt.Errorf("gossip: a message for %s: %w", to, err)
	}
	p.metrics.sent.WithLabelValues(wayLabel(way)).Inc()
	return nil
}

// receive takes a directed message from the protocol, which uses b again. It does not wait.
func (p *Pool) receive(b []byte) {
	e, msg, err := parseEnvelope(b)
	if err != nil {
		p.metrics.dropped.WithLabelValues(dropMalformed).Inc()
		return
	}
	if reason := p.refusal(&e); reason != "" {
		p.metrics.dropped.WithLabelValues(reason).Inc()
		return
	}
	p.metrics.received.WithLabelValues(wayLabel(e.way)).Inc()
	if p.onMessage == nil {
		return
	}
	dropped := p.inbox.put(letter{e.from, append([]byte(nil), msg...)})
	p.metrics.dropped.WithLabelValues(dropFull).Add(float64(dropped))
}

// refusal says why a message is not taken; empty if it is.
func (p *Pool) refusal(e *envelope) string {
	m := p.view.get(e.from)
	switch {
	case m == nil || m.State == cdn.StateDown || e.from == p.self:
		return dropStranger
	case e.to != life(p.self, p.local.Load().started):
		return dropAstray
	case !m.Started.IsZero() && e.started != m.Started.UnixMicro():
		return dropPastLife
	case !p.sequences.accept(e):
		return dropRepeated
	}
	return ""
}

// deliver hands messages over, until ctx ends.
func (p *Pool) deliver(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.inbox.filled:
		}
		for l, ok := p.inbox.take(); ok && ctx.Err() == nil; l, ok = p.inbox.take() {
			p.onMessage(l.from, l.msg)
		}
	}
}

type letter struct {
	from cdn.NodeName
	msg  []byte
}

// inbox is a queue that forgets the oldest message for a new one.
type inbox struct {
	filled chan struct{} // capacity 1: there is something

	mu      sync.Mutex // guards the following
	letters []letter
	octets  int
}

// put appends a message and returns how many were forgotten for it.
func (in *inbox) put(l letter) (forgotten int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.letters = append(in.letters, l)
	in.octets += len(l.msg)
	for len(in.letters) > inboxMessages || in.octets > inboxOctets {
		in.dropFirst()
		forgotten++
	}
	select {
	case in.filled <- struct{}{}:
	default:
	}
	return forgotten
}

// take returns the oldest message.
func (in *inbox) take() (letter, bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.letters) == 0 {
		return letter{}, false
	}
	l := in.letters[0]
	in.dropFirst()
	return l, true
}

func (in *inbox) dropFirst() {
	in.octets -= len(in.letters[0].msg)
	in.letters[0] = letter{}
	in.letters = in.letters[1:]
}

func wayLabel(way byte) string {
	if way == byStream {
		return "stream"
	}
	return "packet"
}
