package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
)

// stamp tells whether a file has changed. The zero value is of one that is not there.
type stamp struct{ info os.FileInfo }

// stampOf follows links, so that one that leads elsewhere is a change.
func stampOf(name string) stamp {
	info, err := os.Stat(name)
	if err != nil {
		return stamp{} // reading it says what is wrong
	}
	return stamp{info}
}

func (s stamp) is(t stamp) bool {
	if s.info == nil || t.info == nil {
		return s.info == nil && t.info == nil
	}
	return s.info.ModTime().Equal(t.info.ModTime()) && s.info.Size() == t.info.Size() && os.SameFile(s.info, t.info)
}

// warnIfOpen says that everybody may read what should be secret.
func (s stamp) warnIfOpen(ctx context.Context, log *slog.Logger, name string) {
	if s.info != nil && s.info.Mode().Perm()&0o007 != 0 {
		log.WarnContext(ctx, "every user of this machine can read the keys, or write them: chmod o= the file", "file", name)
	}
}

// watched are files that are read again when they have changed.
type watched struct {
	names []string
	seen  map[string]stamp // when they were looked at
	taken map[string]stamp // of what was read
}

func newWatched(names ...string) watched {
	return watched{names: names, seen: make(map[string]stamp), taken: make(map[string]stamp)}
}

// due reports whether files are to be read: some have changed, and none since it was last called. Who writes one may be half done, and half of a file can be one that is valid.
func (w *watched) due() bool {
	settled, changed := true, false
	for _, name := range w.names {
		now := stampOf(name)
		settled = settled && now.is(w.seen[name])
		changed = changed || now.info == nil || !now.is(w.taken[name])
		w.seen[name] = now
	}
	return settled && changed
}

// errMoving says that a file has changed while it was read.
var errMoving = errors.New("the file has changed while it was read; it is read again when it is at rest")

// forget has files read again that could not be, though they may stay as they are: what changes while it is read, and what may not be read yet.
func (w *watched) forget(err error) {
	if errors.Is(err, errMoving) {
		clear(w.taken)
	} else if unread, ok := errors.AsType[*fs.PathError](err); ok {
		delete(w.taken, unread.Path)
	}
}

// load has a file parsed that is as before says.
func load(name string, before stamp, parse func(text []byte) error) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if !stampOf(name).is(before) {
		return fmt.Errorf("%s: %w", name, errMoving)
	}
	return parse(text)
}

// take reports whether a file is to be read: it has changed since it was. One that cannot be is not tried again until it changes, but for one
// that is not there.
func (w *watched) take(name string) (now stamp, changed bool) {
	now = stampOf(name)
	if last, ok := w.taken[name]; ok && now.is(last) && now.info != nil {
		return now, false
	}
	w.taken[name] = now
	return now, true
}
