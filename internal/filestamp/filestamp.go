// Package filestamp tells without reading it whether a file has changed since it was looked at.
//
// It is not for when to look, nor for what to make of a file that somebody is still writing.
package filestamp

import (
	"os"
	"time"
)

// Stamp is what a file looked like. The zero value is that of a file that is not there.
type Stamp struct{ info os.FileInfo }

// Of returns the stamp of a file now. Links are followed, so that one that leads elsewhere is a change. A file that
// cannot be looked at counts as not there: whoever reads it is told why.
func Of(name string) Stamp {
	info, err := os.Stat(name)
	if err != nil {
		return Stamp{}
	}
	return Stamp{info}
}

// There reports whether there was a file.
func (s Stamp) There() bool { return s.info != nil }

// ModTime returns when the file was written last; the zero time if there was none.
func (s Stamp) ModTime() time.Time {
	if s.info == nil {
		return time.Time{}
	}
	return s.info.ModTime()
}

// Same reports whether the file has not changed between two stamps. It compares time, size and the file itself: one that
// was renamed into place may have both from the one before.
func (s Stamp) Same(t Stamp) bool {
	if s.info == nil || t.info == nil {
		return s.info == nil && t.info == nil
	}
	return s.info.ModTime().Equal(t.info.ModTime()) && s.info.Size() == t.info.Size() && os.SameFile(s.info, t.info)
}
