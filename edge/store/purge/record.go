package purge

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"nearcast/cdn"
	"nearcast/edge/store"
)

// A record is a head of 24 octets and a payload, with zeros up to a multiple of 8; all numbers are little endian:
//
//	0   magic "NCPL"
//	4   CRC-32C of everything from octet 8 to the end of the payload
//	8   length of the payload
//	12  kind
//	13  1 if soft
//	14  zero
//	16  how much of the file was durable when the record was written
//
// The payload begins with the epoch, the revision and the time in nanoseconds since 1970, 8 octets each. Of a kindPurge
// follow the targets and the scopes, each with their number before them; of a kindKey the key. Texts have their length before
// them, in the variable-length form of package binary, as those numbers have.
//
// The first record, a kindHead, has a fixed place, and so has the second, a kindMark. They are in one sector, which a disk writes whole
// or not at all.
const (
	magic      = "NCPL"
	headSize   = 24
	fixedSize  = 24
	maxPayload = 64 << 20
	version    = 1
	markAt     = headSize + fixedSize
	leastSize  = markAt + headSize + fixedSize // a file is not found under its name before it has both
)

// kind says what a record is about.
type kind uint8

const (
	kindHead  kind = iota + 1 // the first of a file: revision is the version of the form, epoch the first of its era
	kindState                 // no epoch up to this one is given out again; revision is the applied one
	kindPurge                 // a cdn.Purge
	kindAll                   // everything
	kindKey                   // what is stored under a key
	kindMark                  // the second of a file, and written over: revision is how much of the file was durable when it was
)

// record is a piece of the log.
type record struct {
	kind     kind
	soft     bool
	epoch    store.Epoch
	revision cdn.Revision
	at       int64
	targets  []cdn.Target
	scopes   []cdn.Scope
	key      cdn.CacheKey
}

// scopeDomain is the kind of what targets are folded into: everything of the site that serves a domain.
const scopeDomain cdn.ScopeKind = "domain"

// The codes of scopes' kinds. A code that is not there covers everything.
var scopeKinds = [...]cdn.ScopeKind{cdn.ScopeDir, cdn.ScopeTag, cdn.ScopeRegexp, cdn.ScopeSite, scopeDomain} //nolint:gochecknoglobals // a table that nobody changes

func codeOf(k cdn.ScopeKind) byte {
	for code, known := range scopeKinds {
		if known == k {
			return byte(code)
		}
	}
	return byte(len(scopeKinds))
}

// items is how many things that can be superseded the record has.
func (r *record) items() int {
	switch r.kind {
	case kindPurge:
		return len(r.targets) + len(r.scopes)
	case kindKey:
		return 1
	default:
		return 0
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli) //nolint:gochecknoglobals // a table that nobody changes

// appendRecord appends the form of a record in a file of which so much is durable.
func appendRecord(dst []byte, r *record, durable int64) []byte {
	start := len(dst)
	dst = append(dst, magic...)
	dst = append(dst, make([]byte, headSize-len(magic))...)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(r.epoch))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(r.revision))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(r.at))
	switch r.kind {
	case kindPurge:
		dst = binary.AppendUvarint(dst, uint64(len(r.targets)))
		for i := range r.targets {
			dst = appendTarget(dst, &r.targets[i])
		}
		dst = binary.AppendUvarint(dst, uint64(len(r.scopes)))
		for i := range r.scopes {
			s := &r.scopes[i]
			dst = append(dst, codeOf(s.Kind))
			dst = appendTexts(dst, string(s.Site), string(s.Domain), s.Path, s.Tag, s.Regexp)
		}
	case kindKey:
		dst = appendTexts(dst, string(r.key))
	default: // the others have nothing more to say
	}
	head := dst[start:]
	binary.LittleEndian.PutUint32(head[8:], uint32(len(head)-headSize))
	head[12] = byte(r.kind)
	if r.soft {
		head[13] = 1
	}
	binary.LittleEndian.PutUint64(head[16:], uint64(durable))
	binary.LittleEndian.PutUint32(head[4:], crc32.Checksum(head[8:], castagnoli))
	return append(dst, make([]byte, padding(len(head)))...)
}

