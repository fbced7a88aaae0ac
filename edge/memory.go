package edge

import (
	"cmp"

	"nearcast/cdn"
)

// fillShare is the part of the RAM that fills on their way may take.
const fillShare = 8

// A node whose RAM is full stays within this share of it and a fixed part of resident memory. The share is for garbage that waits for its collection
// and for room lost between objects. The fixed part is the program's text, the runtime, and a few thousand connections and requests under way.
const (
	residentPercent = 115
	residentFixed   = 96 << 20
	residentText    = 32 << 20 // of the fixed part, the program's text and libraries: the runtime does not know of them
)

// MemoryTarget is how much memory, in octets, the Go runtime of a node's process should stay within so that the node with so much RAM, zero
// meaning the default, keeps what is promised in docs/OPERATIONS.md.
func MemoryTarget(ram cdn.Size) uint64 {
	n := uint64(cmp.Or(int64(ram), defaultRAM))
	return n/100*residentPercent + residentFixed - residentText
}
