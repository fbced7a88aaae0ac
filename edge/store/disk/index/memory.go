package index

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pageOctets is what tables are sized in. Where pages are larger, Bytes is a little too small.
const pageOctets = 4096

// hugeOctets is what a large page is that the kernel may use by itself, here and on most machines.
const hugeOctets = 2 << 20

// region is addresses for one table, all zeros at first. It stays readable and writable for as long as anybody has a pointer to the region.
type region struct{ octets []byte }

// memory is where regions come from.
type memory interface {
	take(octets int) (*region, error)
	// back says that a part of the region is about to be used: before that it takes no memory.
	back(r *region, from, to int)
	// drop gives the pages of a part back at once. Others may still read the region and must not trust what they find.
	drop(r *region, from, to int)
}

// mapped is memory that the garbage collector does not know. Pages that are dropped are given back at once, their addresses when
// the collector finds that no reader has the region any more: a late reader sees zeros, never a fault.
type mapped struct{}

// take begins large regions where a large page may begin.
func (mapped) take(octets int) (*region, error) {
	spare := 0
	if octets >= hugeOctets {
		spare = hugeOctets - pageOctets
	}
	all, err := unix.Mmap(-1, 0, octets+spare, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("map %d octets for the index of the disks: %w", octets, err)
	}
	b := all
	if spare > 0 {
		begin := int(-uintptr(unsafe.Pointer(unsafe.SliceData(all))) % hugeOctets)
		b = all[begin : begin+octets]
		wide(b[:octets/hugeOctets*hugeOctets])
	}
	r := &region{octets: b}
	runtime.AddCleanup(r, func(all []byte) {
		_ = unix.Munmap(all) // it is mapped, and nothing could be done about it
	}, all)
	return r, nil
}

func (mapped) back(r *region, from, to int) {
	populate(r.octets[from:to])
	runtime.KeepAlive(r)
}

func (mapped) drop(r *region, from, to int) {
	if from < to {
		_ = unix.Madvise(r.octets[from:to], unix.MADV_DONTNEED) // if it fails, the pages go with the addresses
	}
	runtime.KeepAlive(r)
}

// bucketsOf returns the region as buckets.
func bucketsOf(r *region) []bucket {
	return unsafe.Slice((*bucket)(unsafe.Pointer(unsafe.SliceData(r.octets))), len(r.octets)/bucketOctets)
}
