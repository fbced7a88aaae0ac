package gossip

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cespare/xxhash/v2"

	"nearcast/cdn"
)

// The ways of a directed message. Each has sequence numbers of its own: a packet overtakes a stream.
const (
	byPacket = 0
	byStream = 1
	ways     = 2
)

// envelope is what a directed message carries beside its body:
//
//	octet 1   the format's version, 1
//	octet 2   the way
//	8 octets  when the sender's process started, Unix microseconds
//	8 octets  whom it is for: a hash of the receiver's name and start
//	8 octets  the sender's sequence number for this receiver and way
//	1 octet   length of the sender's name, then the name
//
// and then the body. Since both lives are named, a packet that is replayed after either has ended, or to somebody else, is nobody's.
type envelope struct {
	way     byte
	from    cdn.NodeName
	started int64
	to      uint64
	seq     uint64
}

const (
	envelopeVersion = 1
	envelopeFixed   = 1 + 1 + 3*8 + 1
)

func (e *envelope) append(b []byte) []byte {
	b = append(b, envelopeVersion, e.way)
	b = binary.BigEndian.AppendUint64(b, uint64(e.started)) //nolint:gosec // read back as what it was
	b = binary.BigEndian.AppendUint64(b, e.to)
	b = binary.BigEndian.AppendUint64(b, e.seq)
	b = append(b, byte(len(e.from))) //nolint:gosec // at most 63
	return append(b, e.from...)
}

// parseEnvelope returns an envelope, and the message in it, which is part of b.
func parseEnvelope(b []byte) (e envelope, msg []byte, err error) {
	switch {
	case len(b) < envelopeFixed:
		return e, nil, fmt.Errorf("a message of %d octets has no envelope", len(b))
	case b[0] != envelopeVersion:
		return e, nil, fmt.Errorf("a message of format %d, want %d", b[0], envelopeVersion)
	case b[1] >= ways:
		return e, nil, fmt.Errorf("a message came by way %d, of which nothing is known", b[1])
	}
	name := b[envelopeFixed:]
	n := int(b[envelopeFixed-1])
	if len(name) < n {
		return e, nil, errors.New("a message ends in its sender's name")
	}
	if e.from, err = cdn.ParseNodeName(string(name[:n])); err != nil {
		return e, nil, err
	}
	e.way = b[1]
	e.started = int64(binary.BigEndian.Uint64(b[2:])) //nolint:gosec // as it was written
	e.to = binary.BigEndian.Uint64(b[10:])
	e.seq = binary.BigEndian.Uint64(b[18:])
	return e, name[n:], nil
}

// life returns what names one life of a node in an envelope.
func life(name cdn.NodeName, started time.Time) uint64 {
	b := append([]byte(name), 0)
	return xxhash.Sum64(binary.BigEndian.AppendUint64(b, uint64(started.UnixMicro()))) //nolint:gosec // any number will do
}

// window remembers which sequence numbers of a sender's life have come, as far back as 64 below the highest.
type window struct {
	started int64
	highest uint64
	seen    uint64 // bit n: highest-n has come
}

// accept reports whether a number comes for the first time, and remembers it. Zero never does.
func (w *window) accept(started int64, seq uint64) bool {
	if seq == 0 {
		return false
	}
	if w.started != started {
		*w = window{started: started}
	}
	if seq > w.highest {
		w.seen = w.seen<<(seq-w.highest) | 1 // a shift by more than 63 leaves nothing
		w.highest = seq
		return true
	}
	bit := uint64(1) << (w.highest - seq) // zero, if too far below
	if bit == 0 || w.seen&bit != 0 {
		return false
	}
	w.seen |= bit
	return true
}
