package table

import (
	"sync"

	"nearcast/cdn"
)

// Limits of a feed.
const (
	// Kept is how many differences are remembered.
	Kept = 128
	// AtOnce is how many differences there are in one answer at most.
	AtOnce = 16
)

// Feed hands out versions. Its methods may be called from any goroutine. The zero value is not ready; see [NewFeed].
type Feed struct {
	mu      sync.Mutex // guards the following
	latest  *cdn.RouteTable
	diffs   []*Piece // to one version after the other, the last of them to the latest
	whole   *Piece   // as it was asked for last; nil: nobody has asked
	changed chan struct{}
}

// NewFeed returns a feed without a version.
func NewFeed() *Feed { return &Feed{changed: make(chan struct{})} }

// Publish makes a version the latest and wakes who waits.
func (f *Feed) Publish(v Version) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if v.Diff == nil {
		f.diffs, f.whole = nil, nil
	} else {
		if len(f.diffs) == Kept {
			f.diffs = append(f.diffs[:0], f.diffs[1:]...)
		}
		f.diffs = append(f.diffs, &Piece{table: v.Diff})
	}
	f.latest = v.Whole
	close(f.changed)
	f.changed = make(chan struct{})
}

// Latest returns the latest table, whole, or nil if there is none.
func (f *Feed) Latest() *cdn.RouteTable {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.latest
}

// After returns what makes of a version of an epoch the latest, or some of the way there: differences in order, or a whole table and then
// differences. There is nothing if the version is the latest; then changed is closed when there is a later one.
func (f *Feed) After(epoch string, version uint64) (pieces []*Piece, changed <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.latest == nil, f.latest.Epoch == epoch && version >= f.latest.Version:
		return nil, f.changed
	case f.latest.Epoch == epoch && f.latest.Version-version <= uint64(len(f.diffs)):
		return f.afterLocked(version), nil
	}
	// To encode a whole table is dear: one that was asked for lately is good enough, with what has come since.
	if f.whole == nil || f.latest.Version-f.whole.table.Version >= AtOnce {
		f.whole = &Piece{table: f.latest}
	}
	return append([]*Piece{f.whole}, f.afterLocked(f.whole.table.Version)...), nil
}

// afterLocked returns the first differences after a version, which is within reach.
func (f *Feed) afterLocked(version uint64) []*Piece {
	behind := int(f.latest.Version - version) //nolint:gosec // at most Kept
	diffs := f.diffs[len(f.diffs)-behind:]
	return append([]*Piece(nil), diffs[:min(len(diffs), AtOnce)]...)
}
