package keydir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"nearcast/cdn"
	"nearcast/control/zonekey"
	"nearcast/internal/atomicfile"
)

// Status is what the scheduler of a folder tells of itself.
type Status struct {
	// At is since when that is so.
	At time.Time `json:"at"`
	// Keys are in force.
	Keys []KeyStatus `json:"keys"`
	// Zones are signed; none if no zone is.
	Zones []cdn.Domain `json:"zones"`
	// Unsigned is how long the DS record of the first key must be kept from the parents.
	Unsigned cdn.Duration `json:"unsigned"`
}

// KeyStatus is a key in force.
type KeyStatus struct {
	ID    string       `json:"id"`
	State cdn.KeyState `json:"state"`
}

func (s *Status) keys() (keys []cdn.ZoneKey) {
	for _, k := range s.Keys {
		keys = append(keys, cdn.ZoneKey{ID: k.ID, State: k.State})
	}
	return keys
}

func (s *Status) equal(t *Status) bool {
	return s != nil && slices.Equal(s.Keys, t.Keys) && slices.Equal(s.Zones, t.Zones) && s.Unsigned == t.Unsigned
}

// Tell writes that keys are in force, and sign zones, of which [zonekey.Times] are known, unless that is told already.
func (d *Folder) Tell(zones []cdn.Domain, keys []cdn.ZoneKey, times zonekey.Times, now time.Time) error {
	next := &Status{At: now.UTC().Truncate(time.Second), Keys: []KeyStatus{}, Zones: slices.Clone(zones), Unsigned: cdn.Duration(times.Unsigned)}
	for _, k := range keys {
		next.Keys = append(next.Keys, KeyStatus{k.ID, k.State})
	}
	d.before = next.keys()
	if told, err := d.Status(); err == nil && told.equal(next) { // what cannot be read is written anew
		return nil
	}
	text, err := json.MarshalIndent(next, "", "  ")
	if err != nil {
		return err
	}
	if err := atomicfile.Write(filepath.Join(d.dir, statusFile), append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("telling which keys are in force: %w", err)
	}
	return nil
}

// Status returns what the scheduler of this folder has told last, or nil if it has told nothing yet.
func (d *Folder) Status() (*Status, error) {
	path := filepath.Join(d.dir, statusFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("which keys are in force: %w", err)
	}
	s := new(Status)
	if err := json.Unmarshal(text, s); err != nil {
		return nil, cdn.Errorf(cdn.Invalid, "", "%s: %w; delete it, and start the scheduler again, which writes it", path, err)
	}
	return s, nil
}
