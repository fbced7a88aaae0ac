package keydir

import (
	"context"
	"time"

	"nearcast/cdn"
	"nearcast/control/keyview"
	"nearcast/control/wire"
	"nearcast/control/zonekey"
	"nearcast/internal/dnskey"
)

// DNSSEC shows the keys.
func (d *Folder) DNSSEC(now time.Time) (wire.DNSSEC, error) {
	s, err := d.read()
	if err != nil {
		return wire.DNSSEC{}, err
	}
	told, err := d.Status()
	if err != nil {
		return wire.DNSSEC{}, err
	}
	return show(s.Keys, told, now), nil
}

func show(keys []cdn.ZoneKey, told *Status, now time.Time) wire.DNSSEC {
	times := zonekey.TimesOf(&cdn.Fleet{})
	if told == nil { // they sign something, and nobody knows what
		shown := keyview.Show(nil, keys, times, now)
		shown.Signed = true
		return shown
	}
	times.Unsigned = told.Unsigned.Std()
	return keyview.Show(told.Zones, keys, times, now)
}

// InForce reports whether the scheduler of this folder has told that it has the keys in force that are in the file.
func (d *Folder) InForce() (bool, error) {
	s, err := d.read()
	if err != nil {
		return false, err
	}
	told, err := d.Status()
	return err == nil && told != nil && zonekey.Same(s.Keys, told.keys()), err
}

// Roll makes the key that is to take the place of the active one, and publishes it: the scheduler does when it sees it.
func (d *Folder) Roll(ctx context.Context, now time.Time) (wire.DNSSEC, error) {
	return d.change(ctx, now, func(s *stored, told *Status, times zonekey.Times) ([]cdn.ZoneKey, error) {
		if told != nil && len(told.Zones) == 0 {
			return nil, cdn.Errorf(cdn.Conflict, "", "zones are not signed; write dns: {signed: true} into the fleet file")
		}
		fleet, err := d.secrets()
		if err != nil {
			return nil, err
		}
		opens := s.opens(nil)
		if len(opens) == 0 {
			opens = fleet
		}
		if err := d.check(s, opens); err != nil {
			return nil, err
		}
		var secret []byte
		for i := range s.Keys { // the one that the scheduler surely has
			if s.Keys[i].State == cdn.KeyActive {
				_, index, err := dnskey.Open(&s.Keys[i], opens)
				if err != nil {
					return nil, err
				}
				secret = opens[index]
			}
		}
		k, err := dnskey.New(secret, now, s.Keys)
		if err != nil {
			return nil, err
		}
		return zonekey.Add(s.Keys, k, times, now)
	})
}

// Confirm lets the key that is ready sign: its DS is at the parents. It refuses, with an error of kind Conflict, while the scheduler has not told that it has the keys
// in force that are there, unless that is forced.
func (d *Folder) Confirm(ctx context.Context, req wire.ConfirmRequest, now time.Time) (wire.DNSSEC, error) {
	return d.change(ctx, now, func(s *stored, told *Status, times zonekey.Times) ([]cdn.ZoneKey, error) {
		keys, err := zonekey.Confirm(s.Keys, req.Key, times, now)
		if err == nil && !req.Force && (told == nil || !zonekey.Same(s.Keys, told.keys())) {
			err = cdn.Errorf(cdn.Conflict, "", "the scheduler of %s has not told that it has these keys in force: with other keys, what it answers could not be validated; see its log, or force it if it does not answer anybody", d.dir)
		}
		return keys, err
	})
}

// change writes other keys.
func (d *Folder) change(ctx context.Context, now time.Time, edit func(*stored, *Status, zonekey.Times) ([]cdn.ZoneKey, error)) (wire.DNSSEC, error) {
	unlock, err := d.lock(ctx)
	if err != nil {
		return wire.DNSSEC{}, err
	}
	defer unlock()
	s, err := d.read()
	if err != nil {
		return wire.DNSSEC{}, err
	}
	told, err := d.Status()
	if err != nil {
		return wire.DNSSEC{}, err
	}
	times := zonekey.TimesOf(&cdn.Fleet{})
	keys, err := edit(s, told, times)
	if err != nil {
		if _, due := zonekey.Advance(s.Keys, times, now.Add(-stepTime)); due != nil {
			err = cdn.Errorf(cdn.KindOf(err), "", "%w; that time has come, and the scheduler, which is to make the step, has not: does it run with --dir %s? Its log says what is wrong", err, d.dir)
		}
		return wire.DNSSEC{}, err
	}
	s.Keys = keys
	if err := d.replace(s); err != nil {
		return wire.DNSSEC{}, err
	}
	return show(keys, told, now), nil
}

// stepTime is how long a scheduler may take from when a step is due until it has made it.
const stepTime = 30 * time.Second
