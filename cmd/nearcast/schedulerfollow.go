package main

import (
	"context"
	"fmt"
	"log/slog"

	"nearcast/cdn"
	"nearcast/control/compile"
)

// follower has a scheduler that stands alone answer from its files as they change.
type follower struct {
	files  *files
	own    *ownKeys
	log    *slog.Logger
	apply  func(*cdn.Snapshot) error
	before *cdn.Snapshot // what is answered from
	wrong  complaint     // about the files
}

// run looks at the files until ctx ends.
func (w *follower) run(ctx context.Context) error {
	return every(ctx, filesInterval, func() { w.look(ctx) })
}

// look answers from what has changed. What is wrong with it is logged, and what was before stays: keys whatever is wrong
// with the files, and the other way round.
func (w *follower) look(ctx context.Context) {
	if w.files.due() {
		w.takeFiles(ctx)
	}
	if w.own.due() && w.files.keys != nil {
		w.takeKeys(ctx)
	}
	w.own.inForce(ctx, w.before)
}

func (w *follower) takeFiles(ctx context.Context) {
	next, err := w.files.read()
	if err == nil && next == nil {
		return
	}
	if err == nil {
		if err = compile.Shrunk(w.before, next); err != nil {
			err = fmt.Errorf("%w; if that is meant, start the scheduler again", err)
		}
	}
	if err == nil {
		err = w.apply(next)
	}
	if w.wrong.news(err) {
		w.log.ErrorContext(ctx, "the files have changed and cannot be used; what was before stays in force", "error", err)
	}
	if err != nil {
		return
	}
	w.before = next
	w.log.InfoContext(ctx, "the files have changed, and are in force", "generation", next.Generation, "sites", len(next.Sites))
}

// takeKeys signs with other keys. The version stays, and so the serial of zones: what the zones say is the same, also where a copy of the folder is.
func (w *follower) takeKeys(ctx context.Context) {
	held := w.own.keep(ctx)
	if held == nil {
		return
	}
	next := *w.before
	next.ZoneKeys = held.Keys
	changed := !sameKeys(held.Keys, w.files.keys)
	if changed {
		before := w.files.secrets.Swap(&held.Secrets)
		if err := w.apply(&next); err != nil {
			w.files.secrets.Store(before)
			w.own.tellOf(ctx, nil, err)
			return
		}
	}
	w.files.keys, w.before = held.Keys, &next
	w.files.secrets.Store(&held.Secrets)
	if !changed {
		return
	}
	states := make([]string, len(held.Keys))
	for i, k := range held.Keys {
		states[i] = k.ID + " " + string(k.State)
	}
	w.log.InfoContext(ctx, "keys of zones have changed, and are in force", "keys", states)
	w.own.warnOf(ctx, held)
}
