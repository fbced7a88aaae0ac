package main

import (
	"context"
	"os"
	"runtime"
	"sync/atomic"
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
	files := newFiles(f.fleet, f.sites, func() ([]cdn.ZoneKey, [][]byte, error) { return r.standaloneKeys(f) })
	snapshot, err := files.read()
	if err != nil {
		return err
	}
	cfg.ZoneSecrets = files.zoneSecrets
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
	makeKeys  func() ([]cdn.ZoneKey, [][]byte, error) // for zones that are signed
	keys      []cdn.ZoneKey                           // nil until the fleet has some
	secrets   atomic.Pointer[[][]byte]                // that open them

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

func newFiles(fleet string, sites []string, makeKeys func() ([]cdn.ZoneKey, [][]byte, error)) *files {
	return &files{fleetFile: fleet, siteFiles: sites, makeKeys: makeKeys, sites: make([][]cdn.Site, len(sites)), seen: make(map[string]stamp)}
}

// changed reports whether a file is not what it was when it was last asked about.
func (f *files) changed(name string) bool {
	var now stamp
	if info, err := os.Stat(name); err == nil { // otherwise reading it says what is wrong, once
		now = stamp{info.ModTime(), info.Size()}
	}
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
		group.Go(func() error {
			sites, err := readSites(name)
			if err == nil {
				f.sites[i] = sites
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if !changed {
		return nil, nil
	}
	if f.fleet.DNS.Signed && f.keys == nil {
		keys, secrets, err := f.makeKeys()
		if err != nil {
			return nil, err
		}
		f.keys = keys
		f.secrets.Store(&secrets)
	}
	f.generation = max(f.generation+1, f.newest())
	s := &cdn.Snapshot{Generation: f.generation, Fleet: *f.fleet, ZoneKeys: f.keys}
	for _, sites := range f.sites {
		s.Sites = append(s.Sites, sites...)
	}
	return s, compile.Snapshot(s.Fleet, s.Sites)
}

// zoneSecrets are what opens the keys. It is safe for concurrent use.
func (f *files) zoneSecrets() [][]byte {
	if secrets := f.secrets.Load(); secrets != nil {
		return *secrets
	}
	return nil
}

func readSites(name string) ([]cdn.Site, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return compile.Sites(name, text)
}

// newest is when the newest of the files was changed, as a number: the serial of zones, which is then the same on all machines that have the files with their
// times, and does not begin anew with the process, which secondaries would take for older than what they have.
func (f *files) newest() (g cdn.Generation) {
	for _, s := range f.seen {
		g = max(g, cdn.Generation(max(0, s.at.Unix()))) //nolint:gosec // not negative
	}
	return g
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
