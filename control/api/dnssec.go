package api

import (
	"net/http"
	"time"

	"nearcast/cdn"
	"nearcast/control/keyview"
	"nearcast/control/wire"
	"nearcast/control/zonekey"
	"nearcast/internal/dnskey"
	"nearcast/internal/httpjson"
)

func (s *server) dnssec(r *http.Request) (wire.DNSSEC, error) {
	snap, err := s.current(r.Context())
	if err != nil {
		return wire.DNSSEC{}, err
	}
	return keyview.Of(snap, s.Now()), nil
}

// rollKey makes a key that is to take the place of the active one.
func (s *server) rollKey(r *http.Request) (wire.DNSSEC, error) {
	return s.changeKeys(r, func(old *cdn.Snapshot, now time.Time) ([]cdn.ZoneKey, error) {
		if !old.Fleet.DNS.Signed {
			return nil, cdn.Errorf(cdn.Conflict, "", "zones are not signed; write dns: {signed: true} into the fleet file, and restart control")
		}
		secrets := s.ZoneSecrets()
		if len(secrets) == 0 {
			return nil, cdn.Errorf(cdn.Unavailable, "", "control has no secret to seal keys of zones with")
		}
		k, err := dnskey.New(secrets[0], now, old.ZoneKeys)
		if err != nil {
			return nil, err
		}
		return zonekey.Add(old.ZoneKeys, k, zonekey.TimesOf(&old.Fleet), now)
	})
}

// confirmKey lets the key that is ready sign: its DS is at the parents.
func (s *server) confirmKey(r *http.Request) (wire.DNSSEC, error) {
	var req wire.ConfirmRequest
	if err := httpjson.Read(r, &req); err != nil {
		return wire.DNSSEC{}, err
	}
	return s.changeKeys(r, func(old *cdn.Snapshot, now time.Time) ([]cdn.ZoneKey, error) {
		keys, err := zonekey.Confirm(old.ZoneKeys, req.Key, zonekey.TimesOf(&old.Fleet), now)
		if err != nil || req.Force {
			return keys, err
		}
		return keys, s.checkSchedulers(old)
	})
}

// checkSchedulers refuses, with an error of kind Conflict, to go on while a scheduler may have old keys.
func (s *server) checkSchedulers(snap *cdn.Snapshot) error {
	for i := range snap.Fleet.Nodes {
		n := &snap.Fleet.Nodes[i]
		if !n.Has(cdn.RoleScheduler) {
			continue
		}
		if report := s.report(n.Name, cdn.RoleScheduler); report == nil || report.AgeSeconds > staleReport || report.Generation < snap.Generation {
			return cdn.Errorf(cdn.Conflict, "", "the scheduler on %s has not told that it runs version %d: with other keys than these, what it answers could not be validated; see nearcast nodes, and try again, or force it if it does not answer anybody",
				n.Name, snap.Generation)
		}
	}
	return nil
}

// changeKeys makes a version with other keys.
func (s *server) changeKeys(r *http.Request, edit func(*cdn.Snapshot, time.Time) ([]cdn.ZoneKey, error)) (wire.DNSSEC, error) {
	var next *cdn.Snapshot
	now := s.Now()
	_, err := s.change(r, false, func(old *cdn.Snapshot) (*cdn.Snapshot, error) {
		keys, err := edit(old, now)
		if err != nil {
			return nil, err
		}
		next = &cdn.Snapshot{Fleet: old.Fleet, Sites: old.Sites, Drains: old.Drains, ZoneKeys: keys}
		return next, nil
	})
	if err != nil {
		return wire.DNSSEC{}, err
	}
	states := make([]string, len(next.ZoneKeys))
	for i, k := range next.ZoneKeys {
		states[i] = k.ID + " " + string(k.State)
	}
	s.Log.InfoContext(r.Context(), "keys of zones changed", "by", next.By, "generation", next.Generation, "keys", states)
	return keyview.Of(next, now), nil
}
