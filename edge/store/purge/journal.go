package purge

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"nearcast/cdn"
	"nearcast/edge/store"
	"nearcast/internal/fsys"
)

// The names in the log's directory. The second becomes the first once it is whole.
const (
	fileName = "purges"
	newName  = "purges.new"
)

// journal is the records in the order in which they came, in a file or, without a directory, in memory. It is used by one
// goroutine at a time.
type journal struct {
	fs  fsys.FS
	dir string

	file    fsys.File   // nil without a directory, or where there is no file that can be used
	memory  []byte      // without a directory
	size    int64       // of the whole records
	durable int64       // of that, what has been synced
	items   int         // see record.items
	lost    []record    // that could not be written
	given   store.Epoch // up to which so much could not be written that only everything covers it; zero if that is not so
	unsafe  bool        // a power cut may put an older file in the place of this one
	buffer  []byte
}

func (j *journal) path(name string) string { return filepath.Join(j.dir, name) }

// append writes a record at the end. After an error the file is not to be relied on: see Log.renew.
func (j *journal) append(r *record, sync bool) error {
	j.buffer = appendRecord(j.buffer[:0], r, j.durable)
	if len(j.buffer) > headSize+maxPayload {
		return fmt.Errorf("a purge of %d octets cannot be stored, at most %d are possible", len(j.buffer), maxPayload)
	}
	size := j.size + int64(len(j.buffer))
	switch {
	case j.dir == "":
		j.memory, j.durable = append(j.memory, j.buffer...), size
	case j.behind() || j.unsafe || j.file == nil:
		return errors.New("what came before it is not on disk")
	default:
		if _, err := j.file.WriteAt(j.buffer, j.size); err != nil {
			return err
		}
		if sync {
			if err := j.file.Sync(); err != nil {
				return err
			}
			j.durable = size
			if err := j.mark(); err != nil {
				return err
			}
		}
	}
	j.size, j.items = size, j.items+r.items()
	return nil
}

// mark writes down how much of the file is durable, so that damage before that is not taken for unfinished writing. The mark itself
// becomes durable with the next sync: until then it may be missing after a power cut, which is no harm.
func (j *journal) mark() error {
	mark := appendRecord(nil, &record{kind: kindMark, revision: cdn.Revision(j.durable)}, 0)
	_, err := j.file.WriteAt(mark, markAt)
	return err
}

// reader returns the octets of the records.
func (j *journal) reader() io.ReaderAt {
	if j.file == nil {
		return bytes.NewReader(j.memory)
	}
	return j.file
}

// each calls f with each record, those that could not be written last.
func (j *journal) each(f func(r *record) error) error {
	end, err := scan(j.reader(), j.size, true, f)
	if err == nil && end != j.size {
		err = errDamaged
	}
	for i := range j.lost {
		if err == nil {
			err = f(&j.lost[i])
		}
	}
	return err
}

// open opens the file and returns its size; there is none if the error is [fs.ErrNotExist].
func (j *journal) open() (size int64, err error) {
	if err := j.fs.MkdirAll(j.dir); err != nil {
		return 0, err
	}
	if err := j.fs.Remove(j.path(newName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	if j.file, err = j.fs.Open(j.path(fileName)); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = errors.Join(err, j.fs.SyncDir(filepath.Dir(j.dir))) // the directory may be new
		}
		return 0, err
	}
	return j.file.Size()
}

// replace puts a new file with records in place of the old one. write gets a function that takes them. After an error
// the old one, if any, is still in use, or nothing more is written before another call succeeds.
func (j *journal) replace(write func(put func(r *record) error) error) error {
	next := journal{fs: j.fs, dir: j.dir}
	err := next.create(write)
	if err == nil && j.dir != "" {
		err = j.fs.Rename(j.path(newName), j.path(fileName))
	}
	if err != nil {
		next.close() //nolint:errcheck // the first error is the one to report
		return err
	}
	if j.dir != "" {
		err = j.fs.SyncDir(j.dir)
	}
	j.close() //nolint:errcheck // everything in it is in the new one
	*j = next
	j.unsafe = err != nil
	return err
}

