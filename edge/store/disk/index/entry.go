package index

import (
	"math/bits"
	"time"
)

// Unit is what offsets count in, in octets: records begin at multiples of it.
const Unit = 256

// Bounds of a [Location].
const (
	MaxSegment = 1<<24 - 1 // numbers of segments are used again
	MaxOffset  = 1<<20 - 1 // in units: 256 MiB
)

// MaxFrequency is where the count of uses stays.
const MaxFrequency = 3

// Location is where a record begins. No two records that exist have the same.
type Location struct {
	Segment uint32 // at most MaxSegment
	Offset  uint32 // in units of Unit octets, at most MaxOffset
}

// Flags say of a record what one wants to know before reading it.
type Flags uint8

// The flags. The other bits are the caller's to define; all eight are kept.
const (
	Varies Flags = 1 << iota // there may be others with the same key, of which the request's fields select
	Sliced                   // the body is in other records
)

// Entry is what is known of a record without reading it.
type Entry struct {
	Location
	Class     uint8  // of the record's size, see SizeClass
	Frequency uint8  // uses, 0 to MaxFrequency
	Flags     Flags  // all bits are kept
	Expiry    Expiry // when the record is of no use any more
}

// sizeUnit is the smallest size class above none, in octets.
const sizeUnit = 512

// SizeClass returns the class of records of n octets, 0 to 256 MiB: the smallest whose Octets are at least n. Less than 0 counts as 0, more
// than 256 MiB, which no segment holds, as 256 MiB.
//
// A class is a floating-point number of 4 bits of exponent and 4 of mantissa, in units of 512 octets, so it is never more than 1/16 (or 511
// octets) too large. The last class is rounded up to all of a segment.
func SizeClass(n int64) uint8 {
	n = min(max(n, 0), Octets(255))
	units := uint64(n+sizeUnit-1) / sizeUnit
	if units < 32 {
		return uint8(units) // the first two exponents are exact
	}
	shift := bits.Len64(units) - 5
	mantissa := (units + 1<<shift - 1) >> shift // 16 to 32; a carry goes to the exponent by itself
	return uint8(min(uint64(shift)<<4+mantissa, 255))
}

// Octets returns the largest size of a class: so much is to be read for one read to fetch the record, but for the end of its segment.
func Octets(class uint8) int64 {
	if class == 255 {
		return (MaxOffset + 1) * Unit
	}
	exponent, mantissa := class>>4, int64(class&15)
	if exponent == 0 {
		return mantissa * sizeUnit
	}
	return (16 + mantissa) << (exponent - 1) * sizeUnit
}

// Expiry is a coarse instant: Unix time in units of 1024 s (17 minutes), rounded up, modulo 2^16. It tells what lies up to 388 days behind
// from what lies up to 388 days ahead; what is further behind seems to lie ahead again, so it is a reason to drop a record early, and no
// proof that one is fresh. 0 is none: it never passes.
type Expiry uint16

const expiryUnit = 1024 // seconds

// ExpiryAt returns the coarse form of at. It never passes before at does: more than 387 days after now, it is none. More than 387 days before
// now, it is one that has passed.
func ExpiryAt(now, at time.Time) Expiry {
	const far = (1<<15 - 64) * expiryUnit
	seconds, ahead := at.Unix(), at.Unix()-now.Unix()
	if at.Nanosecond() > 0 {
		seconds++
	}
	switch {
	case ahead > far:
		return 0
	case ahead < -far:
		seconds = now.Unix() - expiryUnit
	}
	// A number that happens to be 0 is put off by a unit.
	return max(Expiry((seconds+expiryUnit-1)/expiryUnit), 1)
}

// Passed reports whether the instant is behind now.
func (e Expiry) Passed(now time.Time) bool {
	return e != 0 && int16(uint16(now.Unix()/expiryUnit)-uint16(e)) >= 0
}

// An entry is kept in two words. The place word alone says which record it is, and 0 is no entry, so that one compare-and-swap counts a use:
//
//	place: used 1 | 0 1 | flags 8 | frequency 2 | class 8 | offset 20 | segment 24
//	name:  tag 32 | 0 16 | expiry 16
const (
	offsetAt    = 24
	classAt     = 44
	frequencyAt = 52
	flagsAt     = 54
	usedAt      = 63
	tagAt       = 32

	locationMask  = 1<<classAt - 1
	frequencyMask = MaxFrequency << frequencyAt
)

func (l Location) valid() bool  { return l.Segment <= MaxSegment && l.Offset <= MaxOffset }
func (l Location) word() uint64 { return uint64(l.Offset)<<offsetAt | uint64(l.Segment) }

// place returns the place word of e, whose location is valid.
func (e Entry) place() uint64 {
	return 1<<usedAt | uint64(e.Flags)<<flagsAt | uint64(min(e.Frequency, MaxFrequency))<<frequencyAt |
		uint64(e.Class)<<classAt | e.word()
}

func (e Entry) name(tag uint32) uint64 { return uint64(tag)<<tagAt | uint64(e.Expiry) }

func unpack(name, place uint64) Entry {
	var e Entry
	e.set(name, place)
	return e
}

func (e *Entry) set(name, place uint64) {
	e.Segment, e.Offset = uint32(place&MaxSegment), uint32(place>>offsetAt&MaxOffset)
	e.Class = uint8(place >> classAt)
	e.Frequency = uint8(place >> frequencyAt & MaxFrequency)
	e.Flags = Flags(place >> flagsAt)
	e.Expiry = Expiry(name)
}

func tagOf(name uint64) uint32 { return uint32(name >> tagAt) }
