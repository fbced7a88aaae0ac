package dnswire

import (
	"encoding/binary"

	"nearcast/scheduler/rr"
)

// Response codes (https://www.iana.org/assignments/dns-parameters).
const (
	FormError  uint16 = 1
	ServFail   uint16 = 2
	NXDomain   uint16 = 3
	NotImpl    uint16 = 4
	Refused    uint16 = 5
	BadVersion uint16 = 16
	BadCookie  uint16 = 23
)

// NoKeepalive is an [OPT.Keepalive] that says nothing.
const NoKeepalive = -1

// OPT is what an answer says to a client that knows EDNS (RFC 6891). Of the zero value Keepalive must be set.
type OPT struct {
	// Size is how long a query we take over UDP, in octets.
	Size uint16
	// DO is the query's (RFC 3225 section 3). CO says that a compact denial has its response code (RFC 9824 section 5.1), to who has asked for that.
	DO, CO bool
	// Subnet is the query's, to be sent back with Scope, how many bits of the address the answer holds for (RFC 7871 section 7.2.1). Nil, or
	// one that is not Present, is none.
	Subnet *Subnet
	Scope  uint8
	// Cookie is the octets of the client and ours, 16 to 40; empty is none.
	Cookie []byte
	// NSID is who answers (RFC 5001); empty is none.
	NSID string
	// Keepalive is for how long a connection may be idle, in units of 100 ms, 0 to 65535 (RFC 7828); NoKeepalive is none.
	Keepalive int
	// PadTo is of how many octets the answer's length is made a multiple (RFC 7830; RFC 8467 says 468); zero is none.
	PadTo int
}

// Len returns how many octets the record takes, padding not counted. For nil it is zero.
func (o *OPT) Len() int {
	if o == nil {
		return 0
	}
	n := optLen
	if s := o.Subnet; s != nil && s.Present {
		n += optionLen + 4 + (int(s.Source)+7)/8
	}
	if len(o.Cookie) > 0 {
		n += optionLen + len(o.Cookie)
	}
	if o.NSID != "" {
		n += optionLen + len(o.NSID)
	}
	if o.Keepalive >= 0 {
		n += optionLen + 2
	}
	return n
}

// opt writes the record.
func (w *Writer) opt(o *OPT, rcode uint16) {
	var flags byte
	if o.DO {
		flags = 1 << 7
	}
	if o.CO {
		flags |= 1 << 6
	}
	w.buf = append(w.buf, 0, byte(rr.TypeOPT>>8), byte(rr.TypeOPT&0xFF), byte(o.Size>>8), byte(o.Size),
		byte(rcode>>4), 0, flags, 0, 0, 0)
	start := len(w.buf)
	if s := o.Subnet; s != nil && s.Present {
		w.subnet(s, o.Scope)
	}
	if len(o.Cookie) > 0 {
		w.option(optionCookie, len(o.Cookie))
		w.buf = append(w.buf, o.Cookie...)
	}
	if o.NSID != "" {
		w.option(optionNSID, len(o.NSID))
		w.buf = append(w.buf, o.NSID...)
	}
	if o.Keepalive >= 0 {
		w.option(optionKeepalive, 2)
		w.buf = append(w.buf, byte(o.Keepalive>>8), byte(o.Keepalive))
	}
	if o.PadTo > 0 {
		w.pad(o.PadTo)
	}
	binary.BigEndian.PutUint16(w.buf[start-2:], uint16(len(w.buf)-start)) //nolint:gosec // an answer that is too long cannot be sent
}

func (w *Writer) option(code, length int) {
	w.buf = append(w.buf, byte(code>>8), byte(code), byte(length>>8), byte(length))
}

func (w *Writer) subnet(s *Subnet, scope uint8) {
	octets := (int(s.Source) + 7) / 8
	w.option(optionSubnet, 4+octets)
	w.buf = append(w.buf, byte(s.Family>>8), byte(s.Family), s.Source, scope)
	if s.Addr.Is4() {
		a := s.Addr.As4()
		w.buf = append(w.buf, a[:min(octets, len(a))]...)
	} else {
		a := s.Addr.As16()
		w.buf = append(w.buf, a[:min(octets, len(a))]...)
	}
}

// pad adds zeros up to a multiple of block. An answer that would then be too long is not padded.
func (w *Writer) pad(block int) {
	long := w.Len() + optionLen
	zeros := (block - long%block) % block
	if long+zeros > maxMessage {
		return
	}
	w.option(optionPadding, zeros)
	for ; zeros > 0; zeros-- {
		w.buf = append(w.buf, 0)
	}
}
