package main

import (
	"nearcast/edge/store/policy"
)

// place is where a request found its object.
type place int

const (
	nowhere place = iota
	inRAM
	onDisk
)

// store is what a trace is replayed against.
type store interface {
	// request asks for an object and stores it if it is nowhere, as after a fetch from the origin.
	request(id uint64, size int64) place
	// written is how many octets have gone to the disk so far.
	written() int64
	close()
}

// ram is a cache in memory.
type ram interface {
	// request reports whether the object was there; if not it is from now on, if the policy likes.
	request(id uint64, size int64) bool
	// proven are the objects that have shown since the last call that they are asked for again, or all that were stored if the policy does
	// not tell.
	proven() []object
}

type object struct {
	id   uint64
	size int64
}

// tiers is RAM before a disk. The disk is a log that goes round, with reinsertion of what was asked for. Until it is full for the first
// time it takes everything; then it takes what RAM finds proven.
type tiers struct {
	ram    ram
	disk   *policy.Shadow // nil: none
	room   int64          // of the disk, that was never used yet
	octets int64          // written
}

func newTiers(r ram, disk int64) *tiers {
	t := &tiers{ram: r, room: disk}
	if disk > 0 {
		t.disk = policy.NewCLOCK(disk)
	}
	return t
}

func (t *tiers) request(id uint64, size int64) place {
	found := nowhere
	if t.ram.request(id, size) {
		found = inRAM
	}
	proven := t.ram.proven()
	if t.disk == nil {
		return found
	}
	if found == nowhere && t.disk.Has(id) {
		t.disk.Access(id, size)
		found = onDisk
	}
	if found == nowhere && t.room > 0 {
		t.room -= size
		t.write(object{id, size})
	}
	for _, o := range proven {
		t.write(o)
	}
	return found
}

// write puts an object on the disk, unless it is there.
func (t *tiers) write(o object) {
	if !t.disk.Has(o.id) {
		t.disk.Access(o.id, o.size)
		t.octets += o.size
	}
}

func (t *tiers) written() int64 { return t.octets }

func (t *tiers) close() {}

// live is a RAM under the policy of the real one.
type live struct {
	policy  *policy.Live
	handles map[uint64]policy.Handle
	objects []object // by handle
	news    []object
}

func newLive(budget int64) *live {
	return &live{policy: policy.NewLive(budget), handles: make(map[uint64]policy.Handle)}
}

func (l *live) request(id uint64, size int64) bool {
	l.news = l.news[:0]
	h, ok := l.handles[id]
	if ok {
		l.policy.Use(h)
		if by := size - l.objects[h].size; by != 0 {
			l.objects[h].size = size
			l.events(l.policy.Grow(h, by))
		}
		return true
	}
	h, events := l.policy.Add(id, size)
	for len(l.objects) <= int(h) {
		l.objects = append(l.objects, object{})
	}
	l.objects[h], l.handles[id] = object{id, size}, h
	l.events(events)
	return false
}

func (l *live) events(events []policy.Event) {
	for _, e := range events {
		if e.Kind == policy.Promoted {
			l.news = append(l.news, l.objects[e.Handle])
		} else {
			delete(l.handles, l.objects[e.Handle].id)
		}
	}
}

func (l *live) proven() []object { return l.news }

// rival is a RAM under another policy. It does not tell what is proven, so that the disk behind it takes everything.
type rival struct {
	cache policy.Cache
	news  []object
}

func (r *rival) request(id uint64, size int64) bool {
	r.news = r.news[:0]
	hit := r.cache.Access(id, size)
	if !hit {
		r.news = append(r.news, object{id, size})
	}
	return hit
}

func (r *rival) proven() []object { return r.news }
