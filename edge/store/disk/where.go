package disk

import (
	"cmp"
	"slices"

	"nearcast/cdn"
	"nearcast/edge/store"
	"nearcast/edge/store/disk/record"
)

// Record is an object that is stored, and where.
type Record struct {
	Object  *store.Object // its body is an extent that has not been checked, or empty if it is not in a file yet
	Disk    string        // path
	Segment uint64        // number of the file
	Offset  int64         // of the record in it, in octets
	Size    int64         // of the record, in octets
}

// Of returns everything that is stored under a key, whatever the variant, the newest first. It counts as no use, and
// whether the objects are alive is not asked.
func (s *Store) Of(key cdn.CacheKey) (list []Record) {
	if s.isClosed() {
		return nil
	}
	hash := s.hash(key)
	var room [8]entry
	var seqs []uint64
	for _, v := range s.volumes {
		if v.dead() {
			continue
		}
		for _, e := range v.index.Find(hash, room[:0]) {
			r, seq, ok := v.recordAt(e, hash, key)
			if !ok {
				continue
			}
			i, _ := slices.BinarySearchFunc(seqs, seq, func(have, seq uint64) int { return cmp.Compare(seq, have) })
			list, seqs = slices.Insert(list, i, r), slices.Insert(seqs, i, seq)
		}
	}
	return list
}

// recordAt returns what an entry of the index stands for, if that is an object of a key.
func (v *volume) recordAt(e entry, hash uint64, key cdn.CacheKey) (r Record, seq uint64, ok bool) {
	f, err := v.lookAt(e)
	if err != nil {
		v.spoiled(hash, e, err)
		return r, 0, false
	}
	if f.Header.Kind != record.Object || string(f.Key) != string(key) {
		return r, 0, false
	}
	head, err := f.Response()
	if err != nil {
		v.spoiled(hash, e, record.ErrDamaged)
		return r, 0, false
	}
	r = Record{
		Object: f.Object(head, store.NewExtentBody(f.extentAt(hash), f.Header.Body)), Disk: v.path,
		Segment: f.segment.number, Offset: int64(e.Offset) * record.Unit, Size: f.Header.Size(),
	}
	return r, f.Header.Seq, true
}
