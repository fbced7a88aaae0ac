package record

import (
	"encoding/binary"
	"fmt"
	"math"

	"nearcast/cdn"
	"nearcast/edge/httpcache"
	"nearcast/edge/store"
)

// Draft is a record about to be written: what is known of it before it has a place.
type Draft struct {
	Header  Header
	Targets []Place // whose place it takes
	rest    []byte  // meta data behind the targets
}

// NewDraft makes the record of an object, whose body must be in memory. An error means that its head is too large.
func NewDraft(o *store.Object, hash uint64, expiry uint32) (*Draft, error) {
	d := &Draft{Header: Header{
		Kind: Object, Hash: hash, ID: uint64(o.ID), Born: uint64(o.Born), Start: o.Start, Length: o.Length,
		Body: o.Body.Len(), Expiry: expiry,
	}}
	for flag, is := range map[Flags]bool{Sliced: o.Sliced, Doubtful: o.Doubtful, Varies: o.Response.Varies()} {
		if is {
			d.Header.Flags |= flag
		}
	}
	if len(o.Tags) > math.MaxUint16 || len(o.Key)+len(o.Variant)+len(o.URL) > MaxMeta {
		return nil, fmt.Errorf("record: the key, URL and tags of an object are too large to be stored")
	}
	d.fill(string(o.Key), o.Variant, o.URL, o.Tags, o.Response.AppendBinary(nil))
	d.rest = appendSums(d.rest, o.Body)
	// With as many targets as it may get.
	if d.Header.Meta()+12*MaxTargets > MaxMeta {
		return nil, fmt.Errorf("record: a head of %d octets is too large to be stored, the limit is %d", d.Header.Meta(), MaxMeta)
	}
	return d, nil
}

// NewTombstone makes a record that says of its targets that they are no more.
func NewTombstone(key cdn.CacheKey, variant string, hash uint64, targets ...Place) *Draft {
	d := &Draft{Header: Header{Kind: Tombstone, Hash: hash, Length: -1}, Targets: targets}
	d.fill(string(key), variant, "", nil, nil)
	return d
}

// NewEcho makes a tombstone that goes on saying what a record said which is about to go: that its targets, as far as they were written
// before it, are no more.
func NewEcho(said *Entry, targets ...Place) *Draft {
	d := NewTombstone("", "", said.Hash, targets...)
	d.Header.ID = said.Seq
	return d
}

func (d *Draft) fill(key, variant, url string, tags []uint64, head []byte) {
	h := &d.Header
	h.Key, h.Variant, h.URL, h.Head = uint32(len(key)), uint32(len(variant)), uint32(len(url)), uint32(len(head)) //nolint:gosec // bounded by MaxMeta
	h.Tags = uint16(len(tags))                                                                                    //nolint:gosec // checked
	d.rest = make([]byte, 0, len(key)+len(variant)+len(url)+8*len(tags)+len(head)+4*int(h.sums()))
	d.rest = append(append(append(d.rest, key...), variant...), url...)
	for _, t := range tags {
		d.rest = binary.LittleEndian.AppendUint64(d.rest, t)
	}
	d.rest = append(d.rest, head...)
}

// appendSums appends the checksum of each chunk of a body.
func appendSums(dst []byte, body store.Body) []byte {
	var sum uint32
	room := int64(Chunk)
	for p := range body.Slice(0, body.Len()) {
		for len(p) > 0 {
			n := min(int64(len(p)), room)
			sum = update(sum, p[:n])
			p, room = p[n:], room-n
			if room == 0 {
				dst = binary.LittleEndian.AppendUint32(dst, sum)
				sum, room = 0, Chunk
			}
		}
	}
	if room < Chunk {
		dst = binary.LittleEndian.AppendUint32(dst, sum)
	}
	return dst
}

// Size is the size of the record with its padding, in octets.
func (d *Draft) Size() int64 {
	d.Header.Targets = uint16(len(d.Targets)) //nolint:gosec // at most MaxTargets
	return d.Header.Size()
}

