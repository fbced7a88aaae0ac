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

// filesInterval is how often a scheduler looks at its files.
const filesInterval = time.Second

// runSchedulerAlone answers from files.
func runSchedulerAlone(ctx context.Context, r *role, f *schedulerFlags, cfg scheduler.Config) error {
	own := r.ownKeys(f)
	files := newFiles(f.fleet, f.sites, func() ([]cdn.ZoneKey, [][]byte, error) { return own.begin(ctx) })
	snapshot, err := files.read()
	if err != nil {
		return err
	}
	cfg.ZoneSecrets = files.zoneSecrets
	server, err := scheduler.New(cfg) //nolint:contextcheck // it listens at once, before anything is served
	if err != nil {
		return err
	}
	parts := r.followPlaces(append(f.geo, snapshot.Fleet.Geo...), server) //nolint:contextcheck // the files are read at once, before anything is served
	if err := server.Apply(snapshot); err != nil {
		return err
	}
	own.inForce(ctx, snapshot)
	follower := &follower{files: files, own: own, log: r.log, apply: server.Apply, before: snapshot}
	parts = append(parts, r.followKeys(server)...)
	parts = append(parts, server.Run, follower.run)
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
	watched
}

func newFiles(fleet string, sites []string, makeKeys func() ([]cdn.ZoneKey, [][]byte, error)) *files {
	return &files{
		fleetFile: fleet, siteFiles: sites, makeKeys: makeKeys,
		sites: make([][]cdn.Site, len(sites)), watched: newWatched(append([]string{fleet}, sites...)...),
	}
}

// read returns what all files say, having compiled those that have changed, or nil if none has.
func (f *files) read() (*cdn.Snapshot, error) {
	if changed, err := f.compile(); err != nil || !changed {
		return nil, err
	}
	if f.fleet.DNS.Signed && f.keys == nil {
		keys, secrets, err := f.makeKeys()
		if err != nil {
			delete(f.taken, f.fleetFile) // that may pass, though the file stays as it is
			return nil, err
		}
		f.keys = keys
		f.secrets.Store(&secrets)
	}
	f.generation = max(f.generation+1, f.age())
	s := &cdn.Snapshot{Generation: f.generation, Fleet: *f.fleet, ZoneKeys: f.keys}
	for _, sites := range f.sites {
		s.Sites = append(s.Sites, sites...)
	}
	return s, compile.Snapshot(s.Fleet, s.Sites)
}

// compile compiles the files that have changed, at the same time, and reports whether some have.
func (f *files) compile() (changed bool, err error) {
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	compiled := func(name string, parse func(text []byte) error) {
		if before, other := f.take(name); other {
			changed = true
			group.Go(func() error { return load(name, before, parse) })
		}
	}
	compiled(f.fleetFile, func(text []byte) error {
		fleet, err := compile.Fleet(f.fleetFile, text)
		if err == nil {
			f.fleet = fleet
		}
		return err
	})
	for i, name := range f.siteFiles {
		compiled(name, func(text []byte) error {
			sites, err := compile.Sites(name, text)
			if err == nil {
				f.sites[i] = sites
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		f.forget(err)
		return false, err
	}
	return changed, nil
}

// zoneSecrets are what opens the keys. It is safe for concurrent use.
func (f *files) zoneSecrets() [][]byte {
	if secrets := f.secrets.Load(); secrets != nil {
		return *secrets
	}
	return nil
}

// age is when the youngest file was written, in Unix seconds. Serials of zones come of that: they do not begin again with
// the process, which secondaries would take for older, and are the same wherever the files are.
func (f *files) age() cdn.Generation {
	youngest := int64(1)
	for _, s := range f.taken {
		youngest = max(youngest, s.ModTime().Unix()) // long ago for one that is not there
	}
	return cdn.Generation(youngest) //nolint:gosec // positive
}

func readFleet(name string) (*cdn.Fleet, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return compile.Fleet(name, text)
}
