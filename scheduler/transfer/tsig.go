package transfer

import (
	"bytes"
	"crypto/hmac"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/miekg/dns"

	"nearcast/cdn"
	"nearcast/scheduler/dnswire"
)

// request is a query that has been read, and its signature checked.
type request struct {
	message *dns.Msg
	key     cdn.Domain // that it was signed with; "" if with none
	seal    *seal      // signs the answers; nil if they are not
	failed  uint16     // the TSIG error (RFC 8945 section 3), if the signature is not believed
	now     time.Time
}

// seal signs the messages of an answer, one after the other.
type seal struct {
	name, algorithm []byte // of the key, in wire form, in lower case
	key             Key    // its secret is nil if there is no such key
	signed          uint64 // when the request was, in seconds since 1970
	fudge           uint16 // how many seconds clocks may differ
	id              uint16 // of the request
	mac             []byte // of the message before, in the first place the request's
	next            bool   // there has been a message before: only times are signed beside the next
}

// Failures of signatures, as they are called where they are counted.
const (
	badTruncation = 22 // BADTRUNC; miekg/dns does not have it
	badForm       = 1  // FORMERR
)

// Bounds of queries that are read: whoever it is has proven nothing yet.
const (
	longestQuery = 4096 // octets
	mostRecords  = 2    // in the additional section: an OPT and a TSIG
	udpSize      = 1232 // octets of an answer over UDP, which pass everywhere in one piece
)

// crowded reports whether a query is longer than any that makes sense, or has more records.
func crowded(query []byte) bool {
	if len(query) < 12 || len(query) > longestQuery {
		return true
	}
	count := func(at int) uint16 { return binary.BigEndian.Uint16(query[at:]) }
	return count(4) > 1 || count(6) > 0 || count(8) > 1 || count(10) > mostRecords
}

// open reads a query. What cannot be read, or has a signature where none may be, is an error.
func (s *Server) open(query []byte) (*request, error) {
	if crowded(query) {
		return nil, errors.New("reading a query: it has more than a question, an OPT and a TSIG")
	}
	r := &request{message: new(dns.Msg), now: s.cfg.Now()}
	if err := r.message.Unpack(query); err != nil {
		return nil, fmt.Errorf("reading a query: %w", err)
	}
	m := r.message
	if m.Response || m.Opcode != dns.OpcodeQuery || len(m.Question) != 1 {
		return nil, errors.New("reading a query: it is none, or asks several things")
	}
	t := m.IsTsig()
	for _, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra[:max(len(m.Extra)-1, 0)]} {
		for _, record := range section {
			if record.Header().Rrtype == dns.TypeTSIG {
				return nil, errors.New("reading a query: it has a TSIG that is not the last record")
			}
		}
	}
	if t == nil {
		return r, nil
	}
	var err error
	known := *s.keys.Load() // once: what signs the answer is what the signature was checked with
	if r.seal, err = known.seal(t); err != nil {
		return nil, err
	}
	if r.failed, err = known.check(query, t, r.now); err != nil {
		return nil, err
	}
	if r.failed == 0 {
		r.key = nameOf(t)
	}
	return r, nil
}

// seal returns what signs the answers to a request with this signature.
func (k Keys) seal(t *dns.TSIG) (*seal, error) {
	var err error
	out := &seal{key: k[nameOf(t)], signed: t.TimeSigned, fudge: t.Fudge, id: t.OrigId}
	if out.name, err = wireName(t.Hdr.Name); err != nil {
		return nil, err
	}
	if out.algorithm, err = wireName(t.Algorithm); err != nil {
		return nil, err
	}
	if out.mac, err = hex.DecodeString(t.MAC); err != nil {
		return nil, fmt.Errorf("reading a signature: %w", err)
	}
	return out, nil
}

// wireName is a name in wire form, in lower case.
func wireName(name string) ([]byte, error) {
	b, err := dnswire.ParseName(nil, name)
	if err != nil {
		return nil, fmt.Errorf("the name %q: %w", name, err)
	}
	return dnswire.Lower(b[:0], b), nil
}

// check checks a signature, and returns the TSIG error.
func (k Keys) check(query []byte, t *dns.TSIG, now time.Time) (uint16, error) {
	err := dns.TsigVerifyWithProvider(bytes.Clone(query), k, "", false)
	switch {
	case err == nil, errors.Is(err, dns.ErrTime): // it has another clock
		if d := now.Unix() - int64(t.TimeSigned); max(d, -d) > int64(t.Fudge) { //nolint:gosec // 48 bits
			return dns.RcodeBadTime, nil
		}
		return 0, nil
	case errors.Is(err, dns.ErrSecret):
		return dns.RcodeBadKey, nil
	case errors.Is(err, dns.ErrSig):
		return dns.RcodeBadSig, nil
	case errors.Is(err, errTruncated):
		return badTruncation, nil
	}
	return 0, fmt.Errorf("checking a signature: %w", err)
}

// refuse makes an answer with nothing but a code. It returns nil if there can be none.
func (r *request) refuse(code int) []byte {
	m := new(dns.Msg)
	m.SetRcode(r.message, code)
	if o := r.opt(); o != nil {
		m.Extra = []dns.RR{o}
	}
	b, err := m.Pack()
	if err != nil {
		return nil
	}
	return r.finish(b)
}

// formErr is refuse for what was read and makes no sense.
func (r *request) formErr(query []byte) []byte {
	if b := r.refuse(dns.RcodeFormatError); b != nil {
		return b
	}
	return formErr(query)
}

