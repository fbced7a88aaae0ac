package record

import (
	"encoding/binary"
	"hash/crc32"
)

const (
	// SegmentHeaderSize is the size of what a segment file begins with, in octets.
	SegmentHeaderSize = 4096
	// EntrySize is the size of an entry in a footer, in octets.
	EntrySize = 48
	// TrailerSize is the size of what a segment file ends with, in octets.
	TrailerSize = 64

	segmentMagic = 0x3147455343454e // "NECSEG1"
	trailerMagic = 0x31544f4f46454e // "NEFOOT1"
)

// Identity tells a disk, or a set of them, from all others: random octets.
type Identity [16]byte

// Salt begins the checksums in a segment.
type Salt uint32

// NewSalt makes the salt of a segment.
func NewSalt(disk Identity, number uint64) Salt {
	var b [24]byte
	copy(b[:], disk[:])
	binary.LittleEndian.PutUint64(b[16:], number)
	return Salt(Sum(b[:]))
}

func (s Salt) sum(b []byte) uint32 { return update(uint32(s), b) }

func update(sum uint32, b []byte) uint32 { return crc32.Update(sum, castagnoli(), b) }

// AppendSegmentHeader appends, in 4096 octets: magic 8 | version 1 | class 1 | zeros 2 | disk 16 | number 8 | salted CRC32C 4 | zeros.
// That is what a segment file begins with: whose it is and what class of records it takes.
func AppendSegmentHeader(dst []byte, disk Identity, number uint64, class uint8) []byte {
	at := len(dst)
	dst = binary.LittleEndian.AppendUint64(dst, segmentMagic)
	dst = append(dst, version, class, 0, 0)
	dst = append(dst, disk[:]...)
	dst = binary.LittleEndian.AppendUint64(dst, number)
	dst = binary.LittleEndian.AppendUint32(dst, NewSalt(disk, number).sum(dst[at:]))
	return append(dst, make([]byte, SegmentHeaderSize-(len(dst)-at))...)
}

// ParseSegmentHeader returns the class of a segment, if b begins with the header of that very segment.
func ParseSegmentHeader(b []byte, disk Identity, number uint64) (class uint8, err error) {
	const size = 8 + 4 + 16 + 8
	le := binary.LittleEndian
	switch {
	case len(b) < size+4:
		return 0, ErrDamaged
	case le.Uint64(b) == 0 && le.Uint32(b[size:]) == 0:
		return 0, ErrNone
	case le.Uint64(b) != segmentMagic || b[8] != version || Identity(b[12:28]) != disk || le.Uint64(b[28:]) != number,
		le.Uint32(b[size:]) != NewSalt(disk, number).sum(b[:size]):
		return 0, ErrDamaged
	}
	return b[9], nil
}

// Entry is a record as the footer knows it.
type Entry struct {
	Kind   Kind
	Flags  Flags
	Hash   uint64
	Seq    uint64 // as in [Header]; of a tombstone that of the record it speaks for: it says nothing of what was written later in the places of its targets
	Unit   uint32 // its place in the segment
	Units  uint32 // its size
	Expiry uint32 // as in [Header]
	Target Place  // the first one; further ones follow in entries of their own. Segment 0: none
}

// Trailer is the end of a segment file. The entries are before it.
type Trailer struct {
	Sealed bool   // the segment takes no more records; else it has been closed in order and may be filled further
	Class  uint8  // as in the segment's header
	Count  uint32 // number of entries
	Tail   int64  // where the records end, in octets
	Expiry uint32 // when the last record is of no use any more; 0: never

	entries uint32 // checksum
}

// FooterSize is the size of entries and trailer, in octets.
func FooterSize(entries int) int64 { return int64(entries)*EntrySize + TrailerSize }

// AppendFooter appends entries and trailer. An entry:
//
//	 0  hash 8 | sequence number 8 | place 4 | size in units 4 | expiry 4 | flags 2 | kind 1 | zero 1
//	32  target: segment 8, place 4 | zeros 4
//
// The trailer, which is the end of the file:
//
//	 0  magic 8 | version 1 | sealed 1 | class 1 | zero 1 | number of entries 4 | end of the records 8
//	24  expiry 4 | salted CRC32C of the entries 4 | zeros
//	60  salted CRC32C of octets 0 to 59
func AppendFooter(dst []byte, entries []Entry, t Trailer, salt Salt) []byte {
	at := len(dst)
	le := binary.LittleEndian
	for i := range entries {
		dst = appendEntry(dst, &entries[i])
	}
	t.entries = salt.sum(dst[at:])
	at = len(dst)
	dst = le.AppendUint64(dst, trailerMagic)
	sealed := byte(0)
	if t.Sealed {
		sealed = 1
	}
	dst = append(dst, version, sealed, t.Class, 0)
	dst = le.AppendUint32(dst, uint32(len(entries))) //nolint:gosec // a segment has far fewer
	dst = le.AppendUint64(dst, uint64(t.Tail))       //nolint:gosec // never negative
	dst = le.AppendUint32(dst, t.Expiry)
	dst = le.AppendUint32(dst, t.entries)
	dst = append(dst, make([]byte, TrailerSize-4-(len(dst)-at))...)
	return le.AppendUint32(dst, salt.sum(dst[at:]))
}

