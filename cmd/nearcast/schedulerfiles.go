package main

import (
	"context"
	"os"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"nearcast/cdn"
	"nearcast/control/compile"
	"nearcast/scheduler"
)

// filesInterval is how often a scheduler that stands alone looks at its files.
const filesInterval = 2 * time.Second

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
	parts = append(parts, server.Run, func(ctx context.Context) error { return files.follow(ctx, r, server) })
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
}

// stamp tells whether a file has changed.
type stamp struct {
	at   time.Time
	size int64
}

func newFiles(fleet string, sites []string) *files {
	return &files{fleetFile: fleet, siteFiles: sites, sites: make([][]cdn.Site, len(sites)), seen: make(map[string]stamp)}
}

// changed reports whether a file is not what it was when it was last asked about.
func (f *files) changed(name string) bool {
	info, err := os.Stat(name)
	if err != nil { // reading it says what is wrong
		return f.seen[name] != stamp{}
	}
	now := stamp{info.ModTime(), info.Size()}
	if f.seen[name] == now {
		return false
	}
	f.seen[name] = now
	return true
}

// read compiles the files that have changed, and all together. It returns nil if none has.
func (f *files) read() (*cdn.Snapshot, error) {
	changed := false
	if f.changed(f.fleetFile) || f.fleet == nil {
		fleet, err := readFleet(f.fleetFile)
		if err != nil {
			return nil, err
		}
		f.fleet, changed = fleet, true
	}
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, name := range f.siteFiles {
		if !f.changed(name) && f.sites[i] != nil {
			continue
		}
		changed = true
		group.Go(func() (err error) {
			f.sites[i], err = readSites(name)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if !changed {
		return nil, nil
	}
	f.generation++
	s := &cdn.Snapshot{Generation: f.generation, Fleet: *f.fleet, ZoneKeys: f.keys}
	for _, sites := range f.sites {
		s.Sites = append(s.Sites, sites...)
	}
	return s, compile.Snapshot(s.Fleet, s.Sites)
}

func readSites(name string) ([]cdn.Site, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return compile.Sites(name, text)
}

// follow answers from the files as they change. What is wrong with them is logged, and what was before stays.
func (f *files) follow(ctx context.Context, r *role, server *scheduler.Server) error {
	tick := time.NewTicker(filesInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		snapshot, err := f.read()
		if err == nil && snapshot == nil {
			continue
		}
		if err == nil {
			err = server.Apply(snapshot)
		}
		if err != nil {
			r.log.ErrorContext(ctx, "the files have changed and cannot be used; what was before stays in force", "error", err)
			continue
		}
		r.log.InfoContext(ctx, "the files have changed, and are in force", "generation", snapshot.Generation, "sites", len(snapshot.Sites))
	}
}

func readFleet(name string) (*cdn.Fleet, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return compile.Fleet(name, text)
}
