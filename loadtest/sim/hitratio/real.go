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

// real is the store that a node has, on a file system in memory, in which the zeros that bodies are made of take no room.
type real struct {
	tiers *tier.Store
	head  *httpcache.Response
	zeros []byte
	shell int64 // octets that an object takes besides its body
	disk  bool
}

// at is when everything in a replay happens.
var at = time.Unix(1_800_000_000, 0) //nolint:gochecknoglobals // a constant

func newReal(ramSize, diskSize int64) (*real, error) {
	r := &real{zeros: make([]byte, objects.SliceSize), disk: diskSize > 0}
	header := http.Header{"Content-Type": {"application/octet-stream"}}
	r.head = httpcache.NewResponse(httpcache.Request{Method: http.MethodGet}, http.StatusOK, header, at, at)
	var below *disk.Store
	if r.disk {
		var err error
		below, err = disk.Open(disk.Config{
			Disks: []disk.Disk{{Path: "/cache", Size: diskSize}}, FS: fsys.NewMem(fsys.MemConfig{Safe: true}), Now: func() time.Time { return at },
		})
		if err != nil {
			return nil, fmt.Errorf("opening the disk: %w", err)
		}
	}
	var err error
	if r.tiers, err = tier.New(tier.Config{RAM: ramSize, Disk: below}); err != nil {
		return nil, fmt.Errorf("making the store: %w", err)
	}
	o := r.object(0, 0)
	r.shell = o.Size()
	return r, nil
}

// object makes an object that takes size octets in all, or as many as it takes without a body.
func (r *real) object(id uint64, size int64) *objects.Object {
	o := &objects.Object{ID: objects.ID(id), Key: key(id), Response: r.head}
	for n := size - r.shell; ; n -= o.Size() - size { // memory comes in pieces of certain sizes
		o.Body = r.body(max(n, 0))
		if o.Length = o.Body.Len(); n <= 0 || o.Size() <= size {
			return o
		}
	}
}

func (r *real) body(n int64) objects.Body {
	var pieces [][]byte
	for n > 0 {
		part := min(n, int64(len(r.zeros)))
		pieces = append(pieces, r.zeros[:part:part])
		n -= part
	}
	return objects.NewBody(pieces...)
}

func key(id uint64) cdn.CacheKey { return cdn.CacheKey(strconv.FormatUint(id, 36)) }

func (r *real) request(id uint64, size int64) place {
	l := objects.Lookup{Key: key(id), Head: true}
	found := nowhere
	if r.tiers.InMemory(l) {
		found = inRAM
	}
	if o, _ := r.tiers.Get(objects.Lookup{Key: key(id)}); o != nil {
		if found == nowhere {
			found = onDisk
		}
	} else {
		found = nowhere
		r.tiers.Put(r.object(id, size), nil)
	}
	r.tiers.Settle()
	return found
}

func (r *real) written() int64 {
	n := int64(0)
	for _, d := range r.tiers.DiskStats().Disks {
		n += d.Written + d.Rewritten + d.Footers
	}
	return n
}

func (r *real) close() { r.tiers.Close() }
