package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/miekg/dns"

	"nearcast/cdn"
	"nearcast/scheduler/rr"
)

// errBusy is told as SERVFAIL.
var errBusy = errors.New("too many transfers are under way")

// Serve answers a query for a transfer (AXFR or IXFR) that came over a stream, from an address. It writes each message
// with write, which adds the two octets of its length, and must fail if the peer does not take it within 30 s or so.
// The query and the messages are not kept. An error is of writing, or the context's, or the source's, and the
// connection is then of no more use; what is wrong with the query is answered.
func (s *Server) Serve(ctx context.Context, query []byte, from netip.Addr, write func(message []byte) error) error {
	r, v, refusal := s.admit(query, from)
	if v == nil {
		if refusal == nil {
			return nil
		}
		return write(refusal)
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Longest)
	defer cancel()
	kind, err := s.transfer(ctx, r, v, write)
	if errors.Is(err, errBusy) {
		s.metrics.refused.WithLabelValues("busy").Inc()
		if b := r.refuse(dns.RcodeServerFailure); b != nil {
			return write(b)
		}
		return err
	}
	if err != nil {
		s.metrics.transfers.WithLabelValues("failed").Inc()
		s.cfg.Log.WarnContext(ctx, "a transfer of a zone has failed", "zone", r.message.Question[0].Name, "to", from, "error", err)
		return fmt.Errorf("transfer of %s to %s: %w", r.message.Question[0].Name, from, err)
	}
	s.metrics.transfers.WithLabelValues(kind).Inc()
	return nil
}

// Answer answers a query for a transfer that came over UDP: IXFR with the SOA, so that who has another comes over a stream (RFC 1995 section 2). AXFR over UDP is not
// defined, and a FORMERR. It returns nil for what cannot be answered.
func (s *Server) Answer(query []byte, from netip.Addr) []byte {
	r, v, refusal := s.admit(query, from)
	if v == nil {
		return refusal
	}
	if r.message.Question[0].Qtype != dns.TypeIXFR {
		return r.formErr(query)
	}
	var answer []byte
	err := newStream(context.Background(), r, v.zone.Name, func(b []byte) error {
		answer = bytes.Clone(b) // it is written over when it has been sent
		return nil
	}).soa(v)
	if err != nil {
		return nil
	}
	return answer
}

// admit reads a query and finds the zone, or makes the answer to a query that gets none; then v is nil, and so is the answer if there is to be none.
func (s *Server) admit(query []byte, from netip.Addr) (r *request, v *version, refusal []byte) {
	r, err := s.open(query)
	if err != nil {
		return nil, nil, formErr(query)
	}
	if r.failed != 0 {
		return r, nil, s.notAuth(r)
	}
	if o := r.message.IsEdns0(); o != nil && o.Version() != 0 {
		return r, nil, r.refuse(dns.RcodeBadVers)
	}
	q := r.message.Question[0]
	if q.Qtype != dns.TypeAXFR && q.Qtype != dns.TypeIXFR || q.Qtype == dns.TypeIXFR && clientSOA(r.message) == nil {
		return r, nil, r.formErr(query)
	}
	name, err := wireName(q.Name)
	if err != nil {
		return r, nil, r.formErr(query)
	}
	v = s.version(name)
	if v == nil || q.Qclass != dns.ClassINET || !v.zone.permits(from.Unmap(), r.key) {
		s.metrics.refused.WithLabelValues("access").Inc()
		return r, nil, r.refuse(dns.RcodeRefused)
	}
	return r, v, nil
}

// permits reports whether somebody may have the zone.
func (z *Zone) permits(from netip.Addr, key cdn.Domain) bool {
	for _, s := range z.Secondaries {
		known := s.Address.Addr().IsValid()
		if !known && s.Key == "" {
			continue
		}
		if (!known || s.Address.Addr().Unmap() == from) && (s.Key == "" || s.Key == key) {
			return true
		}
	}
	return false
}

// clientSOA is what the client of an IXFR has, or nil.
func clientSOA(m *dns.Msg) *dns.SOA {
	if len(m.Ns) != 1 {
		return nil
	}
	soa, ok := m.Ns[0].(*dns.SOA)
	if !ok {
		return nil
	}
	return soa
}

// transfer writes the zone, or what of it the client lacks.
func (s *Server) transfer(ctx context.Context, r *request, v *version, write func([]byte) error) (kind string, err error) {
	out := newStream(ctx, r, v.zone.Name, write)
	var steps []*step
	if soa := clientSOA(r.message); soa != nil && r.message.Question[0].Qtype == dns.TypeIXFR {
		if !later(v.zone.Serial(), soa.Serial) {
			return "unchanged", out.soa(v)
		}
		steps = v.since(soa.Serial)
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		return "", errBusy
	}
	if steps != nil {
		return "differences", out.steps(v, steps)
	}
	return "whole", out.whole(v)
}

// soa writes the SOA alone.
func (s *stream) soa(v *version) error {
	if err := s.set(v.zone.Name, &v.zone.SOA); err != nil {
		return err
	}
	return s.flush()
}

// whole writes every record between two SOAs.
func (s *stream) whole(v *version) error {
	if err := s.set(v.zone.Name, &v.zone.SOA); err != nil {
		return err
	}
	for owner, set := range v.source.Records(&v.zone) {
		if err := s.set(owner, &set); err != nil {
			return err
		}
	}
	return s.soa(v)
}

// steps writes differences, the older first (RFC 1995 section 4).
func (s *stream) steps(v *version, steps []*step) error {
	if err := s.set(v.zone.Name, &v.zone.SOA); err != nil {
		return err
	}
	for _, step := range steps {
		for _, part := range []struct {
			soa     *rr.Set
			records []record
		}{{&step.from, step.removed}, {&step.to, step.came}} {
			if err := s.set(v.zone.Name, part.soa); err != nil {
				return err
			}
			for i := range part.records {
				if err := s.set(part.records[i].owner, &part.records[i].set); err != nil {
					return err
				}
			}
		}
	}
	return s.soa(v)
}
