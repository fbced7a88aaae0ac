package disk

import (
	"context"

	"nearcast/edge/store"
	"nearcast/edge/store/disk/index"
	"nearcast/edge/store/disk/record"
)

// Report is what [Store.Verify] found.
type Report struct {
	Records int64 // that were read
	Octets  int64 // of them
	Damaged int64 // of them, which have been dropped
	Errors  int64 // records that could not be read
}

// Verify reads everything that is stored, at most rate octets in a second (0: as fast as it goes), compares all checksums and drops what is
// damaged. It ends early, with the context's error, when that ends.
func (s *Store) Verify(ctx context.Context, rate int64) (Report, error) {
	return s.VerifyAloud(ctx, rate, func(Report) {})
}

// VerifyAloud is Verify that calls tell with what it has found so far, after each record that it has read.
func (s *Store) VerifyAloud(ctx context.Context, rate int64, tell func(Report)) (Report, error) {
	var r Report
	pace := pacer{store: s, rate: rate}
	for v, g := range s.everySegment {
		entries, err := v.entriesIn(g)
		if err != nil {
			v.misread(err)
			r.Errors++
		}
		for i := range entries {
			at, ok := v.alive(g, &entries[i])
			if !ok || entries[i].Kind != record.Object {
				continue
			}
			if s.isClosed() {
				return r, errClosed
			}
			r.check(v, g, &entries[i], at)
			tell(r)
			if err := pace.spend(ctx, int64(entries[i].Units)*record.Unit); err != nil {
				return r, err
			}
		}
	}
	return r, nil
}

// check reads one record.
func (r *Report) check(v *volume, g *segment, e *record.Entry, at entry) {
	_, _, err := v.readWhole(g, at)
	r.Records++
	r.Octets += int64(e.Units) * record.Unit
	switch err {
	case nil, errGone: //nolint:errorlint // not wrapped
	case record.ErrDamaged:
		r.Damaged++
	default:
		r.Errors++
	}
	if err != nil {
		v.spoiled(e.Hash, at, err)
	}
}

// everySegment goes through the segments of all disks that work.
func (s *Store) everySegment(yield func(*volume, *segment) bool) {
	for _, v := range s.volumes {
		if v.dead() {
			continue
		}
		for _, g := range v.all() {
			if !yield(v, g) {
				return
			}
		}
	}
}

// entriesIn returns what is in a segment, nothing if it is gone.
func (v *volume) entriesIn(g *segment) ([]record.Entry, error) {
	if !g.enter() {
		return nil, nil
	}
	defer g.leave()
	return v.entries(g)
}

// All goes through the objects that are stored, in no order. Their bodies are extents which have not been checked; see
// [Store.Load].
func (s *Store) All(yield func(*store.Object) bool) {
	for v, g := range s.everySegment {
		entries, err := v.entriesIn(g)
		if err != nil {
			v.misread(err)
		}
		for i := range entries {
			at, ok := v.alive(g, &entries[i])
			if !ok || entries[i].Kind != record.Object {
				continue
			}
			if s.isClosed() {
				return
			}
			o, err := v.head(g, entries[i].Hash, at)
			if err != nil {
				v.spoiled(entries[i].Hash, at, err)
				continue
			}
			if !yield(o) {
				return
			}
		}
	}
}

// head reads an object without its body.
func (v *volume) head(g *segment, hash uint64, at index.Entry) (*store.Object, error) {
	if !g.enter() {
		return nil, errGone
	}
	defer g.leave()
	f, err := v.lookUpTo(g, at, firstRead)
	if err != nil {
		return nil, err
	}
	head, err := f.Response()
	if err != nil {
		return nil, record.ErrDamaged
	}
	body := store.Body{}
	if f.Header.Body > 0 {
		body = store.NewExtentBody(f.extentAt(hash), f.Header.Body)
	}
	return f.Object(head, body), nil
}