// opt is the OPT record of the answer, which there must be if the query has one (RFC 6891 section 6.1.1); nil if it has none.
func (r *request) opt() *dns.OPT {
	asked := r.message.IsEdns0()
	if asked == nil {
		return nil
	}
	o := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
	o.SetUDPSize(udpSize)
	o.SetDo(asked.Do())
	return o
}

// finish makes a message of an answer the one to send: signed if the request was.
func (r *request) finish(message []byte) []byte {
	if r.seal == nil {
		return message
	}
	return r.seal.sign(message, r.failed, r.now)
}

// sign appends a TSIG to a message (RFC 8945 section 4.2). A message that tells of a key that is not known, or of a signature that is wrong, has one without a signature.
func (s *seal) sign(message []byte, failed uint16, now time.Time) []byte {
	at := uint64(now.Unix()) & (1<<48 - 1) //nolint:gosec // 48 bits
	var other []byte
	if failed == dns.RcodeBadTime { // both clocks are told (RFC 8945 section 5.2.3)
		other = append48(nil, at)
		at = s.signed
	}
	times := binary.BigEndian.AppendUint16(append48(nil, at), s.fudge)
	tail := binary.BigEndian.AppendUint16(nil, failed)
	tail = binary.BigEndian.AppendUint16(tail, uint16(len(other))) //nolint:gosec // 0 or 6
	tail = append(tail, other...)
	var mac []byte
	if failed != dns.RcodeBadKey && failed != dns.RcodeBadSig {
		mac = s.hash(message, times, tail)
		s.mac, s.next = mac, true
	}
	message = append(message, s.name...)
	message = append(message, 0, byte(dns.TypeTSIG), 0, dns.ClassANY, 0, 0, 0, 0)
	message = binary.BigEndian.AppendUint16(message, uint16(len(s.algorithm)+len(times)+4+len(mac)+len(tail))) //nolint:gosec // some hundred
	message = append(append(message, s.algorithm...), times...)
	message = binary.BigEndian.AppendUint16(message, uint16(len(mac))) //nolint:gosec // at most 64
	message = append(message, mac...)
	message = binary.BigEndian.AppendUint16(message, s.id)
	message = append(message, tail...)
	binary.BigEndian.PutUint16(message[10:], binary.BigEndian.Uint16(message[10:])+1)
	return message
}

// size is how long a signature is.
func (s *seal) size() int {
	return len(s.name) + 10 + len(s.algorithm) + 16 + hashOf(s.key.Algorithm)().Size()
}

// hash is the MAC of a message (RFC 8945 sections 4.3 and 5.3.1).
func (s *seal) hash(message, times, tail []byte) []byte {
	h := hmac.New(hashOf(s.key.Algorithm), s.key.Secret)
	h.Write(binary.BigEndian.AppendUint16(nil, uint16(len(s.mac)))) //nolint:gosec // at most 64
	h.Write(s.mac)
	h.Write(message)
	if s.next {
		h.Write(times)
		return h.Sum(nil)
	}
	h.Write(s.name)
	h.Write([]byte{0, dns.ClassANY, 0, 0, 0, 0})
	h.Write(s.algorithm)
	h.Write(times)
	h.Write(tail)
	return h.Sum(nil)
}

// append48 appends a number of 48 bits.
func append48(b []byte, n uint64) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(b, uint16(n>>32)), uint32(n)) //nolint:gosec // cut on purpose
}

// Signed answers a query that has a TSIG and is no transfer: it checks the signature, has answer answer the query without it, and signs that. Over
// UDP, what gets too long by that is cut down to nothing with TC. Without a TSIG, or with one that is malformed, the answer is FORMERR. It returns nil
// for what cannot be answered.
func (s *Server) Signed(query []byte, udp bool, answer func(query []byte) []byte) []byte {
	r, err := s.open(query)
	if err != nil || r.seal == nil {
		return formErr(query)
	}
	if r.failed != 0 {
		return s.notAuth(r)
	}
	m := r.message
	m.Extra = m.Extra[:len(m.Extra)-1]
	plain, err := m.Pack()
	if err != nil {
		return formErr(query)
	}
	reply := answer(plain)
	if len(reply) < 12 {
		return nil
	}
	size := dns.MaxMsgSize
	if udp {
		size = dns.MinMsgSize
		if o := m.IsEdns0(); o != nil {
			size = min(max(size, int(o.UDPSize())), udpSize)
		}
	}
	if len(reply)+r.seal.size() > size {
		cut := new(dns.Msg)
		cut.SetReply(m)
		cut.Truncated, cut.Authoritative = true, reply[2]&4 != 0
		if o := r.opt(); o != nil {
			cut.Extra = []dns.RR{o}
		}
		if reply, err = cut.Pack(); err != nil {
			return nil
		}
	}
	return r.finish(reply)
}

// notAuth answers a query whose signature is not believed.
func (s *Server) notAuth(r *request) []byte {
	s.metrics.refused.WithLabelValues("signature").Inc()
	return r.refuse(dns.RcodeNotAuth)
}

// formErr answers what cannot be read, if it is a query at all, with its header.
func formErr(query []byte) []byte {
	if len(query) < 12 || query[2]&0x80 != 0 {
		return nil
	}
	return []byte{query[0], query[1], 0x80 | query[2]&0x79, badForm, 0, 0, 0, 0, 0, 0, 0, 0}
}
