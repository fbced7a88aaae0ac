package transfer

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/miekg/dns"

	"nearcast/cdn"
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
	keys Keys
	tsig dns.TSIG // of the request, but for its MAC
	mac  string   // of the message before, in the first place the request's
	next bool     // there has been a message before: only times are signed beside the next
}

// Failures of signatures, as they are called where they are counted.
const (
	badTruncation = 22 // BADTRUNC; miekg/dns does not have it
	badForm       = 1  // FORMERR
)

// open reads a query. What cannot be read, or has a signature where none may be, is an error.
func (s *Server) open(query []byte) (*request, error) {
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
	r.seal = &seal{keys: s.cfg.Keys, tsig: *t, mac: t.MAC}
	failed, err := s.check(query, t, r.now)
	if err != nil {
		return nil, err
	}
	if r.failed = failed; failed == 0 {
		r.key = nameOf(t)
	}
	return r, nil
}

// check checks a signature, and returns the TSIG error.
func (s *Server) check(query []byte, t *dns.TSIG, now time.Time) (uint16, error) {
	err := dns.TsigVerifyWithProvider(bytes.Clone(query), s.cfg.Keys, "", false)
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

// refuse makes an answer with nothing but a code.
func (r *request) refuse(code int) ([]byte, error) {
	m := new(dns.Msg)
	m.SetRcode(r.message, code)
	return r.pack(m)
}

// pack makes a message of an answer, signed if the request was.
func (r *request) pack(m *dns.Msg) ([]byte, error) {
	if r.seal == nil {
		return m.Pack()
	}
	return r.seal.pack(m, r.failed, r.now)
}

func (s *seal) pack(m *dns.Msg, failed uint16, now time.Time) ([]byte, error) {
	m.SetTsig(s.tsig.Hdr.Name, s.tsig.Algorithm, s.tsig.Fudge, now.Unix())
	t := m.Extra[len(m.Extra)-1].(*dns.TSIG) //nolint:errcheck // just set
	t.OrigId, t.Error = m.Id, failed
	if failed == dns.RcodeBadTime { // both clocks are told (RFC 8945 section 5.2.3)
		t.TimeSigned = s.tsig.TimeSigned
		t.OtherLen, t.OtherData = 6, fmt.Sprintf("%012x", uint64(now.Unix())&(1<<48-1)) //nolint:gosec // 48 bits
	}
	b, mac, err := dns.TsigGenerateWithProvider(m, s.keys, s.mac, s.next)
	if err != nil {
		return nil, fmt.Errorf("signing an answer: %w", err)
	}
	s.mac, s.next = mac, true
	return b, nil
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
	reply := new(dns.Msg)
	if b := answer(plain); b == nil || reply.Unpack(b) != nil {
		return nil
	}
	reply.Compress = true
	size := dns.MaxMsgSize
	if udp {
		size = dns.MinMsgSize
		if o := m.IsEdns0(); o != nil {
			size = max(size, int(o.UDPSize()))
		}
	}
	first := *r.seal
	b, err := r.pack(reply)
	if err == nil && len(b) > size {
		cut := new(dns.Msg)
		cut.SetReply(m)
		cut.Truncated, cut.Authoritative = true, reply.Authoritative
		r.seal = &first
		b, err = r.pack(cut)
	}
	if err != nil {
		return nil
	}
	return b
}

// notAuth answers a query whose signature is not believed.
func (s *Server) notAuth(r *request) []byte {
	s.metrics.refused.WithLabelValues("signature").Inc()
	b, err := r.refuse(dns.RcodeNotAuth)
	if err != nil {
		return nil
	}
	return b
}

// formErr answers what cannot be read, if it is a query at all, with its header.
func formErr(query []byte) []byte {
	if len(query) < 12 || query[2]&0x80 != 0 {
		return nil
	}
	return []byte{query[0], query[1], 0x80 | query[2]&0x79, badForm, 0, 0, 0, 0, 0, 0, 0, 0}
}
