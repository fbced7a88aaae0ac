package querylog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// file is what lines are appended to. It is begun anew when it would get longer than limit, and found again when somebody has moved it away. It is for one goroutine.
type file struct {
	path  string
	limit int64 // octets; zero: none

	open    *os.File    // nil while there is none
	info    os.FileInfo // of open, when it was looked at last
	size    int64       // of open
	torn    bool        // it ends within a line
	trouble error       // why nothing can be written until the next look; nil if something can
}

// errUnbegun says that a file is as long as it may be and another could not be begun.
var errUnbegun = errors.New("it is as long as it may be, and cannot be renamed so that another begins: give a folder that may be written to, or no limit")

// begin opens the file that is there, or makes one that may be read by those who might the one before.
func (f *file) begin() error {
	mode := fs.FileMode(0o640)
	if f.info != nil {
		mode = f.info.Mode().Perm()
	}
	next, err := os.OpenFile(f.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, mode)
	if err != nil {
		return err //nolint:wrapcheck // it names the file
	}
	info, err := next.Stat()
	if err != nil {
		return errors.Join(err, next.Close())
	}
	f.close()
	f.open, f.info, f.size, f.torn = next, info, info.Size(), torn(f.path, info)
	return nil
}

// torn reports whether a file ends within a line, as one does that was written to when a disk was full, or the machine went down. Who may not read it knows nothing.
func torn(path string, info fs.FileInfo) bool {
	if !info.Mode().IsRegular() || info.Size() == 0 {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close() //nolint:errcheck // nothing was written
	last := []byte{'\n'}
	if _, err := f.ReadAt(last, info.Size()-1); err != nil {
		return false
	}
	return last[0] != '\n'
}

func (f *file) close() {
	if f.open != nil {
		f.open.Close() //nolint:errcheck // every line was written or has failed
		f.open = nil
	}
}

// look finds out whether the path is still the file that is open, and opens what is there instead. It ends trouble: what failed is tried again.
func (f *file) look() {
	f.trouble = nil
	now, err := os.Stat(f.path)
	switch {
	case err == nil && os.SameFile(now, f.info):
		f.info, f.size = now, now.Size() // others may have cut it short
		return
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return // who may not look knows nothing; what is open can be written to
	}
	f.trouble = f.begin()
}

// append writes a line, which ends with a line feed. If it cannot, it says why, and some of the line may be there.
func (f *file) append(line []byte) error {
	if f.trouble == nil && f.full(len(line)) {
		f.trouble = f.roll(len(line))
	}
	if f.trouble != nil {
		return f.trouble
	}
	if f.torn {
		line = append([]byte("\n"), line...)
	}
	n, err := f.open.Write(line)
	f.size += int64(n)
	f.torn = err != nil && (n > 0 || f.torn)
	return err //nolint:wrapcheck // it names the file
}

// full reports whether a file has no room for more. One that has nothing takes every line; and what is no file cannot be renamed.
func (f *file) full(more int) bool {
	return f.limit > 0 && f.size > 0 && f.size+int64(more) > f.limit && f.info.Mode().IsRegular()
}

// roll renames the file to FILE.1, in place of the one before, and begins another. If somebody has made room already, that is enough.
func (f *file) roll(more int) error {
	if f.look(); f.trouble != nil || !f.full(more) {
		return f.trouble
	}
	path, err := filepath.EvalSymlinks(f.path) // a link stays one, and does not hide how much there is
	if err == nil {
		err = os.Rename(path, path+".1")
	}
	if err != nil {
		return fmt.Errorf("%w (%w)", errUnbegun, err)
	}
	return f.begin()
}
