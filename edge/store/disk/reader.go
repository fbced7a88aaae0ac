package disk

import (
	"errors"

	"nearcast/edge/store/disk/index"
	"nearcast/edge/store/disk/record"
)

const (
	// wholeRead is up to which size a record is fetched with its body in one read, in octets.
	wholeRead = 72 << 10
	// firstRead is what is fetched of larger ones first: the head, in most cases.
	firstRead = 8 << 10
)

// found is a record of which the head has been read.
type found struct {
	record.View
	volume  *volume
	segment *segment
	entry   entry
	raw     []byte // the record's octets, as far as they were read with the head
	err     error  // why the head could not be read
}

// look reads the head of a record, and its body if it is small. The segment's door must be held.
func (v *volume) look(g *segment, e entry) (*found, error) {
	size := index.Octets(e.Class)
	if size > wholeRead {
		size = firstRead
	}
	return v.lookUpTo(g, e, size)
}

// lookUpTo is look, but begins with a read of no more than so many octets.
func (v *volume) lookUpTo(g *segment, e entry, most int64) (*found, error) {
	off := int64(e.Offset) * record.Unit
	size := min(index.Octets(e.Class), most)
	if g.size-off < record.HeaderSize {
		return nil, record.ErrDamaged
	}
	raw := make([]byte, min(max(size, record.HeaderSize), g.size-off))
	if err := v.read(g, raw, off); err != nil {
		return nil, err
	}
	h, err := record.ParseHeader(raw, g.salt, e.Offset)
	if err != nil {
		return nil, record.ErrDamaged // an index that points at nothing as well
	}
	if need := h.BodyOffset(); need > int64(len(raw)) {
		have := len(raw)
		raw = append(raw, make([]byte, int(need)-have)...)
		if err := v.read(g, raw[have:], off+int64(have)); err != nil {
			return nil, err
		}
	}
	view, err := record.ParseMeta(h, raw[record.HeaderSize:], g.salt)
	if err != nil {
		return nil, err
	}
	return &found{View: view, volume: v, segment: g, entry: e, raw: raw[:min(int64(len(raw)), h.BodyOffset()+h.Body)]}, nil
}

// body returns the body, all of it checked. The segment's door must be held.
func (f *found) body() ([]byte, error) {
	from, size := f.Header.BodyOffset(), f.Header.Body
	body := f.raw[min(from, int64(len(f.raw))):]
	if have := int64(len(body)); have < size {
		off := int64(f.entry.Offset)*record.Unit + from
		if off+size > f.segment.size {
			return nil, record.ErrDamaged
		}
		whole := make([]byte, size)
		copy(whole, body)
		if err := f.volume.read(f.segment, whole[have:], off+have); err != nil {
			return nil, err
		}
		body = whole
	}
	if !f.CheckBody(body) {
		return nil, record.ErrDamaged
	}
	return body, nil
}

// spoiled judges why a record could not be read: if it is damaged it is dropped, for good.
func (v *volume) spoiled(hash uint64, e entry, err error) {
	switch {
	case errors.Is(err, errGone), errors.Is(err, errBusy), v.dead():
	case errors.Is(err, record.ErrDamaged):
		if v.index.Remove(hash, e.Location) { // else its room has been given to another meanwhile
			v.counts.damaged.Add(1)
			v.log.Error("a damaged record was dropped", "segment", e.Segment, "offset", int64(e.Offset)*record.Unit)
		}
	default:
		v.misread(err)
	}
}
