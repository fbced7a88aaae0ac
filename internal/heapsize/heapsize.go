// Package heapsize tells how much memory allocations really take: the runtime rounds them up to classes of its own, by an eighth at worst, and
// a map has room that is not used.
//
// It is for budgets of memory that have to be kept. It is not for what lies on stacks or outside of the heap.
package heapsize

import (
	"math/bits"
	"slices"
)

const (
	largest   = 32 << 10 // octets of the largest allocation that has a class
	pageSize  = 8 << 10  // larger ones take whole pages
	headless  = 512      // octets of the largest allocation with pointers that needs no header
	headSize  = 8
	mapSize   = 48 // octets of a map's own, of a table in it, and of the word that goes with a group of slots
	tableSize = 48
	wordSize  = 8
	groupSize = 8 // slots of a group
	fullGroup = 7 // of them used on average when a map grows
)

// classes are the sizes that the runtime rounds up to, ascending.
var classes = findClasses() //nolint:gochecknoglobals // immutable

// findClasses asks the runtime, which grows slices to the ends of classes.
func findClasses() (classes []int) {
	for n := 1; n <= largest; {
		n = cap(append([]byte(nil), make([]byte, n)...))
		classes = append(classes, n)
		n++
	}
	return classes
}

// Of is the memory of an allocation of n octets without pointers. None takes none.
func Of(n int) int64 {
	switch {
	case n <= 0:
		return 0
	case n > largest:
		return (int64(n) + pageSize - 1) &^ (pageSize - 1)
	}
	i, _ := slices.BinarySearch(classes, n)
	return int64(classes[i])
}

// Pointers is the memory of an allocation of n octets with pointers among them.
func Pointers(n int) int64 {
	if n > headless && n <= largest-headSize {
		n += headSize
	}
	return Of(n)
}

// Map is the memory of a map that was made for n entries, whose keys and values together take slot octets each. What they point to is not
// counted.
func Map(n, slot int) int64 {
	group := wordSize + groupSize*slot
	switch {
	case n == 0:
		return mapSize
	case n <= groupSize:
		return mapSize + Pointers(group)
	}
	slots := 1 << bits.Len(uint(n*groupSize/fullGroup-1))
	return mapSize + tableSize + wordSize + Pointers(slots/groupSize*group)
}
