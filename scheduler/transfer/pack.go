package transfer

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"github.com/miekg/dns"

	"nearcast/scheduler/rr"
)

// messageSize is how long messages of a transfer get at most, unless one record is longer, and sealSize what of that a signature may take.
const (
	messageSize = 16 << 10
	sealSize    = 512
)

// stream writes the records of a transfer, in messages.
type stream struct {
	ctx     context.Context
	request *request
	write   func(message []byte) error

	apex    []byte // in wire form: the question's name
	head    int    // how long a message is without records
	later   bool   // it is not the first: that one has the OPT record (RFC 5936 section 2.2.5)
	message []byte // the next one
	records int    // in it
}

func newStream(ctx context.Context, r *request, apex []byte, write func([]byte) error) *stream {
	s := &stream{ctx: ctx, request: r, write: write, apex: apex}
	q := r.message.Question[0]
	s.message = make([]byte, 12, messageSize)
	if n, err := dns.PackDomainName(q.Name, s.message[:cap(s.message)], 12, nil, false); err == nil { // it has been read from a message
		s.message = s.message[:n]
	}
	binary.BigEndian.PutUint16(s.message, r.message.Id)
	s.message[2] = 0x84 // QR, AA
	if r.message.RecursionDesired {
		s.message[2] |= 1
	}
	s.message[5] = 1 // question
	s.message = binary.BigEndian.AppendUint16(s.message, q.Qtype)
	s.message = binary.BigEndian.AppendUint16(s.message, q.Qclass)
	s.head = len(s.message)
	return s
}

// set adds the records of a set.
func (s *stream) set(owner []byte, set *rr.Set) error {
	for _, data := range set.Data {
		if len(s.message)+len(owner)+10+len(data) > messageSize-sealSize && s.records > 0 {
			if err := s.flush(); err != nil {
				return err
			}
		}
		s.record(owner, set, data)
	}
	return nil
}

// record adds a record to the message. Where the owner ends in the zone's name, that of the question stands for it.
func (s *stream) record(owner []byte, set *rr.Set, data []byte) {
	if n := len(owner) - len(s.apex); n >= 0 && bytes.Equal(owner[n:], s.apex) {
		s.message = append(s.message, owner[:n]...)
		s.message = append(s.message, 0xc0, 12)
	} else {
		s.message = append(s.message, owner...)
	}
	s.message = binary.BigEndian.AppendUint16(s.message, set.Type)
	s.message = binary.BigEndian.AppendUint16(s.message, rr.ClassIN)
	s.message = binary.BigEndian.AppendUint32(s.message, set.TTL)
	s.message = binary.BigEndian.AppendUint16(s.message, uint16(len(data))) //nolint:gosec // RDATA
	s.message = append(s.message, data...)
	s.records++
}

// flush writes the message, and begins another.
func (s *stream) flush() error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	binary.BigEndian.PutUint16(s.message[6:], uint16(s.records)) //nolint:gosec // fewer than octets
	if err := s.opt(); err != nil {
		return err
	}
	b := s.request.finish(s.message)
	if err := s.write(b); err != nil {
		return fmt.Errorf("writing a message: %w", err)
	}
	s.message, s.records = b[:s.head], 0
	clear(s.message[10:12]) // the signature is gone
	return nil
}

// opt adds the OPT record to the first message.
func (s *stream) opt() error {
	o := s.request.opt()
	if s.later || o == nil {
		return nil
	}
	s.later = true
	var b [32]byte
	n, err := dns.PackRR(o, b[:], 0, nil, false)
	if err != nil {
		return fmt.Errorf("writing an OPT record: %w", err)
	}
	s.message = append(s.message, b[:n]...)
	s.message[11] = 1 // additional records
	return nil
}
