package tier

import (
	"context"
	"time"

	"nearcast/cdn"
	"nearcast/edge/httpcache"
	"nearcast/edge/store"
	"nearcast/edge/store/disk"
)

// Held is an object that is stored, and where.
type Held struct {
	Object *store.Object // without a body that can be used
	Memory bool          // it is in memory
	Body   bool          // and so is its body
	OnDisk bool          // it is on disk
	Disk   *disk.Record  // where; nil if nobody has looked
}

// All goes through everything that is stored and wanted: first what is in memory, then what is on disk alone. It holds no lock and
// counts as no use; of each object on disk the head is read. What is moved or changed meanwhile may be missing.
func (s *Store) All(wanted func(o *store.Object) bool, yield func(Held) bool) {
	more := true
	s.ram.All(func(o *store.Object) bool {
		if wanted(o) {
			more = yield(Held{Object: o, Memory: true, Body: o.Body.InMemory(), OnDisk: s.copied(o)})
		}
		return more
	})
	if s.disk == nil || !more {
		return
	}
	s.disk.All(func(o *store.Object) bool {
		if !wanted(o) {
			return true
		}
		if have := s.ram.Peek(lookupOf(o)); have != nil && have.ID == o.ID {
			return true
		}
		return yield(Held{Object: o, OnDisk: true})
	})
}

// copied reports whether the content of an object in memory is on disk as well.
func (s *Store) copied(o *store.Object) bool {
	if extent, _ := o.Body.Extent(); extent != nil {
		return true
	}
	l := lookupOf(o)
	l.Head = true
	if s.disk == nil || !s.disk.Has(l) {
		return false
	}
	on := s.disk.Peek(l)
	return on != nil && on.ID == o.ID
}

// Of returns everything that is stored under a key, whatever the variant. It counts as no use.
func (s *Store) Of(key cdn.CacheKey) (list []Held) {
	var onDisk []disk.Record
	if s.disk != nil {
		onDisk = s.disk.Of(key)
	}
	for _, o := range s.ram.Of(key) {
		h := Held{Object: o, Memory: true, Body: o.Body.InMemory()}
		for i := range onDisk {
			if sameContent(o, onDisk[i].Object) {
				h.Disk, h.OnDisk = &onDisk[i], true
				break
			}
		}
		list = append(list, h)
	}
	inMemory := len(list)
	for i := range onDisk {
		known := false
		for _, h := range list[:inMemory] {
			known = known || h.Disk == &onDisk[i]
		}
		if !known {
			list = append(list, Held{Object: onDisk[i].Object, Disk: &onDisk[i], OnDisk: true})
		}
	}
	return list
}

// sameContent reports whether two objects are copies of one, but perhaps for what a validation has made of the head.
func sameContent(o, p *store.Object) bool {
	if o.ID != p.ID || o.Variant != p.Variant {
		return false
	}
	l := lookupOf(o)
	return l.Select([]*httpcache.Response{p.Response}) == 0
}

// Swept is what [Store.Sweep] has done: in memory, and on disk.
type Swept struct {
	Looked, Removed int64 // objects in memory
	Disk            disk.Swept
	// Whole says that everything has been looked at, and that what was removed does not come back.
	Whole bool
}

// Sweep removes everything that keep does not want; see [disk.Store.Sweep]. keep may be called for the same object more than once.
func (s *Store) Sweep(ctx context.Context, rate int64, keep func(o *store.Object) bool) (Swept, error) {
	var done Swept
	whole := true
	s.settle()
	s.ram.All(func(o *store.Object) bool {
		if done.Looked++; !keep(o) {
			removed, all := s.dropUnwanted(o.Key, keep)
			done.Removed += removed
			whole = whole && all
		}
		if done.Looked%breathAfter == 0 {
			breathe(ctx)
		}
		return ctx.Err() == nil
	})
	if err := ctx.Err(); err != nil {
		return done, err
	}
	if s.disk == nil {
		done.Whole = whole
		return done, nil
	}
	var err error
	done.Disk, err = s.disk.Sweep(ctx, rate, keep)
	done.Whole = whole && err == nil && done.Disk.Whole
	return done, err
}

// dropUnwanted takes out of memory what keep does not want of a key, in whatever form it is by now. It reports false if it could not,
// since the form changed each time.
func (s *Store) dropUnwanted(key cdn.CacheKey, keep func(*store.Object) bool) (removed int64, all bool) {
	for range dropAttempts {
		all = true
		for _, o := range s.ram.Of(key) {
			if keep(o) {
				continue
			}
			all = false
			if s.ram.Drop(o) {
				removed++
			}
		}
		if all {
			break
		}
	}
	return removed, all
}

const dropAttempts = 8

// The search through memory lets others have the processor after so many objects, for so long.
const (
	breathAfter = 1024
	breath      = 2 * time.Millisecond
)

func breathe(ctx context.Context) {
	timer := time.NewTimer(breath)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// settle waits for those who move something from tier to tier and may have found it alive a while ago.
func (s *Store) settle() {
	for i := range s.stripes {
		s.stripes[i].wait()
	}
}

// wait waits until nobody changes anything that was begun before.
func (st *stripe) wait() {
	st.mu.Lock()
	defer st.mu.Unlock()
}

// Verify is [disk.Store.VerifyAloud]; there is nothing to do without a disk.
func (s *Store) Verify(ctx context.Context, rate int64, tell func(disk.Report)) (disk.Report, error) {
	if s.disk == nil {
		return disk.Report{}, nil
	}
	return s.disk.VerifyAloud(ctx, rate, tell)
}

// Dropped is how often something was worth writing to disk and was not, since too much waited.
func (s *Store) Dropped() uint64 { return s.writer.dropped.Load() }

// Warm returns a channel that is closed once all that is on disk is known, or nil without a disk.
func (s *Store) Warm() <-chan struct{} {
	if s.disk == nil {
		return nil
	}
	return s.disk.Warm()
}
