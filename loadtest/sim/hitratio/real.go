package main

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"nearcast/cdn"
	"nearcast/edge/httpcache"
	objects "nearcast/edge/store"
	"nearcast/edge/store/disk"
	"nearcast/edge/store/tier"
	"nearcast/internal/fsys"
)

// realStore is the store that a node has, on a file system in memory, in which the zeros that bodies are made of take no room.
type realStore struct {
	tiers *tier.Store
	head  *httpcache.Response
	zeros []byte
	shell int64 // octets that an object takes besides its body
	scale int64 // what all sizes are multiplied by
}

// What a node keeps of an object besides its body counts in its memory. Beside the small sizes that some traces have, or the one octet
// of those without sizes, that would be most of it: so all sizes, those of the tiers among them, are multiplied until the mean object is
// large, and the largest not too large for a segment.
const (
	meanSize    = 256 << 10
	largestSize = 32 << 20
)

// scaleOf returns the factor for a trace.
func scaleOf(requests []request) int64 {
	sum, largest := int64(0), int64(1)
	for _, q := range requests {
		sum += q.size
		largest = max(largest, q.size)
	}
	mean := max(sum/int64(max(len(requests), 1)), 1)
	return max(min(meanSize/mean, largestSize/largest), 1)
}

// at is when everything in a replay happens.
var at = time.Unix(1_800_000_000, 0) //nolint:gochecknoglobals // a constant

func newReal(ramSize, diskSize, scale int64) (*realStore, error) {
	r := &realStore{zeros: make([]byte, objects.SliceSize), scale: scale}
	header := http.Header{"Content-Type": {"application/octet-stream"}}
	r.head = httpcache.NewResponse(httpcache.Request{Method: http.MethodGet}, http.StatusOK, header, at, at)
	var below *disk.Store
	if diskSize > 0 {
		var err error
		below, err = disk.Open(disk.Config{
			Disks: []disk.Disk{{Path: "/cache", Size: diskSize * scale}}, FS: fsys.NewMem(fsys.MemConfig{Safe: true}), Now: func() time.Time { return at },
		})
		if err != nil {
			return nil, fmt.Errorf("opening the disk: %w", err)
		}
	}
	var err error
	if r.tiers, err = tier.New(tier.Config{RAM: ramSize * scale, Disk: below}); err != nil {
		return nil, fmt.Errorf("making the store: %w", err)
	}
	o := r.object(0, 0)
	r.shell = o.Size()
	return r, nil
}

// object makes an object that takes size octets in all, or as many as it takes without a body.
func (r *realStore) object(id uint64, size int64) *objects.Object {
	o := &objects.Object{ID: objects.ID(id), Key: key(id), Response: r.head}
	for n := size - r.shell; ; n -= o.Size() - size { // memory comes in pieces of certain sizes
		o.Body = r.body(max(n, 0))
		if o.Length = o.Body.Len(); n <= 0 || o.Size() <= size {
			return o
		}
	}
}

func (r *realStore) body(n int64) objects.Body {
	var pieces [][]byte
	for n > 0 {
		part := min(n, int64(len(r.zeros)))
		pieces = append(pieces, r.zeros[:part:part])
		n -= part
	}
	return objects.NewBody(pieces...)
}

func key(id uint64) cdn.CacheKey { return cdn.CacheKey(strconv.FormatUint(id, 36)) }

func (r *realStore) request(id uint64, size int64) place {
	l := objects.Lookup{Key: key(id), Head: true}
	found := nowhere
	if r.tiers.InMemory(l) {
		found = inRAM
	}
	want := r.object(id, size*r.scale)
	o, _ := r.tiers.Get(objects.Lookup{Key: key(id)})
	switch {
	case o == nil:
		found = nowhere
	case found == nowhere:
		found = onDisk
	}
	if o == nil || o.Length != want.Length { // it is a hit still, as in other simulators
		r.tiers.Put(want, nil)
	}
	r.tiers.Settle()
	return found
}

func (r *realStore) written() int64 {
	n := int64(0)
	for _, d := range r.tiers.DiskStats().Disks {
		n += d.Written + d.Rewritten + d.Footers
	}
	return n / r.scale
}

func (r *realStore) close() { r.tiers.Close() }