// create writes a file under the new name and syncs it.
func (j *journal) create(write func(put func(r *record) error) error) (err error) {
	if j.dir != "" {
		if err := j.fs.Remove(j.path(newName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if j.file, err = j.fs.Create(j.path(newName), 0); err != nil {
			return err
		}
		if err := j.mark(); err != nil { // a disk that takes nothing is found out before there is work
			return err
		}
		if err := j.file.Sync(); err != nil {
			return err
		}
	}
	var batch []byte
	flush := func() error {
		if j.dir == "" {
			j.memory = append(j.memory, batch...)
		} else if _, err := j.file.WriteAt(batch, j.size); err != nil {
			return err
		}
		j.size += int64(len(batch))
		batch = batch[:0]
		return nil
	}
	err = write(func(r *record) error {
		if j.size+int64(len(batch)) == markAt {
			batch = appendRecord(batch, &record{kind: kindMark}, 0) // its place
		}
		batch = appendRecord(batch, r, 0)
		j.items += r.items()
		if len(batch) < 1<<20 {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	j.durable = j.size
	if err == nil && j.file != nil {
		err = j.mark()
	}
	if err == nil && j.file != nil {
		err = j.file.Sync()
	}
	return err
}

// abandon makes the next start find no log, after which everything is gone: better than one that lacks a purge.
func (j *journal) abandon() error {
	if j.dir == "" {
		return nil
	}
	if err := j.fs.Remove(j.path(fileName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return j.fs.SyncDir(j.dir)
}

// maxLost bounds the records that wait for a disk.
const maxLost = 1 << 16

// keep remembers a record that could not be written.
func (j *journal) keep(r *record) {
	if j.lost = append(j.lost, *r); len(j.lost) > maxLost {
		j.lost, j.given = nil, r.epoch
	}
}

// behind reports whether something could not be written.
func (j *journal) behind() bool { return len(j.lost) > 0 || j.given > 0 }

func (j *journal) close() error {
	if j.file == nil {
		return nil
	}
	f := j.file
	j.file = nil
	return f.Close()
}

// errDamaged is that something is wrong before the end.
var errDamaged = errors.New("the purge log is damaged")

// scanChunk is how much is read at a time.
const scanChunk = 1 << 20

// scan calls f with each record, and returns where the last whole one ends. What comes then is the rest of what
// was being written when the machine or the process died, or else the error is errDamaged: a whole record that follows
// knows how far the file was durable when it was written, and so does the mark. live says that the size is known to be right, and
// the mark does not matter.
func scan(file io.ReaderAt, size int64, live bool, f func(r *record) error) (end int64, err error) {
	w := window{file: file, size: size}
	for end < size {
		if live && end == markAt {
			end += headSize + fixedSize
			continue
		}
		head, err := w.at(end, headSize)
		if err != nil {
			return end, err
		}
		frame, err := readFrame(head)
		if err != nil || frame.size() > size-end {
			return end, w.torn(end)
		}
		p, err := w.at(end, int(frame.size()))
		if err != nil {
			return end, err
		}
		r, _, err := readRecord(p)
		if err != nil {
			return end, w.torn(end)
		}
		switch {
		case (end == markAt) != (r.kind == kindMark):
			return end, errDamaged
		case r.kind == kindMark:
			w.mark = int64(r.revision)
		default:
			if err := f(&r); err != nil {
				return end, err
			}
		}
		end += frame.size()
	}
	if end < w.mark {
		return end, errDamaged // it has been cut off
	}
	return end, nil
}

// window is a part of a file in memory.
type window struct {
	file   io.ReaderAt
	size   int64
	start  int64
	octets []byte
	mark   int64 // how much of the file was durable at some time
}

// at returns n octets from an offset, fewer at the end of the file.
func (w *window) at(offset int64, n int) ([]byte, error) {
	n = int(min(int64(n), w.size-offset))
	if offset < w.start || offset+int64(n) > w.start+int64(len(w.octets)) {
		w.start = offset
		w.octets = make([]byte, min(int64(max(n, scanChunk)), w.size-offset))
		if read, err := w.file.ReadAt(w.octets, offset); read < len(w.octets) {
			return nil, fmt.Errorf("reading at %d: %w", offset, err)
		}
	}
	at := offset - w.start
	return w.octets[at : at+int64(n)], nil
}

// torn reports whether what is wrong at an offset is only that writing did not come to its end.
func (w *window) torn(end int64) error {
	if end < w.mark {
		return errDamaged
	}
	rest, err := w.at(end, int(w.size-end))
	if err != nil {
		return err
	}
	for i := 8; i+headSize <= len(rest); i += 8 {
		if string(rest[i:i+len(magic)]) != magic {
			continue
		}
		if _, f, err := readRecord(rest[i:]); err == nil && f.durable > end {
			return errDamaged
		}
	}
	return nil
}
