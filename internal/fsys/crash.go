package fsys

import (
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
)

// sectorSize is what a disk writes whole or not at all.
const sectorSize = 512

// commit changes directories, now; SyncDir makes it durable.
func (m *Mem) commit(edits ...edit) {
	for _, e := range edits {
		old := e.dir.dir[e.name]
		if e.node == nil {
			delete(e.dir.dir, e.name)
		} else {
			e.dir.dir[e.name] = e.node
			e.node.links++
		}
		if old != nil {
			old.links--
			m.reclaim(old)
		}
	}
	if m.cfg.Safe {
		for _, e := range edits {
			e.applyTo(e.dir.kept)
		}
		return
	}
	m.seq++
	m.pending = append(m.pending, dirOp{m.seq, edits})
}

// applyTo makes the change in a directory's names.
func (e edit) applyTo(names map[string]*node) {
	if e.node == nil {
		delete(names, e.name)
	} else {
		names[e.name] = e.node
	}
}

// reclaim gives back the room of a file that nobody can reach.
func (m *Mem) reclaim(n *node) {
	if n.dir == nil && n.links == 0 && n.open == 0 {
		m.used -= taken(n.size)
	}
}

// SyncDir implements [FS]. A Rename between two directories is durable as soon as one of them is synced.
func (m *Mem) SyncDir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, err := m.walkDir(name)
	if err != nil {
		return &fs.PathError{Op: "fsync", Path: name, Err: err}
	}
	var rest []dirOp
	for _, op := range m.pending {
		if !op.touches(dir) {
			rest = append(rest, op)
			continue
		}
		for _, e := range op.edits {
			e.applyTo(e.dir.kept)
			for i := range rest {
				rest[i] = rest[i].without(e)
			}
		}
	}
	m.pending = rest
	return nil
}

func (op dirOp) touches(dir *node) bool {
	for _, e := range op.edits {
		if e.dir == dir {
			return true
		}
	}
	return false
}

// without returns what is left of an operation after a later one has become durable that changed the same name.
func (op dirOp) without(later edit) dirOp {
	left := dirOp{seq: op.seq}
	for _, e := range op.edits {
		if e.dir != later.dir || e.name != later.name {
			left.edits = append(left.edits, e)
		}
	}
	return left
}

// Kill returns a clone as the file system is after the death of the process (kill -9): everything that was written is
// there, and what was not synced still is not. The two change apart, and share what they have in common.
func (m *Mem) Kill() *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	clones := make(map[*node]*node)
	for n := range m.reachable() {
		clones[n] = n.clone()
	}
	for n, c := range clones {
		c.dir, c.kept = translate(n.dir, clones), translate(n.kept, clones)
	}
	k := &Mem{cfg: m.cfg, root: clones[m.root], last: m.last, seq: m.seq, nodes: m.nodes}
	for _, op := range m.pending {
		edits := make([]edit, len(op.edits))
		for i, e := range op.edits {
			edits[i] = edit{clones[e.dir], e.name, clones[e.node]}
		}
		k.pending = append(k.pending, dirOp{op.seq, edits})
	}
	k.count()
	return k
}

// clone returns a file, or a directory without names, that nobody has open.
func (n *node) clone() *node {
	c := &node{id: n.id}
	if n.dir == nil {
		c.file = n.file
		c.live, c.synced = n.live.snapshot(), n.synced.snapshot()
		c.unsynced = slices.Clip(n.unsynced)
	}
	return c
}

func translate(names map[string]*node, clones map[*node]*node) map[string]*node {
	if names == nil {
		return nil
	}
	t := make(map[string]*node, len(names))
	for name, n := range names {
		t[name] = clones[n]
	}
	return t
}

// Crash returns a clone as the file system may be after a power cut now. What was synced is there. Of what was written
// since, any sectors of 512 octets may be, each in a state that it has had; of what was done to directories since, any
// part; a file that was created may have its name, and not its size. What is there is chosen by rng, the same for the
// same state of it: sometimes all, sometimes nothing, sometimes what came first. The two change apart, and share what they
// have in common.
func (m *Mem) Crash(rng *rand.Rand) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := newFate(rng, m.oldest(), m.seq)
	names := make(map[*node]map[string]*node)
	dice := f.dice(0)
	for _, op := range m.pending {
		if !f.survives(op.seq, dice) {
			continue
		}
		for _, e := range op.edits {
			if names[e.dir] == nil {
				names[e.dir] = maps.Clone(e.dir.kept)
			}
			e.applyTo(names[e.dir])
		}
	}
	after := &Mem{cfg: m.cfg, last: m.last, seq: m.seq, nodes: m.nodes}
	clones := make(map[*node]*node)
	var build func(n *node) *node
	build = func(n *node) *node {
		if c := clones[n]; c != nil {
			return c
		}
		c := &node{id: n.id}
		clones[n] = c
		if n.dir == nil {
			c.file = n.cut(f, n.id, m.cfg.Safe)
			return c
		}
		left, changed := names[n]
		if !changed {
			left = n.kept
		}
		c.dir = make(map[string]*node, len(left))
		for name, kid := range left {
			c.dir[name] = build(kid)
		}
		c.kept = maps.Clone(c.dir)
		return c
	}
	after.root = build(m.root)
	after.count()
	return after
}

