package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"nearcast/cdn"
	"nearcast/control/zonekey"
	"nearcast/internal/dnskey"
)

// keyInterval is how often it is looked whether it is time for a step of a key, or another secret is in use. Steps are hours apart.
const keyInterval = 10 * time.Second

// watchKeys makes the steps of keys that time brings, and the first key, until ctx ends.
func (s *Server) watchKeys(ctx context.Context) {
	tick := time.NewTicker(keyInterval)
	defer tick.Stop()
	failed := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.wake:
		}
		switch err := s.keepKeys(ctx); {
		case err == nil:
			failed = ""
		case err.Error() != failed && ctx.Err() == nil:
			failed = err.Error()
			s.cfg.Log.ErrorContext(ctx, "keys of zones stay as they are", "error", err)
		}
	}
}

// changed is called with a version that somebody has made.
func (s *Server) changed(snap *cdn.Snapshot) {
	s.setCurrent(snap)
	select {
	case s.wake <- struct{}{}:
	default: // it is awake
	}
}

// keepKeys makes a version with other keys, if it is time for them.
func (s *Server) keepKeys(ctx context.Context) error {
	old := s.current.Load()
	if old == nil || !old.Fleet.DNS.Signed && len(old.ZoneKeys) == 0 {
		return nil
	}
	now := s.cfg.Now()
	keys, steps, failed := s.nextKeys(old, now)
	if len(steps) == 0 {
		return failed
	}
	next := &cdn.Snapshot{At: now.UTC(), By: "the keeper of keys", Fleet: old.Fleet, Sites: old.Sites, Drains: old.Drains, ZoneKeys: keys}
	gen, err := s.store.Append(ctx, old.Generation, next)
	if cdn.KindOf(err) == cdn.Conflict {
		return nil // somebody else was faster, which wakes the keeper
	}
	if err != nil {
		return fmt.Errorf("putting keys into force: %w", err)
	}
	next.Generation = gen
	s.setCurrent(next)
	s.cfg.Log.InfoContext(ctx, "audit", "what", "keys of zones", "by", next.By, "generation", gen, "steps", steps)
	return failed
}

// nextKeys returns the keys as they should be now, and what makes them so: no steps if they are. With an error some are not as they should be.
func (s *Server) nextKeys(old *cdn.Snapshot, now time.Time) (keys []cdn.ZoneKey, steps []string, err error) {
	var secrets [][]byte
	if s.cfg.ZoneSecrets != nil {
		secrets = s.cfg.ZoneSecrets()
	}
	if len(secrets) == 0 {
		return nil, nil, cdn.Errorf(cdn.Invalid, "", "zones are signed, and there is no secret to seal their keys with")
	}
	times := zonekey.TimesOf(&old.Fleet)
	if len(old.ZoneKeys) == 0 {
		return firstKey(secrets[0], times, now)
	}
	keys, steps = zonekey.Advance(old.ZoneKeys, times, now)
	sealed := make([]cdn.ZoneKey, len(keys))
	for i, k := range keys {
		again, fresh, failed := dnskey.Reseal(k, secrets)
		if err = errors.Join(err, failed); fresh {
			steps = append(steps, "key "+k.ID+" is sealed with the secret that is in use now")
		}
		sealed[i] = again
	}
	return sealed, steps, err
}

func firstKey(secret []byte, times zonekey.Times, now time.Time) (keys []cdn.ZoneKey, steps []string, err error) {
	k, err := dnskey.New(secret, now, nil)
	if err != nil {
		return nil, nil, err
	}
	if keys, err = zonekey.Add(nil, k, times, now); err != nil {
		return nil, nil, err
	}
	return keys, []string{"key " + k.ID + " was made"}, nil
}
