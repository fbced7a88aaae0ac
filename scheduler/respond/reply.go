package respond

import (
	"cmp"
	"time"

	"nearcast/scheduler/dnswire"
	"nearcast/scheduler/rr"
	"nearcast/scheduler/zone"
)

// item is a set of records of an answer.
type item struct {
	section dnswire.Section
	owner   []byte // nil is the question's name; otherwise in wire form, lower case
	set     rr.Set // in canonical order
	ttl     uint32 // that is told; the set's own is what is signed
	turned  bool   // the last record goes first
	signer  *zone.Zone
	key     bool // the set is signed by all keys
	extra   bool // a courtesy: left out if it does not fit
}

// reply is what an answer has to say, before it is written.
type reply struct {
	items     []item
	truncated bool
}

func (p *reply) reset() {
	clear(p.items)
	p.items, p.truncated = p.items[:0], false
}

func (p *reply) add(i item) *item {
	p.items = append(p.items, i)
	return &p.items[len(p.items)-1]
}

// Sizes in octets.
const (
	headerLen  = 12   // RFC 1035 section 4.1.1
	plainSize  = 512  // what a client without EDNS takes over UDP, RFC 1035 section 4.2.1
	ednsSize   = 1232 // fits the smallest IPv6 packet, so that no answer is fragmented
	maxMessage = 65535
	maxName    = 255 // RFC 1035 section 2.3.4
	cookieSize = 24  // RFC 9018 section 3
)

// record is the octets of a record beside owner and data (RFC 1035 section 4.1.3).
const record = 10

// signature is the octets of the RDATA of an RRSIG record beside the signer's name (RFC 4034 section 3.1, RFC 6605 section 4).
const signature = 18 + 64

// pointer is the octets of a name that is the question's, or ends in a part of it that is known.
const pointer = 2

// size is how long the item is at most, in octets.
func (i *item) size(signed bool) int {
	owner := pointer
	if i.owner != nil && (i.signer == nil || len(i.owner) != len(i.signer.Name)) { // a zone's name is the end of the question's
		owner = len(i.owner)
	}
	n := 0
	for _, d := range i.set.Data {
		n += owner + record + len(d)
		if n <= ednsSize { // the next ones point to the first; beyond 16 KiB they could not
			owner = pointer
		}
	}
	if signed && i.signer != nil {
		signatures := 1
		if i.key { // one by each key
			signatures = len(i.set.Data)
		}
		n += signatures * (owner + record + signature + len(i.signer.Name))
	}
	return n
}

// length is how long all items are.
func (x *exchange) length(signed bool) int {
	n := 0
	for i := range x.reply.items {
		n += x.reply.items[i].size(signed)
	}
	return n
}

// limit is how long the answer may be, in octets.
func (x *exchange) limit() int {
	if x.from.Transport != UDP {
		return maxMessage
	}
	n := plainSize
	if x.query.EDNS {
		n = min(max(int(x.query.Size), plainSize), ednsSize)
	}
	if x.cookied || x.state == nil {
		return n
	}
	return min(n, max(x.state.Settings.Amplification*x.size, headerLen))
}

// signed reports whether the answer is to have signatures.
func (x *exchange) signed() bool { return x.query.DO && x.state != nil && x.state.Signer != nil }

// fit leaves out what does not fit: courtesies, then all but one of several addresses, then everything.
func (x *exchange) fit(overhead int) {
	room := x.limit() - overhead
	signed := x.signed()
	if x.length(signed) <= room {
		return
	}
	kept := 0
	for i := range x.reply.items {
		if !x.reply.items[i].extra {
			x.reply.items[kept] = x.reply.items[i]
			kept++
		}
	}
	clear(x.reply.items[kept:])
	x.reply.items = x.reply.items[:kept]
	if x.length(signed) <= room {
		return
	}
	if len(x.reply.items) == 1 && x.steer.chosen && len(x.reply.items[0].set.Data) > 1 {
		i := &x.reply.items[0]
		first := 0
		if i.turned {
			first = len(i.set.Data) - 1
		}
		i.set.Data, i.turned = i.set.Data[first:first+1], false
		if x.length(signed) <= room {
			return
		}
	}
	x.reply.truncated = true // part of a set would be worse than none, RFC 2181 section 9
}

