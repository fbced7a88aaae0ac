package main

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"time"

	"nearcast/cdn"
	"nearcast/control/keydir"
	"nearcast/control/keyview"
	"nearcast/control/zonekey"
	"nearcast/internal/filestamp"
	"nearcast/scheduler/dnssec"
)

// keysInterval is how often it is looked whether it is time for a step of a key, or another secret is in use. A file that changes is seen sooner.
const keysInterval = 10 * time.Second

// ownKeys are the keys of a scheduler that stands alone, in its folder.
type ownKeys struct {
	log     *slog.Logger
	folder  *keydir.Folder // nil if keys end with the process
	secrets func() ([][]byte, error)
	now     func() time.Time

	seen, taken filestamp.Stamp // of the file: when it was looked at, and read
	looked      time.Time
	wrong       complaint // about the keys
	untold      complaint // about telling which are in force
}

// ownKeys returns those of a scheduler that stands alone.
func (r *role) ownKeys(f *schedulerFlags) *ownKeys {
	o := &ownKeys{log: r.log, secrets: fleetZoneSecrets(f.secretFile), now: time.Now}
	if f.dir != "" {
		o.folder = keydir.New(f.dir, o.secrets)
	}
	return o
}

// fleetZoneSecrets returns what reads the parts for keys of zones of the secrets in a file; there are none without a file.
func fleetZoneSecrets(path string) func() ([][]byte, error) {
	return func() ([][]byte, error) {
		if path == "" {
			return nil, nil
		}
		secrets, err := readSecrets(path)
		return zoneSecrets(secrets), err
	}
}

// begin returns the keys of the folder, which are made if there are none, and what opens them. Without a folder they are new at each start.
func (o *ownKeys) begin(ctx context.Context) ([]cdn.ZoneKey, [][]byte, error) {
	if o.folder == nil {
		o.log.WarnContext(ctx, "zones are signed with a key that is lost when this process ends, so that no parent can have its DS record; to keep it, give --dir DIR")
		secrets, err := o.secrets()
		if err != nil {
			return nil, nil, err
		}
		made, err := keydir.Make(secrets, o.now())
		if err != nil {
			return nil, nil, err
		}
		return made.Keys, made.Secrets, nil
	}
	o.took()
	held, err := o.folder.Begin(ctx, o.now())
	if held == nil {
		return nil, nil, err
	}
	o.tellOf(ctx, held, err)
	o.warnOf(ctx, held)
	warnIfOpen(ctx, o.log, o.folder.Path())
	return held.Keys, held.Secrets, nil
}

// warnOf logs what is wrong with keys that come into force after those before.
func (o *ownKeys) warnOf(ctx context.Context, held *keydir.Held) {
	for _, jump := range held.Jumps {
		o.log.WarnContext(ctx, "keys of zones have changed as no roll-over does", "what", jump)
	}
}

// took notes that the file is about to be read.
func (o *ownKeys) took() {
	o.taken, o.looked = filestamp.Of(o.folder.Path()), o.now()
}

// due reports whether keys are to be looked at: their file has changed, and is at rest, or it is some time ago.
func (o *ownKeys) due() bool {
	if o.folder == nil {
		return false
	}
	now := filestamp.Of(o.folder.Path())
	settled := now.Same(o.seen)
	o.seen = now
	return settled && (!now.Same(o.taken) || o.now().Sub(o.looked) >= keysInterval)
}

// keep returns the keys as they are to be now, and what opens them, or nil if they are to stay as they are.
func (o *ownKeys) keep(ctx context.Context) *keydir.Held {
	o.took()
	held, err := o.folder.Keep(ctx, o.now())
	if held != nil {
		if _, unfit := dnssec.Open(held.Keys, held.Secrets...); unfit != nil {
			held, err = nil, unfit
		}
	}
	o.tellOf(ctx, held, err)
	return held
}

// tellOf logs what was done to keys, and once, what is wrong.
func (o *ownKeys) tellOf(ctx context.Context, held *keydir.Held, err error) {
	if held != nil && len(held.Steps) > 0 && err == nil {
		o.log.InfoContext(ctx, "keys of zones", "file", o.folder.Path(), "steps", held.Steps)
	}
	if o.wrong.news(err) {
		o.log.ErrorContext(ctx, "keys of zones stay as they are", "error", err)
	}
}

// inForce tells the folder which keys sign which zones.
func (o *ownKeys) inForce(ctx context.Context, s *cdn.Snapshot) {
	if o.folder == nil || len(s.ZoneKeys) == 0 {
		return
	}
	if err := o.folder.Tell(keyview.Zones(&s.Fleet), s.ZoneKeys, zonekey.TimesOf(&s.Fleet), o.now()); o.untold.news(err) {
		o.log.ErrorContext(ctx, "nearcast dnssec will not know which keys are in force", "error", err)
	}
}

// sameKeys reports whether the same is answered with keys as with others.
func sameKeys(a, b []cdn.ZoneKey) bool {
	return zonekey.Same(a, b) && slices.EqualFunc(a, b, func(x, y cdn.ZoneKey) bool { return bytes.Equal(x.Public, y.Public) })
}
