package dnswire

import (
	"encoding/binary"
	"net/netip"

	"nearcast/scheduler/rr"
)

const (
	headerLen = 12  // RFC 1035 section 4.1.1
	recordLen = 10  // type, class, TTL and RDLENGTH, section 4.1.3
	plainSize = 512 // what everybody takes over UDP, section 4.2.1
)

// Bits of the header's second 16.
const (
	bitQR uint16 = 1 << 15
	bitAA uint16 = 1 << 10
	bitTC uint16 = 1 << 9
	bitRD uint16 = 1 << 8
	bitAD uint16 = 1 << 5
	bitCD uint16 = 1 << 4
)

// Status is what became of reading a packet.
type Status uint8

// What can become of it.
const (
	OK          Status = iota
	Silent             // it must not be answered: it has no whole header, or is an answer itself, lest two servers answer each other for ever
	Malformed          // it is malformed; what was read until then is set
	OtherOpcode        // it is no QUERY; only the header and OPT were read
	OnlyCookie         // it has no question, but a COOKIE option, or another version of EDNS: who asks wants to know ours (RFC 7873 section 5.4)
)

// Query is what a query says. Slices alias the packet that it was read from.
type Query struct {
	// ID, Opcode and the bits RD, CD and AD are the header's.
	ID         uint16
	Opcode     uint8
	RD, CD, AD bool

	// Question is the question's octets: name, type and class. Nil if it could not be read; then the answer has none either.
	Question []byte
	// Name is the question's name in wire form, letter case as it came: the beginning of Question.
	Name []byte
	// Labels is how many labels Name has, the root's not counted.
	Labels int
	// Type and Class are the question's.
	Type, Class uint16
	// Transfer says that Type is AXFR or IXFR.
	Transfer bool
	// Serial is what the client of an IXFR has, from the SOA in the authority section; it is zero without one.
	Serial uint32

	// EDNS says that there is an OPT record (RFC 6891). The rest is what it says.
	EDNS bool
	// Size is how long an answer the client takes over UDP, in octets: at least 512, which it is without EDNS.
	Size uint16
	// Version is EDNS's. Where it is not zero options were not read.
	Version uint8
	// DO says that the client wants signatures (RFC 3225), CO that it knows what compact denials look like (RFC 9824 section 5.1).
	DO, CO bool
	// Subnet is whom the answer is for (RFC 7871).
	Subnet Subnet
	// Cookie is the first COOKIE option's octets: 8 of the client, or those and 8 to 32 of the server (RFC 7873). Nil without one.
	Cookie []byte
	// NSID (RFC 5001), Keepalive (RFC 7828) and Padding (RFC 7830) say that there is such an option.
	NSID, Keepalive, Padding bool

	// TSIG says that the last record is a TSIG (RFC 8945), unverified.
	TSIG bool
}

// Subnet is a client subnet option (RFC 7871 section 6).
type Subnet struct {
	// Present says that there is one.
	Present bool
	// Source is how many bits of the address the client tells: 0 to 32, or to 128.
	Source uint8
	// Family is 1 for IPv4, 2 for IPv6, and may be 0 where Source is.
	Family uint16
	// Addr is the network's address, bits beyond Source zero. It is the zero Addr where Source is 0. An IPv6 option may have an IPv4
	// address in it; it stays IPv6.
	Addr netip.Addr
}

