package disk

import (
	"cmp"
	"errors"
	"slices"

	"nearcast/cdn"
	"nearcast/edge/httpcache"
	"nearcast/edge/store"
	"nearcast/edge/store/disk/index"
	"nearcast/edge/store/disk/record"
)

// Get returns the object that is looked for, and counts the use, or nil; known says whether anything is stored of the key and variant. The
// body is in memory, every octet of it checked; or, if the lookup takes files and the body has 64 KiB or more, an extent that has just been
// checked. A disk that does not answer makes it a miss.
func (s *Store) Get(l store.Lookup) (o *store.Object, known bool) { return s.find(l, true) }

// Peek is Get without counting and known.
func (s *Store) Peek(l store.Lookup) *store.Object {
	o, _ := s.find(l, false)
	return o
}

// Has reports whether something is stored that has the hash of the key, in whatever variant. It reads nothing, so it may err on the side of yes.
func (s *Store) Has(l store.Lookup) bool {
	if s.isClosed() {
		return false
	}
	hash := s.hash(l.Key)
	var room [8]entry
	for _, v := range s.volumes {
		if !v.dead() && len(v.index.Find(hash, room[:0])) > 0 {
			return true
		}
	}
	return false
}

func (s *Store) find(l store.Lookup, count bool) (o *store.Object, known bool) {
	hash := s.hash(l.Key)
	for range patienceGone {
		o, known, gone := s.findOnce(l, hash, count)
		if o != nil || !gone {
			return o, known
		}
	}
	return nil, false
}

// patienceGone is how often something is looked for that has moved in between.
const patienceGone = 4

// findOnce looks for an object. gone says that a record has moved or vanished between the index and the disk.
func (s *Store) findOnce(l store.Lookup, hash uint64, count bool) (o *store.Object, known, gone bool) {
	if s.isClosed() {
		return nil, false, false
	}
	list, unread := s.stored(hash, l.Key, l.Variant)
	for _, f := range unread {
		gone = gone || errors.Is(f.err, errGone)
	}
	for len(list) > 0 {
		i, heads := choose(l, list)
		if i < 0 {
			return nil, true, gone
		}
		f := list[i]
		o, err := f.object(hash, heads[i], l)
		if o != nil {
			if count {
				f.volume.index.Touch(hash, f.entry.Location)
				f.volume.counts.hits.Add(1)
			}
			return o, true, false
		}
		gone = gone || errors.Is(err, errGone) || !f.volume.pointsAt(hash, f.entry.Location)
		list = slices.Delete(list, i, i+1)
	}
	return nil, false, gone
}

// stored returns the heads of all that is stored of a key and variant, the newest first. Of some it could not be read what they are: unread.
func (s *Store) stored(hash uint64, key cdn.CacheKey, variant string) (list, unread []*found) {
	var room [8]entry
	for _, v := range s.volumes {
		if v.dead() {
			continue
		}
		for _, e := range v.index.Find(hash, room[:0]) {
			f, err := v.lookAt(e)
			switch {
			case err != nil:
				v.spoiled(hash, e, err)
				if errors.Is(err, record.ErrDamaged) && !v.pointsAt(hash, e.Location) {
					err = errGone // or it was damaged and is gone now: it is looked for once more in vain
				}
				unread = append(unread, &found{volume: v, segment: v.at(e.Segment), entry: e, err: err})
			case f.Header.Kind == record.Object && f.Is(key, variant):
				list = append(list, f)
			case !v.pointsAt(hash, e.Location): // the segment was given up meanwhile, and another one has its place
				unread = append(unread, &found{volume: v, entry: e, err: errGone})
			}
		}
	}
	if len(list) > 1 {
		slices.SortFunc(list, func(a, b *found) int { return cmp.Compare(b.Header.Seq, a.Header.Seq) })
	}
	return list, unread
}

// pointsAt reports whether the index still has a place for a hash.
func (v *volume) pointsAt(hash uint64, at index.Location) bool {
	var room [8]entry
	return slices.ContainsFunc(v.index.Find(hash, room[:0]), func(e entry) bool { return e.Location == at })
}

// lookAt reads the head of a record.
func (v *volume) lookAt(e entry) (*found, error) {
	g := v.at(e.Segment)
	if g == nil || !g.enter() {
		return nil, errGone
	}
	defer g.leave()
	return v.look(g, e)
}

// choose returns which of several records, all of the lookup's key and variant, is the one that is looked for, or -1; and the heads.
func choose(l store.Lookup, list []*found) (int, []*httpcache.Response) {
	heads := make([]*httpcache.Response, len(list))
	for i, f := range list {
		head, err := f.Response()
		if err != nil {
			head = unreadable()
		}
		heads[i] = head
	}
	if len(list) > 1 {
		return l.Select(heads), heads
	}
	if !l.Selects(&store.Object{Variant: l.Variant, Response: heads[0]}) {
		return -1, heads
	}
	return 0, heads
}

// unreadable stands for a head in a form that this program does not know; it is chosen last, and then found to be damaged.
func unreadable() *httpcache.Response { return &httpcache.Response{} }

// object makes the object of a record, or returns nil, and perhaps why, if it cannot or must not be served.
func (f *found) object(hash uint64, head *httpcache.Response, l store.Lookup) (*store.Object, error) {
	v := f.volume
	if head.Status == 0 {
		v.spoiled(hash, f.entry, record.ErrDamaged)
		return nil, record.ErrDamaged
	}
	o := f.Object(head, store.Body{})
	if !v.store.config.Alive(o) {
		// It stays in the index: what takes its place must say so on disk, and so must Sweep.
		v.counts.purged.Add(1)
		return nil, nil
	}
	if l.Head {
		o.Body = store.NewExtentBody(f.extentAt(hash), f.Header.Body)
		return o, nil
	}
	body, err := f.content(hash, l.File)
	if err != nil {
		v.spoiled(hash, f.entry, err)
		return nil, err
	}
	o.Body = body
	return o, nil
}

// content returns the body, checked.
func (f *found) content(hash uint64, file bool) (store.Body, error) {
	if !f.segment.enter() {
		return store.Body{}, errGone
	}
	defer f.segment.leave()
	if file && f.Header.Body >= minExtent {
		if x := f.extent(hash); x != nil {
			if err := x.verify(f); err != nil {
				return store.Body{}, err
			}
			return store.NewExtentBody(x, f.Header.Body), nil
		}
	}
	body, err := f.body()
	return bodyOf(body), err
}

func bodyOf(b []byte) store.Body {
	if len(b) == 0 {
		return store.Body{}
	}
	return store.NewBody(b)
}

// readWhole reads a record and checks all of it.
func (v *volume) readWhole(g *segment, e entry) (*found, store.Body, error) {
	if !g.enter() {
		return nil, store.Body{}, errGone
	}
	defer g.leave()
	f, err := v.look(g, e)
	if err != nil {
		return nil, store.Body{}, err
	}
	body, err := f.body()
	return f, bodyOf(body), err
}