func padding(n int) int { return -n & 7 }

func appendTarget(dst []byte, t *cdn.Target) []byte {
	flags := byte(0)
	if t.HasQuery {
		flags = 1
	}
	return appendTexts(append(dst, flags), t.Scheme, string(t.Domain), t.Path, t.Query)
}

func appendTexts(dst []byte, texts ...string) []byte {
	for _, s := range texts {
		dst = binary.AppendUvarint(dst, uint64(len(s)))
		dst = append(dst, s...)
	}
	return dst
}

// frame is the head of a record.
type frame struct {
	kind    kind
	soft    bool
	payload int
	durable int64
}

// size is how much of a file the record takes.
func (f frame) size() int64 {
	n := headSize + f.payload
	return int64(n + padding(n))
}

var errBroken = errors.New("not a whole record")

// readFrame reads a head, which says how long the record is.
func readFrame(p []byte) (frame, error) {
	if len(p) < headSize || string(p[:4]) != magic {
		return frame{}, errBroken
	}
	f := frame{
		kind: kind(p[12]), soft: p[13]&1 != 0, payload: int(binary.LittleEndian.Uint32(p[8:])),
		durable: int64(binary.LittleEndian.Uint64(p[16:])),
	}
	if f.payload < fixedSize || f.payload > maxPayload || f.durable < 0 {
		return frame{}, errBroken
	}
	return f, nil
}

// readRecord reads a record of which p begins with the whole.
func readRecord(p []byte) (r record, f frame, err error) {
	if f, err = readFrame(p); err != nil {
		return r, f, err
	}
	if int64(len(p)) < f.size() {
		return r, f, errBroken
	}
	if crc32.Checksum(p[8:headSize+f.payload], castagnoli) != binary.LittleEndian.Uint32(p[4:]) {
		return r, f, errBroken
	}
	for _, zero := range p[headSize+f.payload : f.size()] {
		if zero != 0 {
			return r, f, errBroken
		}
	}
	d := decoder{rest: p[headSize : headSize+f.payload]}
	r = record{kind: f.kind, soft: f.soft, epoch: store.Epoch(d.number()), revision: cdn.Revision(d.number()), at: int64(d.number())}
	switch f.kind {
	case kindPurge:
		d.purge(&r)
	case kindKey:
		r.key = cdn.CacheKey(d.text())
	case kindHead, kindState, kindAll, kindMark:
	default:
		d.bad = true
	}
	if d.bad || len(d.rest) > 0 {
		return r, f, errBroken
	}
	return r, f, nil
}

// decoder takes a payload apart. Once something is missing it is bad, and all that it yields is zero.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) take(n uint64) []byte {
	if d.bad || n > uint64(len(d.rest)) {
		d.bad = true
		return nil
	}
	p := d.rest[:n]
	d.rest = d.rest[n:]
	return p
}

func (d *decoder) number() uint64 {
	if p := d.take(8); p != nil {
		return binary.LittleEndian.Uint64(p)
	}
	return 0
}

func (d *decoder) count() uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 {
		d.bad = true
		return 0
	}
	d.take(uint64(size))
	return n
}

func (d *decoder) octet() byte {
	if p := d.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (d *decoder) text() string { return string(d.take(d.count())) }

func (d *decoder) purge(r *record) {
	for n := d.count(); n > 0 && !d.bad; n-- {
		t := cdn.Target{HasQuery: d.octet() != 0}
		t.Scheme, t.Domain, t.Path, t.Query = d.text(), cdn.Domain(d.text()), d.text(), d.text()
		r.targets = append(r.targets, t)
	}
	for n := d.count(); n > 0 && !d.bad; n-- {
		s := cdn.Scope{Kind: "unknown"}
		if code := d.octet(); int(code) < len(scopeKinds) {
			s.Kind = scopeKinds[code]
		}
		s.Site, s.Domain, s.Path, s.Tag, s.Regexp = cdn.SiteName(d.text()), cdn.Domain(d.text()), d.text(), d.text(), d.text()
		r.scopes = append(r.scopes, s)
	}
}
