package disk

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"nearcast/cdn"
	"nearcast/edge/store"
	"nearcast/edge/store/disk/record"
	"nearcast/internal/fsys"
)

// rebuild learns what is on the disk. It reads the ends of all segments first, to find those that are to be filled further; then the entries of
// each, newest first, since what is new is asked for most. Each record names those that it has taken the place of. None of these is
// found even for a moment, since it would be served, and written again from memory: before a segment is learnt, all those are gathered that may name
// its records.
func (v *volume) rebuild() {
	tails, err := v.survey()
	if err != nil {
		v.fail(fmt.Errorf("reading what is on it: %w", err))
	}
	b := rebuilding{volume: v, replaced: make(map[uint64]map[uint32]uint64), gathered: make(map[uint64][]record.Entry)}
	for _, w := range tails {
		b.gathered[w.segment.number] = w.entries
	}
	rest := v.resume(tails)
	close(v.ready)
	for _, w := range tails {
		b.note(w.segment, b.gathered[w.segment.number]) // others may be adding to the writer by now
	}
	all := v.all()
	v.index.Reserve(v.told)
	for i, g := range all {
		if v.dead() || v.store.isClosed() {
			return
		}
		b.gather(g)
		for _, before := range v.overlapping(all[i+1:]) {
			b.gather(before)
		}
		b.learn(g)
	}
	v.index.Fit()
	for _, w := range rest {
		v.complete(w)
	}
	v.mu.Lock()
	v.knowing = true
	v.mu.Unlock()
	poke(v.kick)
}

// survey opens all segments and returns those that have not been sealed, as writers without a buffer, the newest first.
func (v *volume) survey() ([]*writer, error) {
	numbers, err := v.list()
	for err != nil && v.outwait(err) {
		numbers, err = v.list()
	}
	if err != nil && v.store.isClosed() {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var tails []*writer
	for i := len(numbers) - 1; i >= 0 && !v.dead() && !v.store.isClosed(); i-- {
		if numbers[i] < v.super.First {
			if err := v.unlink(numbers[i]); err != nil {
				return nil, err
			}
			continue
		}
		w, err := v.surveyOne(numbers[i])
		if err != nil {
			return nil, err
		}
		if w != nil {
			tails = append(tails, w)
		}
	}
	return tails, nil
}

// surveyOne opens a segment. One without anything in it is removed. Of one that has not been sealed it returns a writer.
func (v *volume) surveyOne(number uint64) (*writer, error) {
	g, err := v.adopt(number)
	if g == nil || err != nil {
		return nil, err
	}
	t, err := v.trailer(g)
	switch {
	case err == nil && t.Sealed:
		v.mu.Lock()
		g.sealed, g.class, g.expiry, g.tail = true, class(t.Class), t.Expiry, t.Tail
		v.mu.Unlock()
		v.told += int(min(int64(t.Count), g.size/record.Unit))
		return nil, nil
	case err == nil:
		var entries []record.Entry
		if entries, err = v.footer(g, t); err == nil {
			return v.unsealed(g, class(t.Class), t.Tail, entries), nil
		}
	case errors.Is(err, record.ErrDamaged):
		v.counts.damaged.Add(1)
		v.log.Error("a segment's footer is damaged: it is read record by record", "segment", number)
	}
	entries, tail, c, err := v.scan(g)
	switch {
	case err != nil && !errors.Is(err, record.ErrNone) && !errors.Is(err, record.ErrDamaged):
		v.misread(err)
		v.mu.Lock()
		g.sealed = true // it goes when the room is needed
		v.mu.Unlock()
		return nil, nil
	case errors.Is(err, record.ErrDamaged):
		v.counts.damaged.Add(1)
		v.log.Error("a segment's header is damaged: what was in it is lost", "segment", number)
		return nil, v.remove(g)
	case len(entries) == 0:
		return nil, v.remove(g)
	}
	return v.unsealed(g, c, tail, entries), nil
}

// adopt takes up a segment file. It waits for a descriptor, if it has to.
func (v *volume) adopt(number uint64) (*segment, error) {
	for {
		f, size, err := v.openSized(number)
		switch {
		case err == nil:
			return v.adoptOpen(number, f, size)
		case !transient(err):
			v.misread(err)
			return nil, nil
		case !v.outwait(err):
			return nil, nil
		}
	}
}

// outwait waits a second if an error tells of a lack that may pass, and reports whether to try again.
func (v *volume) outwait(err error) bool {
	if !transient(err) {
		return false
	}
	v.log.Warn("a file cannot be opened now", "error", err)
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-v.store.done:
		return false
	}
}