// Parse reads a packet. It keeps what it read in q, whose former content is gone. Malformed are, beside what ends early or has octets left over: not
// exactly one question, except for OnlyCookie, a question with a compression pointer, records in the answer section, or in the authority section but for one SOA of an
// IXFR; two OPT records, or one with an owner; a TSIG that is not last; and the options of OPT that are read, where their RFCs do not allow
// what they hold. Other options and other additional records do not matter, as long as their lengths are right.
func (q *Query) Parse(packet []byte) Status {
	*q = Query{Size: plainSize}
	if len(packet) < headerLen {
		return Silent
	}
	flags := binary.BigEndian.Uint16(packet[2:])
	if flags&bitQR != 0 {
		return Silent
	}
	q.ID = binary.BigEndian.Uint16(packet)
	q.Opcode = uint8(flags >> 11 & 0xF)
	q.RD, q.CD, q.AD = flags&bitRD != 0, flags&bitCD != 0, flags&bitAD != 0
	if q.Opcode != 0 {
		q.findOPT(packet)
		return OtherOpcode
	}
	if n := binary.BigEndian.Uint16(packet[4:]); n == 0 {
		return q.parseCookie(packet)
	} else if n != 1 { // RFC 9619
		q.findOPT(packet)
		return Malformed
	}
	end, labels := nameEnd(packet, headerLen)
	if end == 0 || end+4 > len(packet) {
		return Malformed
	}
	q.Name, q.Labels, q.Question = packet[headerLen:end:end], labels, packet[headerLen:end+4:end+4]
	q.Type, q.Class = binary.BigEndian.Uint16(packet[end:]), binary.BigEndian.Uint16(packet[end+2:])
	q.Transfer = q.Type == rr.TypeAXFR || q.Type == rr.TypeIXFR
	return q.parseRecords(packet, end+4)
}

// parseCookie reads a query that has no question.
func (q *Query) parseCookie(packet []byte) Status {
	if q.parseRecords(packet, headerLen) != OK || q.Cookie == nil && q.Version == 0 || q.TSIG { // of another version options were not read
		return Malformed
	}
	return OnlyCookie
}

// findOPT reads the OPT record of a message that is none of ours otherwise: its answer must have one too (RFC 6891 section 6.1.1). Where the message
// cannot be read there is none.
func (q *Query) findOPT(packet []byte) {
	bare := *q
	if !q.readOPT(packet) {
		*q = bare
	}
}

func (q *Query) readOPT(packet []byte) bool {
	off := headerLen
	for left := binary.BigEndian.Uint16(packet[4:]); left > 0; left-- {
		if off = skipName(packet, off); off == 0 || off+4 > len(packet) {
			return false
		}
		off += 4 // type and class
	}
	others := int(binary.BigEndian.Uint16(packet[6:])) + int(binary.BigEndian.Uint16(packet[8:]))
	for i := range others + int(binary.BigEndian.Uint16(packet[10:])) {
		r, next := readRecord(packet, off)
		if next == 0 {
			return false
		}
		if i >= others && r.typ == rr.TypeOPT && (q.EDNS || packet[off] != 0 || !q.parseOPT(r)) {
			return false
		}
		off = next
	}
	return true
}

func (q *Query) parseRecords(packet []byte, off int) Status {
	answers, authorities := binary.BigEndian.Uint16(packet[6:]), binary.BigEndian.Uint16(packet[8:])
	if answers != 0 || authorities > 1 || authorities == 1 && q.Type != rr.TypeIXFR {
		return Malformed
	}
	if authorities == 1 {
		if off = q.parseSerial(packet, off); off == 0 {
			return Malformed
		}
	}
	for left := binary.BigEndian.Uint16(packet[10:]); left > 0; left-- {
		r, next := readRecord(packet, off)
		if next == 0 || q.TSIG { // nothing may come after a TSIG
			return Malformed
		}
		switch r.typ {
		case rr.TypeOPT:
			if q.EDNS || packet[off] != 0 || !q.parseOPT(r) {
				return Malformed
			}
		case rr.TypeTSIG:
			q.TSIG = true
		}
		off = next
	}
	if off != len(packet) {
		return Malformed
	}
	return OK
}

// record is a record as it came.
type record struct {
	typ, class uint16
	ttl        uint32
	data       []byte
}