// finish writes the answer.
func (x *exchange) finish() []byte {
	w, q := &x.writer, &x.query
	ending := x.ending()
	if q.NSID && q.EDNS && (x.reply.truncated || w.Len()+ending.OPT.Len() > x.limit()) {
		ending.OPT.NSID = "" // who is limited is not to get more than was sent
	}
	if !x.reply.truncated {
		x.fit(w.Len() + ending.OPT.Len())
	}
	if !x.reply.truncated {
		x.writeAll()
	}
	if x.reply.truncated {
		ending.TC = x.from.Transport == UDP
		x.scope = 0
		if !ending.TC { // there is no other way to come by, and "there is nothing" would be wrong
			x.rcode, x.aa = dnswire.ServFail, false
		}
	}
	ending.Rcode, ending.AA = x.rcode, x.aa && x.rcode != dnswire.FormError
	if ending.OPT != nil && q.Subnet.Present {
		ending.OPT.Scope = uint8(x.scope) //nolint:gosec // at most 56
	}
	return w.End(ending)
}

// writeAll writes the sets, or nothing if one cannot be signed: without a signature it would be taken for a forgery.
func (x *exchange) writeAll() {
	start := x.writer.Mark()
	for i := range x.reply.items {
		if !x.write(&x.reply.items[i]) {
			x.writer.Reset(start)
			x.reply.truncated = true
			x.responder.cfg.Metrics.unsigned.Inc()
			return
		}
	}
}

// write writes a set and its signatures, and reports whether it has those.
func (x *exchange) write(i *item) bool {
	w := &x.writer
	data := i.set.Data
	if x.query.Class == rr.ClassCHAOS {
		w.RecordClass(i.section, i.owner, i.set.Type, rr.ClassCHAOS, i.ttl, data[0])
		return true
	}
	if i.turned {
		w.Record(i.section, i.owner, i.set.Type, i.ttl, data[len(data)-1])
		data = data[:len(data)-1]
	}
	for _, d := range data {
		w.Record(i.section, i.owner, i.set.Type, i.ttl, d)
	}
	if i.signer == nil || !x.signed() {
		return true
	}
	name := i.owner
	if name == nil {
		name = x.name
	}
	signatures := x.signatures(i, name)
	for _, sig := range signatures {
		w.Record(i.section, i.owner, rr.TypeRRSIG, i.ttl, sig)
	}
	return len(signatures) > 0
}

// ending is what the message ends with.
func (x *exchange) ending() dnswire.Ending {
	q := &x.query
	var e dnswire.Ending
	if !q.EDNS {
		return e
	}
	o := &x.opt
	*o = dnswire.OPT{Size: ednsSize, DO: q.DO, CO: q.CO && x.signed(), Cookie: x.echo, Keepalive: dnswire.NoKeepalive}
	if q.Subnet.Present {
		o.Subnet = &q.Subnet
	}
	if q.NSID {
		o.NSID = string(x.responder.cfg.Node)
	}
	if q.Keepalive && (x.from.Transport == TCP || x.from.Transport == TLS) {
		o.Keepalive = keepaliveOf(x.from.Idle)
	}
	if q.Padding && (x.from.Transport == TLS || x.from.Transport == HTTPS) {
		o.PadTo = paddingBlock
	}
	e.OPT = o
	return e
}

const (
	usualIdle    = 10 * time.Second // of a connection over which nothing comes
	paddingBlock = 468              // octets, RFC 8467 section 4.1
)

// keepaliveOf is a time in units of 100 ms (RFC 7828 section 3.1).
func keepaliveOf(idle time.Duration) int {
	return int(cmp.Or(idle, usualIdle) / (100 * time.Millisecond))
}