func (v *volume) openSized(number uint64) (fsys.File, int64, error) {
	f, err := v.fs.Open(v.segmentName(number))
	if err != nil {
		return nil, 0, err
	}
	size, err := f.Size()
	if err != nil {
		_ = f.Close() // nothing was written
	}
	return f, size, err
}

func (v *volume) adoptOpen(number uint64, f fsys.File, size int64) (*segment, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	g, err := v.newSegmentLocked(number, size)
	if err != nil {
		_ = f.Close() // nothing was written
		return nil, err
	}
	if err := g.use(f); err != nil {
		return nil, err
	}
	v.segments[number] = g
	return g, nil
}

// unsealed makes a writer that could go on filling a segment.
func (v *volume) unsealed(g *segment, c class, tail int64, entries []record.Entry) *writer {
	if c >= classes {
		c = long
	}
	v.mu.Lock()
	g.class = c
	v.mu.Unlock()
	v.told += len(entries)
	w := &writer{segment: g, class: c, io: make(chan struct{}, 1), tail: tail, flushed: tail, base: tail, entries: entries}
	for i := range entries {
		w.age(entries[i].Kind, entries[i].Expiry)
	}
	return w
}

// resume has the lanes go on with the newest segments of their class, and returns the others, which are to be sealed.
func (v *volume) resume(tails []*writer) (rest []*writer) {
	for _, w := range tails {
		l := &v.lanes[w.class]
		if l.writer != nil || w.segment.size != v.segSize || !w.fits(record.Unit, 1) {
			rest = append(rest, w)
			continue
		}
		// The footer that Close wrote would hide what comes now.
		if err := w.segment.write(make([]byte, record.TrailerSize), w.segment.size-record.TrailerSize); err != nil {
			v.wrote(err)
			rest = append(rest, w)
			continue
		}
		w.buf = v.made(<-v.buffers)
		w.segment.writer.Store(w)
		l.writer = w
	}
	return rest
}

// complete seals a segment that is not filled further.
func (v *volume) complete(w *writer) {
	select {
	case v.sealing <- struct{}{}:
		defer func() { <-v.sealing }()
		if v.exists(w.segment.number) { // it has not been cleared meanwhile
			v.seal(w)
		}
	case <-v.store.done:
	}
}

// rebuilding is one reading of a disk.
type rebuilding struct {
	volume   *volume
	replaced map[uint64]map[uint32]uint64 // places in segments that are still to be learnt, and before which record what is there has been replaced
	gathered map[uint64][]record.Entry    // what is in segments that are still to be learnt; what has been added since the start is in the index
}

// overlapping returns those of older segments, the newest first, that may have taken records when the one after them was begun. Of each class
// that is the last. The one before it is there for two that were begun in the other order than they were made.
func (v *volume) overlapping(older []*segment) (list []*segment) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var seen [classes]int
	for _, g := range older {
		c := min(g.class, classes-1)
		if seen[c]++; seen[c] <= 2 {
			list = append(list, g)
		}
		if slices.Min(seen[:]) >= 2 {
			break
		}
	}
	return list
}

// knows reports whether what is in a segment is in the index.
func (v *volume) knows(g *segment) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return g.known
}

// gather reads what is in a segment, unless that has been done.
func (b *rebuilding) gather(g *segment) {
	v := b.volume
	if _, done := b.gathered[g.number]; done || v.knows(g) || !g.enter() {
		return
	}
	defer g.leave()
	entries, err := v.entries(g)
	if err != nil {
		v.misread(err)
	}
	b.gathered[g.number] = entries
	b.note(g, entries)
}

// note has what is in a segment take the place of others.
func (b *rebuilding) note(g *segment, entries []record.Entry) {
	for i := range entries {
		e := &entries[i]
		if e.Target.Segment != 0 {
			b.replace(e)
		}
		if e.Flags&record.Blind != 0 && e.Kind != record.Also {
			b.volume.unveil(g, e)
		}
	}
}

