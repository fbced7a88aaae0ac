// Package record is the byte format of the disk tier: what a segment file consists of, and the superblock of a disk.
// Numbers are little-endian. Every part carries a CRC32C, those of a segment salted with the identity of the disk and the
// number of the segment, so that octets which belong elsewhere are never taken for good.
//
// It does no I/O and decides nothing: it turns values into octets and octets, however damaged, into values or errors.
package record

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

const (
	// Unit is what records are aligned to, and their places counted in, in octets.
	Unit = 256
	// HeaderSize is the size of a record's fixed part, in octets.
	HeaderSize = 128
	// Chunk is how much of a body has a checksum of its own, in octets.
	Chunk = 64 << 10
	// MaxMeta bounds what is between a record's fixed part and its body, in octets.
	MaxMeta = 1 << 20
	// MaxTargets is how many records one record may take the place of.
	MaxTargets = 64

	version = 1
	magic   = 0x5243434e // "NCCR"
)

// ErrDamaged says that octets are not what was once written.
var ErrDamaged = errors.New("record: damaged")

// ErrNone says that there is no record at a place: nothing has been written there.
var ErrNone = errors.New("record: nothing written here")

// Kind says what a record or an entry of a footer is.
type Kind uint8

// The kinds.
const (
	Object    Kind = 1 // a stored object
	Tombstone Kind = 2 // its targets are no more
	Also      Kind = 3 // in footers only: one more target of the entry before
)

// Flags are properties of a record.
type Flags uint16

// The flags.
const (
	Sliced   Flags = 1 << iota // as in [store.Object]
	Doubtful                   // as in [store.Object]
	Varies                     // selected by request fields
	Blind                      // written before everything on the disk was known: it takes the place of all of its identity that are older
	All                        // of a blind tombstone: of all of its key and variant
)

// Place is where on a disk a record is.
type Place struct {
	Segment uint64 // its number; none is used twice
	Unit    uint32 // offset in the file, in units
}

// Header is the fixed part of a record.
type Header struct {
	Kind   Kind
	Flags  Flags
	Hash   uint64 // of the key, keyed with the seed of the disk
	Seq    uint64 // the order in which records were written, over all disks
	ID     uint64 // the content's; of a tombstone the Seq of the record that it speaks for, or 0 for its own
	Born   uint64 // epoch of purges
	Start  int64  // as in [store.Object]
	Length int64  // as in [store.Object]
	Body   int64  // size of the body in the record, in octets
	Expiry uint32 // when the record is of no use any more, in Unix seconds; 0: never
	Unit   uint32 // the record's own place

	Key, Variant, URL, Head uint32 // sizes in octets
	Tags, Targets           uint16 // numbers of

	metaSum uint32
}

// Meta is the size of what is between the fixed part and the body, in octets.
func (h *Header) Meta() int64 {
	return 12*int64(h.Targets) + int64(h.Key) + int64(h.Variant) + int64(h.URL) + 8*int64(h.Tags) + int64(h.Head) + 4*h.sums()
}

func (h *Header) sums() int64 { return (h.Body + Chunk - 1) / Chunk }

// Size is the size of the whole record with its padding, in octets.
func (h *Header) Size() int64 { return align(HeaderSize + h.Meta() + h.Body) }

// BodyOffset is where in the record the body begins.
func (h *Header) BodyOffset() int64 { return HeaderSize + h.Meta() }

func align(n int64) int64 { return (n + Unit - 1) &^ (Unit - 1) }

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// Sum is the CRC32C.
func Sum(b []byte) uint32 { return crc32.Checksum(b, castagnoli()) }

// appendHeader appends the fixed part:
//
//	  0  magic 4 | version 1 | kind 1 | flags 2
//	  8  hash 8 | sequence number 8 | content 8 | born 8
//	 40  start 8 | length 8 | size of the body 8
//	 64  expiry 4 | place 4 | sizes of key, variant, URL, head 4 each
//	 88  number of tags 2, of targets 2 | salted CRC32C of what is between here and the body 4
//	 96  zeros
//	124  salted CRC32C of octets 0 to 123
//
// Behind it come the targets (segment 8, place 4 each), key, variant, URL, tags (8 each), head, a CRC32C (4) of each 64 KiB of the body, the
// body, and zeros up to a multiple of 256.
func appendHeader(dst []byte, h *Header, salt Salt) []byte {
	at := len(dst)
	le := binary.LittleEndian
	dst = le.AppendUint32(dst, magic)
	dst = append(dst, version, byte(h.Kind))
	dst = le.AppendUint16(dst, uint16(h.Flags))
	dst = le.AppendUint64(dst, h.Hash)
	dst = le.AppendUint64(dst, h.Seq)
	dst = le.AppendUint64(dst, h.ID)
	dst = le.AppendUint64(dst, h.Born)
	dst = le.AppendUint64(dst, uint64(h.Start))  //nolint:gosec // the same bits
	dst = le.AppendUint64(dst, uint64(h.Length)) //nolint:gosec // the same bits
	dst = le.AppendUint64(dst, uint64(h.Body))   //nolint:gosec // never negative
	for _, n := range [...]uint32{h.Expiry, h.Unit, h.Key, h.Variant, h.URL, h.Head} {
		dst = le.AppendUint32(dst, n)
	}
	dst = le.AppendUint16(dst, h.Tags)
	dst = le.AppendUint16(dst, h.Targets)
	dst = le.AppendUint32(dst, h.metaSum)
	dst = append(dst, make([]byte, HeaderSize-4-(len(dst)-at))...)
	return le.AppendUint32(dst, salt.sum(dst[at:]))
}

// ParseHeader reads the fixed part of the record that should be at a place, from its first [HeaderSize] octets.
// ErrNone means that it begins with zeros.
func ParseHeader(b []byte, salt Salt, unit uint32) (Header, error) {
	le := binary.LittleEndian
	if len(b) < HeaderSize {
		return Header{}, ErrDamaged
	}
	b = b[:HeaderSize]
	if le.Uint64(b) == 0 && le.Uint64(b[8:]) == 0 {
		return Header{}, ErrNone
	}
	if le.Uint32(b) != magic || b[4] != version || le.Uint32(b[HeaderSize-4:]) != salt.sum(b[:HeaderSize-4]) {
		return Header{}, ErrDamaged
	}
	h := Header{
		Kind: Kind(b[5]), Flags: Flags(le.Uint16(b[6:])), Hash: le.Uint64(b[8:]), Seq: le.Uint64(b[16:]),
		ID: le.Uint64(b[24:]), Born: le.Uint64(b[32:]),
		Start: int64(le.Uint64(b[40:])), Length: int64(le.Uint64(b[48:])), Body: int64(le.Uint64(b[56:])), //nolint:gosec // the same bits
		Expiry: le.Uint32(b[64:]), Unit: le.Uint32(b[68:]),
		Key: le.Uint32(b[72:]), Variant: le.Uint32(b[76:]), URL: le.Uint32(b[80:]), Head: le.Uint32(b[84:]),
		Tags: le.Uint16(b[88:]), Targets: le.Uint16(b[90:]), metaSum: le.Uint32(b[92:]),
	}
	if h.Unit != unit || !h.plausible() {
		return Header{}, ErrDamaged
	}
	return h, nil
}

// plausible holds for all that this program writes; a checksum may be right by chance, and sizes make buffers.
func (h *Header) plausible() bool {
	return (h.Kind == Object || h.Kind == Tombstone) && h.Body >= 0 && h.Body <= 1<<32 &&
		h.Start >= 0 && h.Length >= -1 && h.Targets <= MaxTargets && h.Meta() <= MaxMeta
}
