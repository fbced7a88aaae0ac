package fsys

import "time"

// Open implements [FS].
func (f *Faulty) Open(name string) (File, error) {
	return f.open(Call{Op: OpOpen, Name: name}, func() (File, error) { return f.base.Open(name) })
}

// Create implements [FS].
func (f *Faulty) Create(name string, size int64) (File, error) {
	return f.open(Call{Op: OpCreate, Name: name, Len: size}, func() (File, error) { return f.base.Create(name, size) })
}

func (f *Faulty) open(c Call, right func() (File, error)) (File, error) {
	file, err := get(f, c, right)
	if err != nil {
		return nil, err
	}
	return &faultyFile{f, file, c.Name}, nil
}

// Remove implements [FS].
func (f *Faulty) Remove(name string) error {
	return f.simple(Call{Op: OpRemove, Name: name}, func() error { return f.base.Remove(name) })
}

// Rename implements [FS].
func (f *Faulty) Rename(from, to string) error {
	return f.simple(Call{Op: OpRename, Name: from, To: to}, func() error { return f.base.Rename(from, to) })
}

// ReadDir implements [FS].
func (f *Faulty) ReadDir(name string) ([]string, error) {
	return get(f, Call{Op: OpReadDir, Name: name}, func() ([]string, error) { return f.base.ReadDir(name) })
}

// MkdirAll implements [FS].
func (f *Faulty) MkdirAll(name string) error {
	return f.simple(Call{Op: OpMkdirAll, Name: name}, func() error { return f.base.MkdirAll(name) })
}

// SyncDir implements [FS].
func (f *Faulty) SyncDir(name string) error {
	return f.simple(Call{Op: OpSyncDir, Name: name}, func() error { return f.base.SyncDir(name) })
}

// Free implements [FS].
func (f *Faulty) Free(name string) (int64, error) {
	return get(f, Call{Op: OpFree, Name: name}, func() (int64, error) { return f.base.Free(name) })
}

// simple makes a call that does nothing when it fails.
func (f *Faulty) simple(c Call, right func() error) error {
	return f.do(c, right, func(c Call, fault *Fault) error { return c.fail(fault.Err) })
}

// get makes a call that returns something.
func get[T any](f *Faulty, c Call, right func() (T, error)) (T, error) {
	var got T
	err := f.simple(c, func() (err error) {
		got, err = right()
		return err
	})
	return got, err
}

// faultyFile is an open file of [Faulty].
type faultyFile struct {
	fs   *Faulty
	base File
	name string
}

// ReadAt implements [File].
func (f *faultyFile) ReadAt(p []byte, off int64) (int, error) {
	return f.move(OpReadAt, p, off, f.base.ReadAt)
}

// ReadCached implements [File].
func (f *faultyFile) ReadCached(p []byte, off int64) (int, error) {
	return f.move(OpReadCached, p, off, f.base.ReadCached)
}

// WriteAt implements [File].
func (f *faultyFile) WriteAt(p []byte, off int64) (int, error) {
	return f.move(OpWriteAt, p, off, f.base.WriteAt)
}

// move makes a call that moves octets.
func (f *faultyFile) move(op Op, p []byte, off int64, base func([]byte, int64) (int, error)) (n int, err error) {
	right := func() error {
		n, err = base(p, off)
		return err
	}
	err = f.fs.do(f.call(op, off, len(p)), right, func(c Call, fault *Fault) error {
		var baseErr error
		if fault.Torn != nil && op == OpWriteAt {
			n, baseErr = f.tear(fault, p, off)
		} else if short := max(0, min(fault.Short, len(p))); short > 0 {
			n, baseErr = base(p[:short], off)
		}
		if baseErr != nil {
			return baseErr
		}
		return c.fail(fault.Err)
	})
	return n, err
}

// tear writes some sectors, and returns what the caller is to believe.
func (f *faultyFile) tear(fault *Fault, p []byte, off int64) (int, error) {
	for done := 0; done < len(p); {
		at := off + int64(done)
		sector := at / sectorSize * sectorSize
		next := min(len(p), done+int(sector+sectorSize-at))
		if !fault.Torn(sector) {
			if _, err := f.base.WriteAt(p[done:next], at); err != nil {
				return 0, err
			}
		}
		done = next
	}
	if fault.Err != nil {
		return 0, nil //nolint:nilerr // move returns it
	}
	return len(p), nil
}

// Sync implements [File].
func (f *faultyFile) Sync() error {
	return f.fs.do(f.call(OpSync, 0, 0), f.base.Sync, func(c Call, fault *Fault) error {
		f.lose()
		return c.fail(fault.Err)
	})
}

// lose makes of what lies beneath what a failed Sync leaves.
func (f *faultyFile) lose() {
	switch base := f.base.(type) {
	case *memFile:
		base.lose()
	case *faultyFile:
		base.lose()
	}
}

// Size implements [File].
func (f *faultyFile) Size() (int64, error) { return get(f.fs, f.call(OpSize, 0, 0), f.base.Size) }

// Changed implements [File].
func (f *faultyFile) Changed() (time.Time, error) {
	return get(f.fs, f.call(OpChanged, 0, 0), f.base.Changed)
}

// Fd implements [File].
func (f *faultyFile) Fd() int { return f.base.Fd() }

// Close implements [File]. If it is to fail, the descriptor is given back all the same, as Linux does.
func (f *faultyFile) Close() error {
	return f.fs.do(f.call(OpClose, 0, 0), f.base.Close, func(c Call, fault *Fault) error {
		if err := f.base.Close(); err != nil {
			return err
		}
		return c.fail(fault.Err)
	})
}

func (f *faultyFile) call(op Op, off int64, n int) Call {
	return Call{Op: op, Name: f.name, Off: off, Len: int64(n)}
}
