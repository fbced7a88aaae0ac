package transfer

import (
	"context"
	"fmt"

	"github.com/miekg/dns"

	"nearcast/scheduler/rr"
)

// messageSize is how long messages of a transfer get at most, unless one record is longer, and sealSize what of that a signature may take.
const (
	messageSize = 16 << 10
	sealSize    = 512
)

// raw is the RDATA of a record as it is, for miekg/dns to pack.
type raw []byte

// Len implements [dns.PrivateRdata].
func (r raw) Len() int { return len(r) }

// Pack implements [dns.PrivateRdata].
func (r raw) Pack(b []byte) (int, error) {
	if len(b) < len(r) {
		return 0, dns.ErrBuf
	}
	return copy(b, r), nil
}

// String implements [dns.PrivateRdata].
func (r raw) String() string { return fmt.Sprintf("\\# %d %x", len(r), []byte(r)) }

// Copy, Parse and Unpack implement [dns.PrivateRdata]; nothing needs them.
func (raw) Copy(dns.PrivateRdata) error { return dns.ErrRdata }

// Parse implements [dns.PrivateRdata].
func (raw) Parse([]string) error { return dns.ErrRdata }

// Unpack implements [dns.PrivateRdata].
func (raw) Unpack([]byte) (int, error) { return 0, dns.ErrRdata }

// stream writes the records of a transfer, in messages.
type stream struct {
	ctx     context.Context
	request *request
	write   func(message []byte) error

	message dns.Msg // the next one; its parts are used again and again
	records []dns.PrivateRR
	used    int // of records
	size    int // of the message, without compression
	last    struct {
		wire []byte // an owner
		text string // and as miekg/dns has it
	}
}

func newStream(ctx context.Context, r *request, write func([]byte) error) *stream {
	s := &stream{ctx: ctx, request: r, write: write, records: make([]dns.PrivateRR, messageSize/11+1)}
	s.begin()
	return s
}

func (s *stream) begin() {
	answer, extra := s.message.Answer[:0], s.message.Extra[:0]
	s.message = dns.Msg{}
	s.message.SetReply(s.request.message)
	s.message.Authoritative, s.message.Compress = true, true
	s.message.Answer, s.message.Extra = answer, extra
	s.used, s.size = 0, 12+len(s.request.message.Question[0].Name)+6
}

// set adds the records of a set.
func (s *stream) set(owner []byte, set *rr.Set) error {
	for _, data := range set.Data {
		if err := s.record(owner, set.Type, set.TTL, data); err != nil {
			return err
		}
	}
	return nil
}

func (s *stream) record(owner []byte, kind uint16, ttl uint32, data []byte) error {
	n := len(owner) + 10 + len(data)
	if s.used > 0 && s.size+n > messageSize-sealSize {
		if err := s.flush(); err != nil {
			return err
		}
	}
	if string(owner) != string(s.last.wire) || s.last.text == "" {
		text, _, err := dns.UnpackDomainName(owner, 0)
		if err != nil {
			return fmt.Errorf("the owner %x: %w", owner, err)
		}
		s.last.wire, s.last.text = append(s.last.wire[:0], owner...), text
	}
	p := &s.records[s.used]
	p.Hdr = dns.RR_Header{Name: s.last.text, Rrtype: kind, Class: dns.ClassINET, Ttl: ttl}
	p.Data = raw(data)
	s.message.Answer = append(s.message.Answer, p)
	s.used++
	s.size += n
	return nil
}

// flush writes the message, and begins another.
func (s *stream) flush() error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	b, err := s.request.pack(&s.message)
	if err != nil {
		return err
	}
	if err := s.write(b); err != nil {
		return fmt.Errorf("writing a message: %w", err)
	}
	s.begin()
	return nil
}
