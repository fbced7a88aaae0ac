package index

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pageOctets is what tables are sized in. Where pages are larger, Bytes is a little too small.
const pageOctets = 4096

// region is memory for one table, all zeros at first. It stays readable and writable for as long as anybody has a pointer to the region.
type region struct{ octets []byte }

// memory is where regions come from.
type memory interface {
	take(octets int) (*region, error)
	// drop gives the pages back at once. Others may still read the region and must not trust what they find.
	drop(r *region)
}

// mapped is memory that the garbage collector does not know. Pages that are dropped are given back at once, their addresses when
// the collector finds that no reader has the region any more: a late reader sees zeros, never a fault.
type mapped struct{}

func (mapped) take(octets int) (*region, error) {
	b, err := unix.Mmap(-1, 0, octets, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("map %d octets for the index of the disks: %w", octets, err)
	}
	wide(b)
	r := &region{octets: b}
	runtime.AddCleanup(r, func(b []byte) {
		_ = unix.Munmap(b) // it is mapped, and nothing could be done about it
	}, b)
	return r, nil
}

func (mapped) drop(r *region) {
	_ = unix.Madvise(r.octets, unix.MADV_DONTNEED) // if it fails, the pages go with the addresses
	runtime.KeepAlive(r)
}

// bucketsOf returns the region as buckets.
func bucketsOf(r *region) []bucket {
	return unsafe.Slice((*bucket)(unsafe.Pointer(unsafe.SliceData(r.octets))), len(r.octets)/bucketOctets)
}
