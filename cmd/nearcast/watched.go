package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"nearcast/internal/filestamp"
)

// warnIfOpen says that everybody may read a file that should be secret.
func warnIfOpen(ctx context.Context, log *slog.Logger, name string) {
	if info, err := os.Stat(name); err == nil && info.Mode().Perm()&0o007 != 0 {
		log.WarnContext(ctx, "every user of this machine can read the keys, or write them: chmod o= the file", "file", name)
	}
}

// watched are files that are read again when they have changed.
type watched struct {
	names []string
	seen  map[string]filestamp.Stamp // when they were looked at
	taken map[string]filestamp.Stamp // of what was read
}

func newWatched(names ...string) watched {
	return watched{names: names, seen: make(map[string]filestamp.Stamp), taken: make(map[string]filestamp.Stamp)}
}

// due reports whether files are to be read: some have changed, and none since it was last called. Who writes one may be
// half done, and half of a file can be one that is valid.
func (w *watched) due() bool {
	settled, changed := true, false
	for _, name := range w.names {
		now := filestamp.Of(name)
		settled = settled && now.Same(w.seen[name])
		changed = changed || !now.There() || !now.Same(w.taken[name])
		w.seen[name] = now
	}
	return settled && changed
}

// errMoving says that a file has changed while it was read.
var errMoving = errors.New("the file has changed while it was read; it is read again when it is at rest")

// forget has files read again that could not be, though they may stay as they are: what changes while it is read, and
// what may not be read yet.
func (w *watched) forget(err error) {
	if errors.Is(err, errMoving) {
		clear(w.taken)
	} else if unread, ok := errors.AsType[*fs.PathError](err); ok {
		delete(w.taken, unread.Path)
	}
}

// load has a file parsed that is as before says.
func load(name string, before filestamp.Stamp, parse func(text []byte) error) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if !filestamp.Of(name).Same(before) {
		return fmt.Errorf("%s: %w", name, errMoving)
	}
	return parse(text)
}

// take reports whether a file is to be read: it has changed since it was. One that cannot be is not tried again until it
// changes, but for one that is not there.
func (w *watched) take(name string) (now filestamp.Stamp, changed bool) {
	now = filestamp.Of(name)
	if last, ok := w.taken[name]; ok && now.Same(last) && now.There() {
		return now, false
	}
	w.taken[name] = now
	return now, true
}

// every calls look each interval until ctx ends.
func every(ctx context.Context, interval time.Duration, look func()) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			look()
		}
	}
}

// complaint is what was wrong when it was looked last, so that it is logged once however often that is.
type complaint struct{ text string }

// news reports whether something is wrong that was not wrong the last time. What is well again may be told anew.
func (c *complaint) news(err error) bool {
	if err == nil {
		c.text = ""
		return false
	}
	known := c.text == err.Error()
	c.text = err.Error()
	return !known
}
