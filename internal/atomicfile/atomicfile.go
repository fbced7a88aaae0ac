// Package atomicfile replaces small files so that a crash or power cut leaves
// either the old content or the new, never a mixture.
//
// It is not for logs or anything that is appended to.
package atomicfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Write replaces the file at path with data. When it returns nil, the content
// and the name are on disk. After an error the file has either its old content or,
// if only making the new name durable failed, all of the new.
func Write(path string, data []byte, perm os.FileMode) error {
	return write(path, data, func(f *os.File) error { return f.Chmod(perm) })
}

// Replace is [Write] for a file that is there, and keeps its owner and mode: whoever could read it still can, whoever writes it. A process that may not
// give files away gets an error if the file is somebody else's, and nothing has changed.
func Replace(path string, data []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return write(path, data, func(f *os.File) error {
		return errors.Join(keepOwner(f, info), f.Chmod(info.Mode().Perm()))
	})
}

// keepOwner gives a file to who owns another one.
func keepOwner(f *os.File, like os.FileInfo) error {
	made, err := f.Stat()
	if err != nil {
		return err
	}
	want, ok := like.Sys().(*syscall.Stat_t)
	have, also := made.Sys().(*syscall.Stat_t)
	if !ok || !also || want.Uid == have.Uid && want.Gid == have.Gid {
		return nil
	}
	if err := f.Chown(int(want.Uid), int(want.Gid)); err != nil {
		return fmt.Errorf("keeping the owner: %w", err)
	}
	return nil
}

// write puts data in the place of the file at path; own settles whose it is.
func write(path string, data []byte, own func(*os.File) error) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".tmp-*")
	if err != nil {
		return fmt.Errorf("creating a temporary file: %w", err)
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name()) //nolint:errcheck // the first error is the one to report
		}
	}()
	if err := fill(f, data, own); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// fill writes, syncs and closes f.
func fill(f *os.File, data []byte, own func(*os.File) error) error {
	_, err := f.Write(data)
	if err == nil {
		err = own(f)
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// syncDir makes a rename durable: the name lives in the directory, not in the file.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if closeErr := d.Close(); err == nil {
		err = closeErr
	}
	return err
}
