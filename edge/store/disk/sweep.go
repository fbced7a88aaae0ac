package disk

import (
	"context"
	"errors"

	"nearcast/cdn"
	"nearcast/edge/store"
	"nearcast/edge/store/disk/record"
)

// Swept is what [Store.Sweep] has done.
type Swept struct {
	Looked   int64 // objects whose heads were read
	Removed  int64 // of them
	Segments int64 // files given up since nothing was left in them
	Unread   int64 // objects that could not be read now
	// Whole says that what should go is gone for good, also after a restart: nothing was left out, every disk works, and what has been removed
	// is noted there.
	Whole bool
}

// Sweep reads the heads of all objects, at most rate octets in a second (0: as fast as it goes), and removes those which keep does not want. That
// outlives a restart. A file in which nothing is left is given up at once; else the room comes back when the turn of the file
// comes. The parts of a content are not looked at.
//
// What is written again meanwhile, to make room, may be passed by: [Config.Alive] is asked of that.
func (s *Store) Sweep(ctx context.Context, rate int64, keep func(o *store.Object) bool) (Swept, error) {
	var done Swept
	select {
	case <-s.warm:
	case <-s.done:
		return done, errClosed
	case <-ctx.Done():
		return done, ctx.Err()
	}
	for _, v := range s.volumes {
		v.awaitReclaim()
	}
	pace := pacer{store: s, rate: rate}
	for v, g := range s.everySegment {
		if err := v.sweep(ctx, g, &pace, keep, &done); err != nil {
			return done, err
		}
	}
	done.Whole = done.Unread == 0 && !s.isClosed()
	for _, v := range s.volumes {
		if !v.dead() {
			v.wrote(v.syncLanes())
		}
		if v.forgetful() {
			done.Whole = false
		}
	}
	return done, nil
}

// forgetful reports whether there may be something on the disk after a restart that is not known now: what was damaged once, or had no room
// in the index, may have taken the place of something older.
func (v *volume) forgetful() bool {
	c := &v.counts
	return v.dead() || c.lostTombstones.Load()+c.damaged.Load()+c.unindexed.Load() > 0
}

// MayReturn reports whether something of a key may be on disk, now or after a restart. It reads nothing, and may err on the side of yes.
func (s *Store) MayReturn(key cdn.CacheKey) bool {
	for _, v := range s.volumes {
		if v.forgetful() {
			return true
		}
	}
	return s.warming() || s.Has(store.Lookup{Key: key})
}

// awaitReclaim waits for those who write something again, and may have asked whether it is alive a while ago.
func (v *volume) awaitReclaim() {
	v.clearing.Lock()
	defer v.clearing.Unlock()
}

// sweep is Sweep for one segment.
func (v *volume) sweep(ctx context.Context, g *segment, pace *pacer, keep func(*store.Object) bool, done *Swept) error {
	entries, err := v.entriesIn(g)
	if err != nil {
		v.misread(err)
		done.Unread++
	}
	var gone []*removal
	for i := range entries {
		e := &entries[i]
		at, ok := v.alive(g, e)
		if !ok || e.Kind != record.Object {
			continue
		}
		if v.store.isClosed() {
			return errClosed
		}
		o, err := v.head(g, e.Hash, at)
		switch {
		case err == nil:
			if done.Looked++; !keep(o) {
				gone = append(gone, &removal{at: at, key: o.Key, hash: e.Hash, place: record.Place{Segment: g.number, Unit: e.Unit}})
			}
		case errors.Is(err, errGone):
		default:
			v.spoiled(e.Hash, at, err)
			done.Unread++
		}
		if err := pace.spend(ctx, min(int64(e.Units)*record.Unit, firstRead)); err != nil {
			return err
		}
	}
	v.removeSome(g, entries, gone, done)
	return nil
}

// removal is a record that is to go.
type removal struct {
	at    entry
	key   cdn.CacheKey
	hash  uint64
	place record.Place
}

// removeSome takes records out of the index and notes that on disk, or gives up the whole segment.
func (v *volume) removeSome(g *segment, entries []record.Entry, gone []*removal, done *Swept) {
	var removed []*removal
	for _, r := range gone {
		v.store.whileOpen(func() {
			mu := v.store.stripe(r.hash)
			mu.Lock()
			defer mu.Unlock()
			if v.index.Remove(r.hash, r.at.Location) {
				removed = append(removed, r)
			}
		})
	}
	if len(removed) == 0 {
		return
	}
	done.Removed += int64(len(removed))
	v.counts.swept.Add(int64(len(removed)))
	empty := false
	v.store.whileOpen(func() { empty = v.giveUpEmpty(g, entries) })
	if empty {
		done.Segments++
		return
	}
	for _, r := range removed {
		v.store.whileOpen(func() { v.insist(record.NewTombstone(r.key, "", r.hash, r.place)) })
	}
}

// whileOpen does something that must not go on while the store closes or is cleared. It does nothing if that has happened.
func (s *Store) whileOpen(do func()) {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if !s.closed {
		do()
	}
}

// giveUpEmpty gives up a segment that takes no more records and has none that is of use, and reports whether it has.
func (v *volume) giveUpEmpty(g *segment, entries []record.Entry) bool {
	if v.countAlive(g, entries) > 0 {
		return false
	}
	v.clearing.Lock()
	defer v.clearing.Unlock()
	v.mu.Lock()
	done := g.sealed && g.known && v.segments[g.number] == g
	v.mu.Unlock()
	return done && v.giveUp(g)
}