// cut returns what a power cut leaves of a file.
func (f *file) cut(fate fate, id uint64, safe bool) file {
	if safe {
		return file{live: f.live.snapshot(), size: f.size, changed: f.changed, synced: pages{owner: new(owner)}}
	}
	left := file{live: f.synced.snapshot(), size: f.syncedSize, changed: f.changed}
	if len(f.unsynced) > 0 {
		dice := fate.dice(id)
		for _, w := range f.unsynced {
			if !fate.survives(w.seq, dice) {
				break
			}
			left.size = w.size
		}
		left.tear(f.unsynced, fate, dice)
	}
	left.synced, left.syncedSize = left.live.snapshot(), left.size
	return left
}

// tear applies some sectors of some writes. A sector that a write did not reach the disk for is as it was before, and
// stays so: its later states have that write in them.
func (f *file) tear(writes []write, fate fate, dice *rand.Rand) {
	stuck := make(map[int64]bool)
	for _, w := range writes {
		start, end := w.off, min(w.off+w.n, f.size)
		from := start // of the run of sectors that survive
		for at := start; at < end; {
			sector := at / sectorSize
			next := min(end, (sector+1)*sectorSize)
			if stuck[sector] || !fate.survives(w.seq, dice) {
				stuck[sector] = true
				if from < at {
					w.apply(&f.live, from, at)
				}
				from = next
			}
			at = next
		}
		if from < end {
			w.apply(&f.live, from, end)
		}
	}
}

// fate decides what survives a power cut.
type fate struct {
	seed   uint64
	chance float64 // of each operation, or sector of one, at the edge
	edge   uint64  // if not 0: what came before survives, what came after does not
}

// newFate draws one for the operations from oldest to latest.
func newFate(rng *rand.Rand, oldest, latest uint64) fate {
	f := fate{seed: rng.Uint64()}
	switch rng.IntN(8) {
	case 0: // nothing
	case 1:
		f.chance = 1
	case 2, 3, 4:
		f.chance = 0.5
		f.edge = oldest + rng.Uint64N(latest-oldest+1)
	default:
		f.chance = rng.Float64()
	}
	return f
}

// dice returns the chance of one file, or of the directories, apart from that of all others: no order of visiting
// them matters.
func (f fate) dice(id uint64) *rand.Rand { return rand.New(rand.NewPCG(f.seed, id)) }

func (f fate) survives(seq uint64, dice *rand.Rand) bool {
	if f.edge != 0 && seq != f.edge {
		return seq < f.edge
	}
	return dice.Float64() < f.chance
}

// oldest returns the first operation that a power cut can undo.
func (m *Mem) oldest() uint64 {
	first := m.seq
	if len(m.pending) > 0 {
		first = min(first, m.pending[0].seq)
	}
	for n := range m.reachable() {
		if len(n.unsynced) > 0 {
			first = min(first, n.unsynced[0].seq)
		}
	}
	return first
}

// reachable returns every node that has a name, now or after a power cut.
func (m *Mem) reachable() map[*node]bool {
	found := make(map[*node]bool)
	var visit func(n *node)
	visit = func(n *node) {
		if n == nil || found[n] {
			return
		}
		found[n] = true
		for _, kid := range n.dir {
			visit(kid)
		}
		for _, kid := range n.kept {
			visit(kid)
		}
	}
	visit(m.root)
	for _, op := range m.pending {
		for _, e := range op.edits {
			visit(e.dir)
			visit(e.node)
		}
	}
	return found
}

// count finds out, for a clone, how many names each file has and what room they take.
func (m *Mem) count() {
	var visit func(dir *node)
	visit = func(dir *node) {
		for _, kid := range dir.dir {
			kid.links++
			switch {
			case kid.dir != nil:
				visit(kid)
			case kid.links == 1:
				m.used += taken(kid.size)
			}
		}
	}
	visit(m.root)
}
