package zone

import (
	"cmp"
	"math/bits"
	"slices"
)

// Of how many entries a shard of a table has, there are about perShard when it is made; it is made anew when they are four times as many, or a quarter.
const perShard = 256

// entry is what a table has for a hash.
type entry struct {
	hash  uint64
	ref   uint32 // the site that has the name, or how many names are below
	index uint32 // of the name in the site
}

func (e entry) compare(f entry) int {
	return cmp.Or(cmp.Compare(e.hash, f.hash), cmp.Compare(e.ref, f.ref), cmp.Compare(e.index, f.index))
}

// table has entries by hash. It is immutable: a change makes another, which shares the shards that are the same. Shards are by the upper
// bits of the hash, and sorted.
type table struct {
	shards [][]entry
	shift  uint // from a hash to the number of its shard
	n      int
}

// find returns entries of which the first ones, if any, have the hash.
func (t *table) find(hash uint64) []entry {
	if t.n == 0 {
		return nil
	}
	shard := t.shards[hash>>t.shift]
	if len(shard) == 0 {
		return nil
	}
	guess, _ := bits.Mul64(hash<<(64-t.shift), uint64(len(shard))) // hashes are spread evenly
	i := int(guess)                                                //nolint:gosec // below len(shard)
	for i < len(shard) && shard[i].hash < hash {
		i++
	}
	for i > 0 && shard[i-1].hash >= hash {
		i--
	}
	return shard[i:]
}

// count is what the table has of a hash, as a count.
func (t *table) count(hash uint64) uint32 {
	if found := t.find(hash); len(found) > 0 && found[0].hash == hash {
		return found[0].ref
	}
	return 0
}

// change is an entry that comes or goes; in a table of counts, by how much that of its hash changes.
type change struct {
	entry

	by int32
}

// with returns the table with changes, which it sorts. The function merges what a shard has with the changes of it.
func (t *table) with(changes []change, merge func(old []entry, changes []change) []entry) table {
	if len(changes) == 0 {
		return *t
	}
	slices.SortFunc(changes, func(a, b change) int { return cmp.Or(a.compare(b.entry), cmp.Compare(a.by, b.by)) })
	next := *t
	if expected := t.n + len(changes); len(t.shards) == 0 || expected > 4*perShard*len(t.shards) {
		next = t.resharded(expected)
	} else {
		next.shards = slices.Clone(t.shards)
	}
	for len(changes) > 0 {
		number := changes[0].hash >> next.shift
		end := 1
		for end < len(changes) && changes[end].hash>>next.shift == number {
			end++
		}
		old := next.shards[number]
		next.shards[number] = merge(old, changes[:end])
		next.n += len(next.shards[number]) - len(old)
		changes = changes[end:]
	}
	if 4*next.n < perShard*len(next.shards) && len(next.shards) > 1 {
		next = next.resharded(next.n)
	}
	return next
}

// resharded returns the table with as many shards as suit a number of entries.
func (t *table) resharded(expected int) table {
	width := max(1, bits.Len(uint(expected/perShard))) //nolint:gosec // not negative
	next := table{shards: make([][]entry, 1<<width), shift: uint(64 - width), n: t.n}
	for _, shard := range t.shards {
		for len(shard) > 0 {
			number := shard[0].hash >> next.shift
			end := 1
			for end < len(shard) && shard[end].hash>>next.shift == number {
				end++
			}
			next.shards[number] = append(next.shards[number], shard[:end]...)
			shard = shard[end:]
		}
	}
	for i := range next.shards {
		next.shards[i] = slices.Clip(next.shards[i])
	}
	return next
}

// mergeNames lets names come and go.
func mergeNames(old []entry, changes []change) []entry {
	comes := 0
	for i := range changes {
		comes += int(changes[i].by)
	}
	out := make([]entry, 0, max(0, len(old)+comes))
	for len(old) > 0 || len(changes) > 0 {
		if len(changes) == 0 || len(old) > 0 && old[0].compare(changes[0].entry) < 0 {
			out, old = append(out, old[0]), old[1:]
			continue
		}
		e, by := changes[0].entry, changes[0].by
		for changes = changes[1:]; len(changes) > 0 && changes[0].entry == e; changes = changes[1:] {
			by += changes[0].by
		}
		if len(old) > 0 && old[0] == e {
			by, old = by+1, old[1:]
		}
		if by > 0 {
			out = append(out, e)
		}
	}
	return out
}

// mergeCounts adds to counts.
func mergeCounts(old []entry, changes []change) []entry {
	out := make([]entry, 0, len(old)+len(changes))
	for len(old) > 0 || len(changes) > 0 {
		if len(changes) == 0 || len(old) > 0 && old[0].hash < changes[0].hash {
			out, old = append(out, old[0]), old[1:]
			continue
		}
		e, total := entry{hash: changes[0].hash}, int64(0)
		if len(old) > 0 && old[0].hash == e.hash {
			total, old = int64(old[0].ref), old[1:]
		}
		for ; len(changes) > 0 && changes[0].hash == e.hash; changes = changes[1:] {
			total += int64(changes[0].by)
		}
		if total > 0 {
			e.ref = uint32(total) //nolint:gosec // as many as there are names at most
			out = append(out, e)
		}
	}
	if cap(out)-len(out) > len(out)/8 {
		out = slices.Clip(slices.Clone(out))
	}
	return out
}
