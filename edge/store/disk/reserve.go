package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// reserve is how many empty segments are kept: one for what comes next, and one for those who make room.
const reserve = 2

// take returns an empty segment, or nil and what is closed when there is one more. The last one is for those who make room.
func (v *volume) take(mayReserve bool) (g *segment, stocked chan struct{}) {
	defer poke(v.kick)
	v.mu.Lock()
	defer v.mu.Unlock()
	if n := len(v.free); n < reserve && (n == 0 || !mayReserve) {
		return nil, v.stocked
	}
	g = v.free[0]
	v.free = v.free[1:]
	return g, nil
}

// giveBack puts an empty segment back.
func (v *volume) giveBack(g *segment) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.free = append([]*segment{g}, v.free...)
	close(v.stocked)
	v.stocked = make(chan struct{})
}

// stock makes empty segments as long as there is room, and reports whether that is enough of them.
func (v *volume) stock() (enough bool, err error) {
	for {
		v.mu.Lock()
		lack, room := len(v.free) < reserve, v.used+v.segSize <= v.size
		number := v.next
		v.next++
		v.mu.Unlock()
		if !lack {
			return true, nil
		}
		if !room {
			v.lapped.Store(true)
			return false, nil
		}
		if err := v.make(number); errors.Is(err, fs.ErrExist) {
			continue // none of ours
		} else if err != nil {
			return false, err
		}
	}
}

// make makes an empty segment.
func (v *volume) make(number uint64) error {
	f, err := v.fs.Create(v.segmentName(number), v.segSize)
	if err != nil {
		return fmt.Errorf("making segment %016x: %w", number, err)
	}
	if err := v.fs.SyncDir(v.path); err != nil {
		_ = f.Close() // the disk is bad
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	g, err := v.newSegmentLocked(number, v.segSize)
	if err != nil {
		_ = f.Close() // it is removed at the next start
		return err
	}
	if err := g.use(f); err != nil {
		return err
	}
	v.free = append(v.free, g)
	close(v.stocked)
	v.stocked = make(chan struct{})
	return nil
}

// retryAfter is how long a disk without room, or a process without descriptors, is left alone.
const retryAfter = 5 * time.Second

// reclaiming keeps empty segments in stock, in the background.
func (v *volume) reclaiming() {
	select {
	case <-v.ready:
	case <-v.store.done:
		return
	}
	timer := time.NewTimer(retryAfter)
	timer.Stop()
	defer timer.Stop()
	starved := false
	for !v.dead() && !v.store.isClosed() {
		enough, err := v.stock()
		if err != nil {
			v.wrote(err)
			v.log.Warn("there is no room for another segment: what is there is used", "error", err)
		}
		more := (!enough || v.lostOne() != nil) && !v.dead() && v.reclaimOne()
		if more && (err == nil || !starved) {
			starved = err != nil
			continue
		}
		starved = false
		kick := v.kick
		if err != nil {
			timer.Reset(retryAfter)
			kick = nil
		}
		select {
		case <-v.store.done:
			return
		case <-timer.C:
		case <-kick:
		}
	}
}