// readRecord reads the record at off, and returns where it ends; zero if it is malformed.
func readRecord(packet []byte, off int) (r record, next int) {
	if off < len(packet) && packet[off] == 0 { // the root: an OPT
		off++
	} else if off = skipName(packet, off); off == 0 {
		return r, 0
	}
	if off+recordLen > len(packet) {
		return r, 0
	}
	head := packet[off : off+recordLen]
	off += recordLen
	length := int(head[8])<<8 | int(head[9])
	if off+length > len(packet) {
		return r, 0
	}
	r = record{binary.BigEndian.Uint16(head), binary.BigEndian.Uint16(head[2:]), binary.BigEndian.Uint32(head[4:]), packet[off : off+length : off+length]}
	return r, off + length
}

// parseSerial reads the SOA of an IXFR (RFC 1995 section 3).
func (q *Query) parseSerial(packet []byte, off int) (next int) {
	r, next := readRecord(packet, off)
	if next == 0 || r.typ != rr.TypeSOA {
		return 0
	}
	serial := next - len(r.data)
	for range 2 { // MNAME and RNAME
		if serial = skipName(packet, serial); serial == 0 {
			return 0
		}
	}
	if serial+20 != next {
		return 0
	}
	q.Serial = binary.BigEndian.Uint32(packet[serial:])
	return next
}

// parseOPT reads an OPT record, and reports whether it is well formed.
func (q *Query) parseOPT(r record) bool {
	q.EDNS = true
	q.Size = max(r.class, plainSize) // RFC 6891 section 6.2.3
	q.Version = uint8(r.ttl >> 16)   //nolint:gosec // this octet of it
	q.DO, q.CO = r.ttl&(1<<15) != 0, r.ttl&(1<<14) != 0
	if q.Version != 0 {
		return true
	}
	for data := r.data; len(data) > 0; {
		if len(data) < 4 {
			return false
		}
		code, length := binary.BigEndian.Uint16(data), 4+int(data[2])<<8+int(data[3])
		if length > len(data) || !q.parseOption(code, data[4:length:length]) {
			return false
		}
		data = data[length:]
	}
	return true
}

// Codes of options.
const (
	optionNSID      = 3
	optionSubnet    = 8
	optionCookie    = 10
	optionKeepalive = 11
	optionPadding   = 12
)

func (q *Query) parseOption(code uint16, data []byte) bool {
	switch code {
	case optionSubnet:
		return !q.Subnet.Present && q.Subnet.parse(data)
	case optionCookie:
		if q.Cookie != nil { // only the first counts, RFC 7873 section 5.2
			return true
		}
		q.Cookie = data
		return len(data) == 8 || len(data) >= 16 && len(data) <= 40 // section 5.2.2
	case optionNSID:
		q.NSID = true
	case optionKeepalive:
		q.Keepalive = true
		return len(data) == 0 || len(data) == 2 // clients are to send none, RFC 7828 section 3.2.1, but some do
	case optionPadding:
		q.Padding = true
	}
	return true
}

// parse reads the option, and reports whether it is as RFC 7871 section 6 has it.
func (s *Subnet) parse(data []byte) bool {
	if len(data) < 4 || data[3] != 0 { // a scope, in a query
		return false
	}
	family, source, octets := binary.BigEndian.Uint16(data), data[2], data[4:]
	if len(octets) != (int(source)+7)/8 {
		return false
	}
	if odd := source % 8; odd != 0 && octets[len(octets)-1]<<odd != 0 {
		return false
	}
	var addr netip.Addr
	switch {
	case source == 0 && family <= 2: // "do not tailor to me"; RFC 7871 section 7.1.2
	case family == 1 && source <= 32:
		var a [4]byte
		copy(a[:], octets)
		addr = netip.AddrFrom4(a)
	case family == 2 && source <= 128:
		var a [16]byte
		copy(a[:], octets)
		addr = netip.AddrFrom16(a)
	default:
		return false
	}
	*s = Subnet{Present: true, Source: source, Family: family, Addr: addr}
	return true
}