func appendEntry(dst []byte, e *Entry) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint64(dst, e.Hash)
	dst = le.AppendUint64(dst, e.Seq)
	dst = le.AppendUint32(dst, e.Unit)
	dst = le.AppendUint32(dst, e.Units)
	dst = le.AppendUint32(dst, e.Expiry)
	dst = le.AppendUint16(dst, uint16(e.Flags))
	dst = append(dst, byte(e.Kind), 0)
	dst = le.AppendUint64(dst, e.Target.Segment)
	dst = le.AppendUint32(dst, e.Target.Unit)
	return le.AppendUint32(dst, 0)
}

// ParseTrailer reads the last [TrailerSize] octets of a segment file of that size. ErrNone means that there is no footer yet.
func ParseTrailer(b []byte, salt Salt, size int64) (Trailer, error) {
	le := binary.LittleEndian
	if len(b) != TrailerSize {
		return Trailer{}, ErrDamaged
	}
	if le.Uint64(b) == 0 && le.Uint32(b[TrailerSize-4:]) == 0 {
		return Trailer{}, ErrNone
	}
	if le.Uint64(b) != trailerMagic || b[8] != version || le.Uint32(b[TrailerSize-4:]) != salt.sum(b[:TrailerSize-4]) {
		return Trailer{}, ErrDamaged
	}
	t := Trailer{
		Sealed: b[9] != 0, Class: b[10], Count: le.Uint32(b[12:]), Tail: int64(le.Uint64(b[16:])), //nolint:gosec // checked below
		Expiry: le.Uint32(b[24:]), entries: le.Uint32(b[28:]),
	}
	if t.Tail < SegmentHeaderSize || t.Tail%Unit != 0 || t.Tail+FooterSize(int(t.Count)) > size {
		return Trailer{}, ErrDamaged
	}
	return t, nil
}

// ParseEntries reads the entries before a trailer. dst is used for them if it has room.
func ParseEntries(dst []Entry, b []byte, t Trailer, salt Salt) ([]Entry, error) {
	if int64(len(b)) != int64(t.Count)*EntrySize || salt.sum(b) != t.entries {
		return nil, ErrDamaged
	}
	if cap(dst) < int(t.Count) {
		dst = make([]Entry, 0, t.Count)
	}
	dst = dst[:0]
	le := binary.LittleEndian
	for ; len(b) > 0; b = b[EntrySize:] {
		e := Entry{
			Hash: le.Uint64(b), Seq: le.Uint64(b[8:]), Unit: le.Uint32(b[16:]), Units: le.Uint32(b[20:]), Expiry: le.Uint32(b[24:]),
			Flags: Flags(le.Uint16(b[28:])), Kind: Kind(b[30]),
			Target: Place{Segment: le.Uint64(b[32:]), Unit: le.Uint32(b[40:])},
		}
		end := (int64(e.Unit) + int64(e.Units)) * Unit
		if e.Kind < Object || e.Kind > Also || e.Kind != Also && (e.Units == 0 || end > t.Tail) {
			return nil, ErrDamaged
		}
		dst = append(dst, e)
	}
	return dst, nil
}

// AppendEntries appends what the footer says of a record.
func AppendEntries(dst []Entry, h *Header, targets []Place) []Entry {
	e := Entry{
		Kind: h.Kind, Flags: h.Flags, Hash: h.Hash, Seq: h.Seq, Unit: h.Unit, Units: uint32(h.Size() / Unit), Expiry: h.Expiry, //nolint:gosec // bounded by the segment
	}
	if h.Kind == Tombstone && h.ID != 0 {
		e.Seq = h.ID
	}
	if len(targets) > 0 {
		e.Target = targets[0]
		targets = targets[1:]
	}
	dst = append(dst, e)
	for _, t := range targets {
		dst = append(dst, Entry{Kind: Also, Hash: e.Hash, Seq: e.Seq, Target: t})
	}
	return dst
}
