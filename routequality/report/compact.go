package report

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"nearcast/cdn"
)

// compactLoad begins a report of load in its compact form, in which it is sent each second:
//
//	octet    compactLoad
//	octet    length of the node's name, and the name
//	uvarint  incarnation
//	uvarint  number
//	varint   time, Unix, in microseconds
//	float32  eight times: cpu, memory, connections, egress, disk, fills, hit ratio, errors
//	float64  twice: requests, octets
//	uvarint  shedding
//
// in little endian. What follows is a newer sender's and is ignored.
const compactLoad = 1

// Encode returns the report as one message: in a compact form of about 100 octets if it has a load and no visitors, else as JSON,
// compressed if it is longer than 4 kB. It fails if that is longer than [MaxPacket], or [MaxMessage].
func (n *Node) Encode() ([]byte, error) {
	if n.Load == nil || n.Visitors != nil {
		return encode(n, MaxMessage)
	}
	if len(n.Node) > math.MaxUint8 || n.Incarnation < 0 {
		return nil, cdn.Errorf(cdn.Invalid, "", "a report of node %q, incarnation %d cannot be encoded", clip(string(n.Node)), n.Incarnation)
	}
	l := n.Load
	b := make([]byte, 0, 160)
	b = append(b, compactLoad, byte(len(n.Node)))
	b = append(b, n.Node...)
	b = binary.AppendUvarint(b, uint64(n.Incarnation))
	b = binary.AppendUvarint(b, n.Seq)
	b = binary.AppendVarint(b, n.At.UnixMicro())
	for _, share := range [...]float64{l.CPU, l.Memory, l.Connections, l.Egress, l.Disk, l.Fills, l.HitRatio, l.Errors} {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(share)))
	}
	for _, rate := range [...]float64{l.Requests, l.Octets} {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(rate))
	}
	return binary.AppendUvarint(b, uint64(max(0, l.Shedding))), nil //nolint:gosec // not below zero
}

// decodeLoad reads the compact form.
func (n *Node) decodeLoad(msg []byte, now time.Time, refused *Refused) error {
	if len(msg) > MaxPacket {
		return fmt.Errorf("it has %d octets, at most %d are allowed", len(msg), MaxPacket)
	}
	r := reader{rest: msg[1:]}
	n.Node = cdn.NodeName(r.take(int(r.take(1)[0])))
	n.Incarnation = int64(r.uvarint()) //nolint:gosec // too large ones come out below zero and are refused
	n.Seq = r.uvarint()
	n.At = time.UnixMicro(r.varint()).UTC()
	l := new(cdn.NodeLoad)
	for _, share := range [...]*float64{&l.CPU, &l.Memory, &l.Connections, &l.Egress, &l.Disk, &l.Fills, &l.HitRatio, &l.Errors} {
		*share = round(float64(math.Float32frombits(binary.LittleEndian.Uint32(r.take(4)))))
	}
	for _, rate := range [...]*float64{&l.Requests, &l.Octets} {
		*rate = round(math.Float64frombits(binary.LittleEndian.Uint64(r.take(8))))
	}
	l.Shedding = int(min(r.uvarint(), math.MaxInt32))
	if r.short {
		return errors.New("it ends too early")
	}
	if err := (head{"node", n.Node, n.Incarnation, n.Seq, n.At}).check(now); err != nil {
		return err
	}
	if err := checkLoad(l); err != nil {
		refused.add(fmt.Errorf("load: %w", err))
		return nil
	}
	n.Load = l
	return nil
}

// round takes away digits that nobody measured, so that it is short as JSON.
func round(x float64) float64 {
	const steps = 1e4
	if r := math.Round(x*steps) / steps; !math.IsInf(r, 0) {
		return r
	}
	return x
}

// reader takes fields off a message. Past its end all of them are zero.
type reader struct {
	rest  []byte
	short bool // the message has ended
}

func (r *reader) take(n int) []byte {
	if n > len(r.rest) {
		r.rest, r.short = nil, true
		return make([]byte, max(n, 1))
	}
	field := r.rest[:n]
	r.rest = r.rest[n:]
	return field
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	return advance(r, v, n)
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.rest)
	return advance(r, v, n)
}

func advance[T int64 | uint64](r *reader, v T, n int) T {
	if n <= 0 {
		r.rest, r.short = nil, true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}
