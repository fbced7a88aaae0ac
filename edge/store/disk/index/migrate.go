package index

import "sync/atomic"

// mostStep is the most that a table which is being filled and the one it is filled from have in common, in octets: a huge page, which can
// only be given back as a whole.
const mostStep = hugeOctets

// filling is a table that is being filled in the order of tags with what another has. Neither table is whole meanwhile, so that together they take
// hardly more than one: what is left behind is given back step by step. Those who search do not wait: they find a tag in the one or the
// other table.
type filling struct {
	from, to *table
	at, used int // bucket of to that is the next to have an entry, and what is in it
}

// put says where in to the next entry belongs.
func (f *filling) put(tag uint32) {
	if home := f.to.home(tag); home > f.at {
		f.at, f.used = home, 0
	} else if f.used == slots {
		f.at, f.used = f.at+1, 0
	}
	f.used++
}

// tailFor returns how many buckets after the last home are needed for what t has in a table of so many homes.
func (t *table) tailFor(homes int) int {
	f := filling{to: &table{homes: uint64(homes)}}
	for b := range t.buckets {
		var sorted [slots]words
		for _, w := range t.buckets[b].sorted(&sorted) {
			f.put(tagOf(w.name))
		}
	}
	return max(leastTail, f.at+2-homes) // the last one has room
}

// move fills to, which has room for all, on behalf of who holds the lock of s. to is published first.
func (x *Index) move(s *shard, from, to *table) {
	f := filling{from: from, to: to}
	step := max(pageOctets, min(mostStep, from.octets()/16/pageOctets*pageOctets))
	dropped, backed := 0, 0
	to.older.Store(from)
	s.change(func() { s.table.Store(to) })
	for b := range from.buckets {
		var sorted [slots]words
		for _, w := range from.buckets[b].sorted(&sorted) {
			f.put(tagOf(w.name))
			for f.at*bucketOctets >= backed {
				x.back(to, backed, min(backed+step, to.octets()))
				backed += step
			}
			to.buckets[f.at].store(f.used-1, w.name, w.place)
		}
		// The search for a tag that is still to move begins at its home, so what is before the least such home can go.
		if b%pageBuckets == pageBuckets-1 {
			moved := f.moved()
			s.change(func() { to.moved.Store(moved) })
			if gone := from.home(uint32(moved)) * bucketOctets / step * step; gone > dropped {
				x.drop(from, dropped, gone)
				dropped = gone
			}
		}
	}
	s.change(func() {
		to.moved.Store(allMoved)
		to.older.Store(nil)
	})
	x.drop(from, dropped, from.octets())
	x.back(to, min(backed, to.octets()), to.octets())
}

// moved returns the tag up to which to can be searched: no search for a smaller one looks into the bucket that is being filled, at which it would
// see what is half stored.
func (f *filling) moved() uint64 {
	last := f.at - 1
	if last < 0 {
		return 0
	}
	// Smaller tags have their home before last, and so not even the bucket after their home is the one being filled.
	moved := (uint64(last)<<32 + f.to.homes - 1) / f.to.homes
	// And a search comes to its end in last, which has room or a tag that is larger.
	if bound := atomic.LoadUint64(&f.to.buckets[last].bound); bound > 0 {
		moved = min(moved, bound-1)
	}
	return min(moved, allMoved-1)
}