// Append appends the record without its body and the padding, for a place and with a sequence number.
func (d *Draft) Append(dst []byte, salt Salt, unit uint32, seq uint64) []byte {
	h := &d.Header
	h.Unit, h.Seq, h.Targets = unit, seq, uint16(len(d.Targets)) //nolint:gosec // at most MaxTargets
	targets := make([]byte, 0, 12*len(d.Targets))
	for _, t := range d.Targets {
		targets = binary.LittleEndian.AppendUint64(targets, t.Segment)
		targets = binary.LittleEndian.AppendUint32(targets, t.Unit)
	}
	h.metaSum = update(salt.sum(targets), d.rest)
	dst = appendHeader(dst, h, salt)
	return append(append(dst, targets...), d.rest...)
}

// View is a record's meta data, as a view of the octets that it was read from.
type View struct {
	Header                    Header
	Key, Variant, URL         []byte
	targets, tags, head, sums []byte
}

// ParseMeta checks the h.Meta() octets behind the fixed part, which it keeps.
func ParseMeta(h Header, meta []byte, salt Salt) (View, error) {
	if int64(len(meta)) < h.Meta() || salt.sum(meta[:h.Meta()]) != h.metaSum {
		return View{}, ErrDamaged
	}
	v := View{Header: h}
	cut := func(n int64) (part []byte) {
		part, meta = meta[:n:n], meta[n:]
		return part
	}
	v.targets = cut(12 * int64(h.Targets))
	v.Key, v.Variant, v.URL = cut(int64(h.Key)), cut(int64(h.Variant)), cut(int64(h.URL))
	v.tags, v.head, v.sums = cut(8*int64(h.Tags)), cut(int64(h.Head)), cut(4*h.sums())
	return v, nil
}

// Is reports whether the record is one of a key and variant.
func (v *View) Is(key cdn.CacheKey, variant string) bool {
	return string(v.Key) == string(key) && string(v.Variant) == variant
}

// Targets returns what records the record takes the place of.
func (v *View) Targets() []Place {
	places := make([]Place, v.Header.Targets)
	for i := range places {
		b := v.targets[12*i:]
		places[i] = Place{Segment: binary.LittleEndian.Uint64(b), Unit: binary.LittleEndian.Uint32(b[8:])}
	}
	return places
}

// Check reports whether chunk i of the body is what was written. It may be shorter than a chunk only at the end of the body.
func (v *View) Check(i int, chunk []byte) bool {
	return 4*i < len(v.sums) && Sum(chunk) == binary.LittleEndian.Uint32(v.sums[4*i:])
}

// CheckBody reports whether body is the whole body as it was written.
func (v *View) CheckBody(body []byte) bool {
	if int64(len(body)) != v.Header.Body {
		return false
	}
	for i := 0; len(body) > 0; i++ {
		n := min(len(body), Chunk)
		if !v.Check(i, body[:n]) {
			return false
		}
		body = body[n:]
	}
	return true
}

// Response decodes the head.
func (v *View) Response() (*httpcache.Response, error) { return httpcache.DecodeResponse(v.head) }

// Object makes the object of the record, with that head, which is the record's, and body.
func (v *View) Object(head *httpcache.Response, body store.Body) *store.Object {
	h := &v.Header
	o := &store.Object{
		ID: store.ID(h.ID), Key: cdn.CacheKey(v.Key), Variant: string(v.Variant), Born: store.Epoch(h.Born), URL: string(v.URL),
		Response: head, Body: body, Start: h.Start, Length: h.Length,
		Sliced: h.Flags&Sliced != 0, Doubtful: h.Flags&Doubtful != 0, Memo: new(store.Memo),
	}
	for tags := v.tags; len(tags) > 0; tags = tags[8:] {
		o.Tags = append(o.Tags, binary.LittleEndian.Uint64(tags))
	}
	return o
}

// Again makes a draft of the same object for another place: with the same octets, and other targets.
func (v *View) Again(targets ...Place) *Draft {
	d := &Draft{Header: v.Header, Targets: targets}
	d.Header.Flags &^= Blind
	for _, part := range [...][]byte{v.Key, v.Variant, v.URL, v.tags, v.head, v.sums} {
		d.rest = append(d.rest, part...)
	}
	return d
}
