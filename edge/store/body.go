package store

import (
	"iter"
	"slices"
)

// Body is content in pieces, as it arrived, or an extent of a file, or both. Its octets are immutable. The zero
// value is empty.
type Body struct {
	pieces [][]byte
	size   int64
	extent Extent // nil if the octets are in pieces only
	offset int64  // in extent
}

// Extent is octets in a file of a disk tier, which have been found to be right a short while ago. Its methods may be called
// from any goroutine. Extents are comparable, such as pointers.
type Extent interface {
	// Use calls f with the descriptor of the file and the offset of the first octet in it, both good until f returns, which
	// must be soon. It reports false, without a call, if the room has been given to something else.
	Use(f func(fd int, offset int64)) bool
	// ReadAt reads octets at an offset from the first, for when Use does not help. It implements [io.ReaderAt].
	ReadAt(p []byte, off int64) (int, error)
	// Hold keeps the octets, whatever the room is wanted for, until Release or for half a minute, unless the disk fails. It reports false if they are
	// not there any more. Few rooms are kept at a time: the disk's size is not exceeded for it.
	Hold() bool
	// Release ends a Hold.
	Release()
}

// NewExtentBody makes a Body of the first size octets of an extent. Such a body has no pieces: Slice yields
// nothing of it. Only a [Lookup] that says File gets one.
func NewExtentBody(e Extent, size int64) Body { return Body{extent: e, size: size} }

// WithExtent returns the body as one that is in a file as well; nil means that it is not.
func (b Body) WithExtent(e Extent) Body {
	b.extent, b.offset = e, 0
	return b
}

// Extent returns the file that the octets are in, and where in the extent they begin; nil if they are in memory only.
func (b Body) Extent() (e Extent, offset int64) { return b.extent, b.offset }

// InMemory reports whether Slice yields the octets.
func (b Body) InMemory() bool { return b.extent == nil || b.pieces != nil || b.size == 0 }

// NewBody makes a Body of pieces, which it keeps.
func NewBody(pieces ...[]byte) Body {
	b := Body{pieces: pieces}
	for _, p := range pieces {
		b.size += int64(len(p))
	}
	return b
}

// same reports whether both are made of the same octets in the same place.
func (b Body) same(other Body) bool {
	return b.size == other.size && b.extent == other.extent && b.offset == other.offset &&
		len(b.pieces) == len(other.pieces) && (len(b.pieces) == 0 || &b.pieces[0] == &other.pieces[0])
}

// Len returns the number of octets.
func (b Body) Len() int64 { return b.size }

// Append returns the body with the octets of other behind its own. Both must be in memory.
func (b Body) Append(other Body) Body {
	return NewBody(slices.Concat(b.pieces, other.pieces)...)
}

// maxPieces is how many pieces a body may have before [Body.Compact] makes one of them.
const maxPieces = 16

// Compact returns the body with its octets copied into one piece if they are in many, as they
// are when they came in small reads.
func (b Body) Compact() Body {
	if len(b.pieces) <= maxPieces {
		return b
	}
	return NewBody(slices.Concat(b.pieces...))
}

// Cut returns the octets from offset start, length in number. What lies beyond the end is left out.
func (b Body) Cut(start, length int64) Body {
	start = min(start, b.size)
	return Body{
		pieces: slices.Collect(b.Slice(start, length)), size: min(length, b.size-start),
		extent: b.extent, offset: b.offset + start,
	}
}

// AppendTo appends the pieces that [Body.Slice] yields.
func (b Body) AppendTo(pieces [][]byte, start, length int64) [][]byte {
	for p := range b.Slice(start, length) {
		pieces = append(pieces, p)
	}
	return pieces
}

// Slice yields the octets from offset start, length in number, in pieces that must
// not be written to. What lies beyond the end is left out.
func (b Body) Slice(start, length int64) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		skip, left := start, length
		for _, p := range b.pieces {
			if skip >= int64(len(p)) {
				skip -= int64(len(p))
				continue
			}
			p = p[skip:]
			skip = 0
			p = p[:min(int64(len(p)), left)]
			if len(p) == 0 || !yield(p) {
				return
			}
			left -= int64(len(p))
		}
	}
}
