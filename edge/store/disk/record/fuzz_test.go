package record_test

import (
	"bytes"
	"testing"

	"nearcast/edge/store/disk/record"
)

// FuzzRecord: whatever octets there are, a record is read from them that is written the same again, or none; and no
// buffer is asked for that is larger than what may be in a segment.
func FuzzRecord(f *testing.F) {
	f.Add(written(f, object(300)), uint32(16))
	f.Add(written(f, object(0), record.Place{Segment: 1}), uint32(16))
	f.Add(make([]byte, 512), uint32(0))
	f.Fuzz(func(t *testing.T, b []byte, unit uint32) {
		reseal(b)
		h, err := record.ParseHeader(b, salt, unit)
		if err != nil {
			return
		}
		if h.Meta() > record.MaxMeta || h.Size() < record.HeaderSize {
			t.Fatalf("a header with %d octets of meta data, %d in all", h.Meta(), h.Size())
		}
		if int64(len(b)) < h.BodyOffset() {
			return
		}
		v, err := record.ParseMeta(h, b[record.HeaderSize:], salt)
		if err != nil {
			return
		}
		v.Targets()
		v.CheckBody(b[h.BodyOffset():])
		if _, err := v.Response(); err != nil {
			return
		}
		d := v.Again(v.Targets()...)
		again := d.Append(nil, salt, unit, h.Seq)
		if h.Flags&record.Blind == 0 && !bytes.Equal(again[record.HeaderSize:], b[record.HeaderSize:h.BodyOffset()]) {
			t.Error("the same record has other octets")
		}
	})
}

// reseal makes the checksum of a header right, so that what is behind it is reached.
func reseal(b []byte) {
	if len(b) >= record.HeaderSize {
		record.Reseal(b, salt)
	}
}

// FuzzFooter: whatever octets there are, entries are read from them that are within the segment, or none.
func FuzzFooter(f *testing.F) {
	f.Add(record.AppendFooter(nil, entries(), record.Trailer{Tail: 8192}, salt), int64(1<<20))
	f.Add(make([]byte, 200), int64(200))
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		if len(b) < record.TrailerSize {
			return
		}
		at := len(b) - record.TrailerSize
		record.ResealTrailer(b, salt)
		tr, err := record.ParseTrailer(b[at:], salt, size)
		if err != nil {
			return
		}
		if record.FooterSize(int(tr.Count))+tr.Tail > size {
			t.Fatalf("%d entries in a segment of %d octets", tr.Count, size)
		}
		got, err := record.ParseEntries(nil, b[:at], tr, salt)
		if err != nil {
			return
		}
		for _, e := range got {
			if e.Kind != record.Also && (int64(e.Unit)+int64(e.Units))*record.Unit > tr.Tail {
				t.Errorf("an entry beyond the end: %+v", e)
			}
		}
		if again := record.AppendFooter(nil, got, tr, salt); len(again) != len(b) {
			t.Error("the same footer has other octets")
		}
	})
}

// FuzzSuper: whatever octets there are, nothing worse than an error comes of them.
func FuzzSuper(f *testing.F) {
	b, _ := record.Super{Disk: identity, Serial: 2}.Slot()
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := record.ParseSuper(b)
		if err != nil {
			return
		}
		slot, _ := s.Slot()
		if got, err := record.ParseSuper(slot); err != nil || got != s {
			t.Errorf("written %+v, read %+v, %v", s, got, err)
		}
	})
}
