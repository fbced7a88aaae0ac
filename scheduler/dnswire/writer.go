package dnswire

import (
	"encoding/binary"

	"nearcast/scheduler/rr"
)

// Section is a part of an answer that has records.
type Section uint8

// The sections, in their order.
const (
	Answer Section = iota
	Authority
	Additional
)

const (
	pointer    = 0xC000 // RFC 1035 section 4.1.4
	atQuestion = pointer | headerLen
	maxPointer = 0x3FFF
	maxMessage = 65535
	optLen     = 1 + recordLen // an OPT without options
	optionLen  = 4             // of an option's code and length
)

// Writer builds one answer at a time in a buffer of the caller. The zero value is ready for Begin. It does not allocate as long as the buffer
// suffices, and does not bound how long the answer gets: the caller takes back with Reset what is too much. One that is longer than 65,535
// octets cannot be sent.
type Writer struct {
	buf      []byte
	base     int // where the message begins in buf
	flags    uint16
	question []byte // the name
	counts   [3]uint16
	last     []byte // the owner that was last written in full or in part, and where; not the question's
	lastAt   int
}

// Mark is a place in an answer to which it can be taken back.
type Mark struct {
	len    int
	counts [3]uint16
	last   []byte
	lastAt int
}

// Begin starts the answer to q at the end of dst: ID, opcode, RD and CD (RFC 4035 section 3.1.6) are q's, and the question comes back octet for
// octet. q's packet must not change before End.
func (w *Writer) Begin(dst []byte, q *Query) {
	flags := bitQR | uint16(q.Opcode&0xF)<<11
	if q.RD {
		flags |= bitRD
	}
	if q.CD {
		flags |= bitCD
	}
	*w = Writer{base: len(dst), flags: flags, question: q.Name}
	questions := byte(0)
	if q.Question != nil {
		questions = 1
	}
	dst = append(dst, byte(q.ID>>8), byte(q.ID), 0, 0, 0, questions, 0, 0, 0, 0, 0, 0)
	w.buf = append(dst, q.Question...)
}

// Len returns how long the answer is so far, in octets. The OPT record that End adds is not counted; see [OPT.Len].
func (w *Writer) Len() int { return len(w.buf) - w.base }

// Mark returns where the answer is now, for Reset.
func (w *Writer) Mark() Mark {
	return Mark{len: len(w.buf), counts: w.counts, last: w.last, lastAt: w.lastAt}
}

// Reset takes back what was written since m was made for this answer.
func (w *Writer) Reset(m Mark) {
	w.buf, w.counts, w.last, w.lastAt = w.buf[:m.len], m.counts, m.last, m.lastAt
}

// Record adds a record of class IN. Sections must come in their order; it panics otherwise, since the octets would belong to another
// section. RDATA is written as it is, at most 65,535 octets. The owner is the name that the record belongs to, in wire form without compression, in
// any letter case; nil is the name that was asked for. It must not change before End.
func (w *Writer) Record(s Section, owner []byte, typ uint16, ttl uint32, rdata []byte) {
	w.RecordClass(s, owner, typ, rr.ClassIN, ttl, rdata)
}

// RecordClass is Record for any class.
func (w *Writer) RecordClass(s Section, owner []byte, typ, class uint16, ttl uint32, rdata []byte) {
	if s < Additional && w.counts[Additional] > 0 || s < Authority && w.counts[Authority] > 0 {
		panic("dnswire: a record for a section that is over")
	}
	w.counts[s]++
	if owner == nil {
		w.buf = append(w.buf, atQuestion>>8, atQuestion&0xFF)
	} else {
		w.owner(owner)
	}
	w.buf = append(w.buf, byte(typ>>8), byte(typ), byte(class>>8), byte(class),
		byte(ttl>>24), byte(ttl>>16), byte(ttl>>8), byte(ttl), byte(len(rdata)>>8), byte(len(rdata)))
	w.buf = append(w.buf, rdata...)
}

// Set adds the records of a set.
func (w *Writer) Set(s Section, owner []byte, set *rr.Set) {
	for _, rdata := range set.Data {
		w.Record(s, owner, set.Type, set.TTL, rdata)
	}
}

// owner writes a name, as much of its end as can be as a pointer to the owner before, if that is the same, or into the question.
func (w *Writer) owner(name []byte) {
	if w.last != nil && Equal(w.last, name) {
		w.pointer(w.lastAt)
		return
	}
	if at := w.Len(); at <= maxPointer {
		w.last, w.lastAt = name, at
	}
	own, off := commonEnd(name, w.question)
	if own == len(name)-1 { // nothing in common but the root, which is shorter than a pointer
		w.buf = append(w.buf, name...)
		return
	}
	w.buf = append(w.buf, name[:own]...)
	w.pointer(headerLen + off)
}

func (w *Writer) pointer(to int) { w.buf = append(w.buf, byte((pointer|to)>>8), byte(to)) }

// commonEnd returns where the longest end that is the same in both names begins in each; that is the root's label at least, unless one is no
// name: then it is the last octet of a.
func commonEnd(a, b []byte) (inA, inB int) {
	i, j := 0, 0
	for i < len(a)-1 && j < len(b)-1 {
		restA, restB := len(a)-i, len(b)-j
		if restA == restB && Equal(a[i:], b[j:]) {
			return i, j
		}
		if restA >= restB {
			i += 1 + int(a[i])
		}
		if restB >= restA {
			j += 1 + int(b[j])
		}
	}
	return len(a) - 1, len(b) - 1
}

// Ending is what an answer's header says beside what Begin knows.
type Ending struct {
	// Rcode is the response code (RFC 1035, and RFC 6891 beyond 15). One beyond 15 needs OPT, and is SERVFAIL without.
	Rcode uint16
	// AA says that the answer is authoritative, TC that it is cut short, AD that it was verified.
	AA, TC, AD bool
	// OPT is the record for a client that sent one; nil for others.
	OPT *OPT
}

// End writes the OPT record and the header, and returns dst with the answer behind it.
func (w *Writer) End(e Ending) []byte {
	rcode := e.Rcode
	if e.OPT != nil {
		w.counts[Additional]++
		w.opt(e.OPT, rcode)
	} else if rcode > 0xF {
		rcode = ServFail
	}
	flags := w.flags | rcode&0xF
	if e.AA {
		flags |= bitAA
	}
	if e.TC {
		flags |= bitTC
	}
	if e.AD {
		flags |= bitAD
	}
	head := w.buf[w.base : w.base+headerLen]
	binary.BigEndian.PutUint16(head[2:], flags)
	binary.BigEndian.PutUint16(head[6:], w.counts[Answer])
	binary.BigEndian.PutUint16(head[8:], w.counts[Authority])
	binary.BigEndian.PutUint16(head[10:], w.counts[Additional])
	return w.buf
}