// learn puts what was gathered of a segment into the index.
func (b *rebuilding) learn(g *segment) {
	v := b.volume
	if v.knows(g) || !g.enter() {
		return
	}
	defer g.leave()
	entries, dead := b.gathered[g.number], b.replaced[g.number]
	delete(b.gathered, g.number)
	delete(b.replaced, g.number)
	b.discover(g, entries, dead)
	v.mu.Lock()
	g.known = true
	v.mu.Unlock()
}

// discover puts the records of a segment into the index, but for those whose place others have taken, with all processors at once.
func (b *rebuilding) discover(g *segment, entries []record.Entry, dead map[uint32]uint64) {
	var wg sync.WaitGroup
	for part := range slices.Chunk(entries, len(entries)/runtime.GOMAXPROCS(0)+1) {
		wg.Go(func() {
			for i := range part {
				if e := &part[i]; e.Kind == record.Object && e.Seq >= dead[e.Unit] {
					b.volume.discover(g, e)
				}
			}
		})
	}
	wg.Wait()
}

// replace takes out the record whose place another one has taken. What is there now may be a later one: after a power cut what was not durable
// yet is written over.
func (b *rebuilding) replace(e *record.Entry) {
	v := b.volume
	v.mu.Lock()
	target := v.segments[e.Target.Segment]
	read := target != nil && target.known
	v.mu.Unlock()
	switch {
	case target == nil:
	case read:
		v.bereave(target, e)
	default:
		units := b.replaced[target.number]
		if units == nil {
			units = make(map[uint32]uint64)
			b.replaced[target.number] = units
		}
		units[e.Target.Unit] = max(units[e.Target.Unit], e.Seq)
	}
}

// bereave takes a record out of the index whose place another one has taken.
func (v *volume) bereave(g *segment, by *record.Entry) {
	at, ok := v.alive(g, &record.Entry{Hash: by.Hash, Unit: by.Target.Unit})
	if !ok || !g.enter() {
		return
	}
	defer g.leave()
	if f, err := v.look(g, at); err != nil || f.Header.Seq < by.Seq {
		v.index.Remove(by.Hash, at.Location)
	}
}

// discover puts a record into the index, unless something that was written while it was not known takes its place.
func (v *volume) discover(g *segment, e *record.Entry) {
	at := v.indexEntry(g, e.Unit, int64(e.Units)*record.Unit, e.Flags, e.Expiry)
	mu := v.store.stripe(e.Hash)
	mu.Lock()
	l := v.veiled(g, e, at)
	if l == nil && !v.index.Insert(e.Hash, at) {
		v.counts.unindexed.Add(1)
	}
	mu.Unlock()
	if l != nil {
		v.insist(record.NewTombstone(l.key, l.variant, e.Hash, record.Place{Segment: g.number, Unit: e.Unit}))
	}
}

// veiled returns what takes the place of a record, if there is such.
func (v *volume) veiled(g *segment, e *record.Entry, at entry) *veil {
	veils := v.store.blind.of(e.Hash)
	if len(veils) == 0 {
		return nil
	}
	f, err := v.look(g, at)
	if err != nil {
		return nil
	}
	for i := range veils {
		if veils[i].covers(f) {
			return &veils[i]
		}
	}
	return nil
}

// unveil has a record that was written before all was known, in an earlier run, take the place of those that are older.
func (v *volume) unveil(g *segment, e *record.Entry) {
	f, err := v.look(g, v.indexEntry(g, e.Unit, int64(e.Units)*record.Unit, e.Flags, e.Expiry))
	if err != nil {
		return
	}
	l := veil{seq: e.Seq, key: cdn.CacheKey(f.Key), variant: string(f.Variant)}
	if e.Kind == record.Object {
		if l.head, err = f.Response(); err != nil {
			return
		}
	}
	v.store.bury(nil, store.Lookup{Key: l.key, Variant: l.variant}, e.Hash, v.store.veil(e.Hash, l))
}

// veil remembers what takes the place of what is older, and takes that out of the index as far as it is known.
func (s *Store) veil(hash uint64, l veil) (gone []*found) {
	mu := s.stripe(hash)
	mu.Lock()
	defer mu.Unlock()
	s.blind.add(hash, l)
	list, _ := s.stored(hash, l.key, l.variant)
	for _, old := range list {
		if l.covers(old) && old.volume.index.Remove(hash, old.entry.Location) {
			gone = append(gone, old)
		}
	}
	return gone
}
