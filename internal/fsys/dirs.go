package fsys

import (
	"errors"
	"io/fs"
	"path/filepath"
)

// MakeDir makes a directory and those above it that are missing, as MkdirAll does, and makes their names durable. For one
// that is there already this is tried all the same, since whoever made it may not have come to it; whether
// that succeeds makes no difference, for the one above may be somebody else's.
func MakeDir(f FS, name string) error {
	name = filepath.Clean(name)
	missing := 0
	for dir := name; ; dir = filepath.Dir(dir) {
		if _, err := f.ReadDir(dir); !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			break
		}
		missing++
	}
	if err := f.MkdirAll(name); err != nil {
		return err
	}
	above := filepath.Dir(name)
	if missing == 0 {
		_ = f.SyncDir(above) // see above
	}
	for ; missing > 0; missing-- {
		if err := f.SyncDir(above); err != nil {
			return err
		}
		above = filepath.Dir(above)
	}
	return nil
}
