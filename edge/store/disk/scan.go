package disk

import (
	"errors"

	"nearcast/edge/store/disk/record"
)

// trailer reads the end of a segment.
func (v *volume) trailer(g *segment) (record.Trailer, error) {
	if g.size < record.SegmentHeaderSize+record.TrailerSize {
		return record.Trailer{}, record.ErrDamaged
	}
	b := make([]byte, record.TrailerSize)
	if err := v.read(g, b, g.size-record.TrailerSize); err != nil {
		return record.Trailer{}, err
	}
	return record.ParseTrailer(b, g.salt, g.size)
}

// footer reads the entries that a trailer speaks of.
func (v *volume) footer(g *segment, t record.Trailer) ([]record.Entry, error) {
	b := make([]byte, int64(t.Count)*record.EntrySize)
	if err := v.read(g, b, g.size-record.FooterSize(int(t.Count))); err != nil {
		return nil, err
	}
	return record.ParseEntries(nil, b, t, g.salt)
}

// entries returns what is in a segment, whether it is sealed or not.
func (v *volume) entries(g *segment) ([]record.Entry, error) {
	if w := g.writer.Load(); w != nil {
		return w.list(), nil
	}
	t, err := v.trailer(g)
	if err == nil {
		var entries []record.Entry
		if entries, err = v.footer(g, t); err == nil {
			return entries, nil
		}
	}
	if !errors.Is(err, record.ErrNone) && !errors.Is(err, record.ErrDamaged) {
		return nil, err
	}
	if !g.spoilt.Swap(true) {
		v.counts.damaged.Add(1)
		v.log.Error("a segment's footer is damaged: it is read record by record", "segment", g.number)
	}
	entries, _, _, err := v.scan(g)
	if errors.Is(err, record.ErrNone) || errors.Is(err, record.ErrDamaged) {
		return nil, nil // nor is there anything else
	}
	return entries, err
}

// scan reads the heads of a segment's records, up to the first one that is not right or not newer than the one before: behind the end there may be
// what was there before a power cut. The last one counts only if its body is there too, since the process may have died in the midst of
// writing it: then it has not taken the place of anything.
func (v *volume) scan(g *segment) (entries []record.Entry, tail int64, c class, err error) {
	b := make([]byte, min(g.size, record.SegmentHeaderSize))
	if err := v.read(g, b, 0); err != nil {
		return nil, 0, 0, err
	}
	n, err := record.ParseSegmentHeader(b, v.super.Disk, g.number)
	if err != nil {
		return nil, 0, 0, err
	}
	tail = record.SegmentHeaderSize
	var last record.Header
	before := 0 // entries of those before the last one
	look := window{segment: g}
	for {
		h, targets, err := look.scanOne(tail)
		if err == nil && h.Seq > last.Seq {
			before = len(entries)
			entries = record.AppendEntries(entries, &h, targets)
			last = h
			tail += h.Size()
			continue
		}
		if err == nil || errors.Is(err, record.ErrNone) || errors.Is(err, record.ErrDamaged) {
			err = nil
			if last.Seq != 0 {
				err = v.whole(g, &last)
			}
			if errors.Is(err, record.ErrDamaged) {
				return entries[:before], tail - last.Size(), class(n), nil
			}
		}
		return entries, tail, class(n), err
	}
}

// whole reads all of a record.
func (v *volume) whole(g *segment, h *record.Header) error {
	f, err := v.look(g, v.entryOf(g, h))
	if err == nil {
		_, err = f.body()
	}
	return err
}

// window is a part of a segment that has been read at once: a read for each small record would take seconds.
type window struct {
	segment *segment
	off     int64
	b       []byte
}

const windowSize = 1 << 20

// at returns n octets at an offset, which must be in the segment. They are good until the next call.
func (w *window) at(off, n int64) ([]byte, error) {
	if off < w.off || off+n > w.off+int64(len(w.b)) {
		size := max(n, min(windowSize, w.segment.size-off))
		if int64(cap(w.b)) < size {
			w.b = make([]byte, size)
		}
		w.off, w.b = off, w.b[:size]
		if err := w.segment.volume.read(w.segment, w.b, off); err != nil {
			w.b = w.b[:0]
			return nil, err
		}
	}
	return w.b[off-w.off:][:n], nil
}

// scanOne returns the head of the record at an offset.
func (w *window) scanOne(off int64) (record.Header, []record.Place, error) {
	g := w.segment
	if g.size-off < record.HeaderSize {
		return record.Header{}, nil, record.ErrNone
	}
	b, err := w.at(off, record.HeaderSize)
	if err != nil {
		return record.Header{}, nil, err
	}
	h, err := record.ParseHeader(b, g.salt, uint32(off/record.Unit)) //nolint:gosec // within a segment
	if err != nil {
		return h, nil, err
	}
	if off+h.Size() > g.size-record.TrailerSize {
		return h, nil, record.ErrDamaged
	}
	if b, err = w.at(off, h.BodyOffset()); err != nil {
		return h, nil, err
	}
	view, err := record.ParseMeta(h, b[record.HeaderSize:], g.salt)
	if err != nil {
		return h, nil, err
	}
	return h, view.Targets(), nil
}
