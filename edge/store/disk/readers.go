package disk

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"nearcast/edge/store/disk/record"
	"nearcast/internal/fsys"
)

const (
	// maxReaders is how many reads of a disk may wait for it at once.
	maxReaders = 64
	// maxQueue is how many more may wait for those, and queueFor how long.
	maxQueue = 256
	queueFor = 2 * time.Second
)

// readers bounds the reads that wait for a disk, since each takes a thread.
type readers struct {
	running chan struct{}
	waiting atomic.Int32
}

func newReaders() *readers { return &readers{running: make(chan struct{}, maxReaders)} }

// begin waits for a turn, until end. It reports false if too many wait, or it takes too long.
func (r *readers) begin() bool {
	select {
	case r.running <- struct{}{}:
		return true
	default:
	}
	defer r.waiting.Add(-1)
	if r.waiting.Add(1) > maxQueue {
		return false
	}
	timer := time.NewTimer(queueFor)
	defer timer.Stop()
	select {
	case r.running <- struct{}{}:
		return true
	case <-timer.C:
		return false
	}
}

func (r *readers) end() { <-r.running }

// read reads octets of a segment, whose door must be held: from the buffer if they are there yet, from the page cache if
// they are there, else in a turn.
func (v *volume) read(g *segment, p []byte, off int64) error {
	if off < 0 || off+int64(len(p)) > g.size {
		return record.ErrDamaged
	}
	if w := g.writer.Load(); w != nil {
		p = p[:w.copyTail(p, off)]
	}
	if len(p) == 0 {
		return nil
	}
	f, err := g.handle()
	if err != nil {
		return err
	}
	n, err := f.ReadCached(p, off)
	if errors.Is(err, fsys.ErrNotCached) {
		if !v.readers.begin() {
			v.counts.refusedReads.Add(1)
			return errBusy
		}
		defer v.readers.end()
		var more int
		more, err = f.ReadAt(p[n:], off+int64(n))
		n += more
	}
	switch {
	case n == len(p):
		v.counts.readOctets.Add(int64(n))
		return nil
	case err == nil, errors.Is(err, io.EOF):
		return record.ErrDamaged // the file has been cut
	}
	return fmt.Errorf("reading %d octets at %d of segment %016x: %w", len(p), off, g.number, err)
}
