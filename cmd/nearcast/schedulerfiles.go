package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"nearcast/cdn"
	"nearcast/control/compile"
	"nearcast/scheduler"
)

// filesInterval is how often a scheduler that stands alone looks at its files.
const filesInterval = time.Second

// runSchedulerAlone answers from files.
func runSchedulerAlone(ctx context.Context, r *role, f *schedulerFlags, cfg scheduler.Config) error {
	files := newFiles(f.fleet, f.sites)
	snapshot, err := files.read()
	if err != nil {
		return err
	}
	if snapshot.Fleet.DNS.Signed {
		keys, secrets, err := r.standaloneKeys(f)
		if err != nil {
			return err
		}
		files.keys, snapshot.ZoneKeys = keys, keys
		cfg.ZoneSecrets = func() [][]byte { return secrets }
	}
	server, err := scheduler.New(cfg)
	if err != nil {
		return err
	}
	parts := r.followPlaces(append(f.geo, snapshot.Fleet.Geo...), server) //nolint:contextcheck // the files are read at once, before anything is served
	if err := server.Apply(snapshot); err != nil {
		return err
	}
	parts = append(parts, server.Run, func(ctx context.Context) error { return files.follow(ctx, r, server, snapshot) })
	return r.runAll(ctx, f.admin, server.Ready, append(parts, logParts(&cfg)...)...)
}

// files are what a scheduler that stands alone answers from.
type files struct {
	fleetFile string
	siteFiles []string
	keys      []cdn.ZoneKey

	generation cdn.Generation
	fleet      *cdn.Fleet
	sites      [][]cdn.Site // by file
	seen       map[string]stamp
	taken      map[string]stamp // of what was read
}

func newFiles(fleet string, sites []string) *files {
	return &files{fleetFile: fleet, siteFiles: sites, sites: make([][]cdn.Site, len(sites)), seen: make(map[string]stamp), taken: make(map[string]stamp)}
}

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

// due reports whether files are to be read: some have changed, and none since it was last called. Who writes one may be half done, and half of a file can be one that is valid.
func (f *files) due() bool {
	settled, changed := true, false
	for _, name := range append([]string{f.fleetFile}, f.siteFiles...) {
		now := stampOf(name)
		settled = settled && now.is(f.seen[name])
		changed = changed || !now.is(f.taken[name])
		f.seen[name] = now
	}
	return settled && changed
}

// errMoving says that a file has changed while it was read.
var errMoving = errors.New("the file has changed while it was read; it is read again when it is at rest")

// load has a file compiled if it has changed, and reports whether it has. What cannot be compiled is not tried again until it changes.
func (f *files) load(name string, parse func(text []byte) error) (changed bool, err error) {
	before := stampOf(name)
	if last, ok := f.taken[name]; ok && before.is(last) {
		return false, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return false, err
	}
	if !stampOf(name).is(before) {
		return false, fmt.Errorf("%s: %w", name, errMoving)
	}
	f.taken[name] = before
	return true, parse(text)
}

// read compiles the files that have changed, and all together. It returns nil if none has.
func (f *files) read() (*cdn.Snapshot, error) {
	changed, err := f.load(f.fleetFile, func(text []byte) (err error) {
		fleet, err := compile.Fleet(f.fleetFile, text)
		if err == nil {
			f.fleet = fleet
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for i, name := range f.siteFiles {
		again, err := f.load(name, func(text []byte) (err error) {
			sites, err := compile.Sites(name, text)
			if err == nil {
				f.sites[i] = sites
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		changed = changed || again
	}
	if !changed {
		return nil, nil
	}
	f.generation = max(f.generation+1, f.age())
	s := &cdn.Snapshot{Generation: f.generation, Fleet: *f.fleet, ZoneKeys: f.keys}
	for _, sites := range f.sites {
		s.Sites = append(s.Sites, sites...)
	}
	return s, compile.Snapshot(s.Fleet, s.Sites)
}

// age is when the youngest file was written, in Unix seconds. Serials of zones come of that: they do not begin again with the process, which secondaries would take for older, and are
// the same wherever the files are.
func (f *files) age() cdn.Generation {
	youngest := int64(1)
	for _, s := range f.taken {
		if s.info != nil {
			youngest = max(youngest, s.info.ModTime().Unix())
		}
	}
	return cdn.Generation(youngest) //nolint:gosec // positive
}

// follow answers from the files as they change; before is what is answered from so far. What is wrong with them is logged, and what was before stays.
func (f *files) follow(ctx context.Context, r *role, server *scheduler.Server, before *cdn.Snapshot) error {
	tick := time.NewTicker(filesInterval)
	defer tick.Stop()
	told := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if !f.due() {
			continue
		}
		next, err := f.read()
		if err == nil && next == nil {
			continue
		}
		if err == nil {
			if err = compile.Shrunk(before, next); err != nil {
				err = fmt.Errorf("%w; if that is meant, start the scheduler again", err)
			}
		}
		if err == nil {
			err = server.Apply(next)
		}
		if err != nil {
			if told != err.Error() {
				r.log.ErrorContext(ctx, "the files have changed and cannot be used; what was before stays in force", "error", err)
			}
			told = err.Error()
			continue
		}
		before, told = next, ""
		r.log.InfoContext(ctx, "the files have changed, and are in force", "generation", next.Generation, "sites", len(next.Sites))
	}
}

func readFleet(name string) (*cdn.Fleet, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return compile.Fleet(name, text)
}
