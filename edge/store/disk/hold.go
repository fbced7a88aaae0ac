package disk

import (
	"slices"
	"time"
)

const (
	// maxLingering is how many segments may be kept for those who hold them after they have been given up; fewer on a disk of few segments.
	maxLingering = 2
	// lingerFor is for how long.
	lingerFor = 30 * time.Second
)

// Hold implements [store.Extent].
func (x *extent) Hold() bool { return x.segment.hold() }

// Release implements [store.Extent].
func (x *extent) Release() { x.segment.release() }

// hold keeps the file open until release, though the segment may be given up meanwhile. It reports false if that has happened already.
func (g *segment) hold() bool {
	if !g.enter() {
		return false
	}
	defer g.leave()
	g.held.Add(1)
	return true
}

func (g *segment) release() {
	if g.held.Add(-1) == 0 && g.gone.Load() {
		g.expel()
	}
}

// close keeps new readers out for good, and waits for those that are in. The file stays open for those who hold it.
func (g *segment) close() {
	g.door.Lock()
	defer g.door.Unlock()
	g.gone.Store(true)
	if g.held.Load() == 0 {
		g.shut()
	}
}

// expel closes the file of a segment that is gone, whoever holds it, so that its room is free.
func (g *segment) expel() {
	g.door.Lock()
	defer g.door.Unlock()
	g.shut()
	g.volume.vacated(g)
}

// lingerLocked counts the room of a segment that is gone as taken for as long as its file is open. It returns the segment that has to go for
// that, if there are too many. v.mu must be held.
func (v *volume) lingerLocked(g *segment) (over *segment) {
	g.deadline = time.AfterFunc(lingerFor, g.expel)
	v.lingering = append(v.lingering, g)
	if len(v.lingering) > int(min(maxLingering, v.size/v.segSize/8)) {
		return v.lingering[0]
	}
	return nil
}

// vacated gives back the room of a segment that has lingered.
func (v *volume) vacated(g *segment) {
	v.mu.Lock()
	defer v.mu.Unlock()
	i := slices.Index(v.lingering, g)
	if i < 0 {
		return
	}
	g.deadline.Stop()
	v.lingering = slices.Delete(v.lingering, i, i+1)
	v.used -= g.size
	poke(v.kick)
}
