package keydir

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"nearcast/cdn"
	"nearcast/control/zonekey"
	"nearcast/internal/atomicfile"
	"nearcast/internal/dnskey"
)

const (
	// File is the name of the file with the keys.
	File = "dnssec.json"
	// statusFile is what the scheduler tells of itself.
	statusFile = "dnssec.status.json"
	// lockTime is how long somebody waits for who has the lock, which nobody has for more than a moment.
	lockTime = 2 * time.Second
	lockLook = 20 * time.Millisecond
)

// Folder is a folder with keys. It is not safe for concurrent use; several, also of other processes, may be of one folder.
type Folder struct {
	dir     string
	secrets func() ([][]byte, error)
	before  []cdn.ZoneKey // ID and State of those in force, as far as that is known
}

// New returns the folder dir. secrets returns the parts of the fleet's secrets that are for keys, the one in use first; none if the folder has a secret of its own.
func New(dir string, secrets func() ([][]byte, error)) *Folder {
	return &Folder{dir: dir, secrets: secrets}
}

// Path is the name of the file with the keys.
func (d *Folder) Path() string { return filepath.Join(d.dir, File) }

// stored is the content of the file with the keys.
type stored struct {
	Keys []cdn.ZoneKey `json:"keys"`
	// Secret opens the keys if the scheduler has no secret file: then the file's mode is all that protects them.
	Secret []byte `json:"secret,omitempty"`
}

// Held are keys, and what opens them.
type Held struct {
	Keys    []cdn.ZoneKey
	Secrets [][]byte
	// Steps say what was done to the keys when they were read.
	Steps []string
	// Jumps say what is wrong if they follow on those that were in force before.
	Jumps []string
}

// Begin is [Folder.Keep], but makes the folder, and the first key, if there are none.
func (d *Folder) Begin(ctx context.Context, now time.Time) (*Held, error) {
	held, err := d.Keep(ctx, now)
	if !errors.Is(err, fs.ErrNotExist) {
		return held, err
	}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return nil, err
	}
	unlock, err := d.lock(ctx)
	if err != nil {
		return nil, err
	}
	if _, err = os.Stat(d.Path()); errors.Is(err, fs.ErrNotExist) { // nobody was faster
		err = d.first(now)
	}
	unlock()
	if err != nil {
		return nil, err
	}
	held, err = d.Keep(ctx, now)
	if err == nil {
		held.Steps = append(held.Steps, fmt.Sprintf("key %s was made, with the tag %d", held.Keys[0].ID, dnskey.Tag(held.Keys[0].Public)))
	}
	return held, err
}

// first writes a file with a first key.
func (d *Folder) first(now time.Time) error {
	fleet, err := d.secrets()
	if err != nil {
		return err
	}
	made, err := Make(fleet, now)
	if err != nil {
		return err
	}
	s := &stored{Keys: made.Keys}
	if len(fleet) == 0 {
		s.Secret = made.Secrets[0]
	}
	text, err := s.text()
	if err != nil {
		return err
	}
	return atomicfile.Write(d.Path(), text, 0o600)
}

// Make makes a first key, active at once, that the first of the secrets opens, or if there are none, a new one.
func Make(secrets [][]byte, now time.Time) (*Held, error) {
	if len(secrets) == 0 {
		secret := make([]byte, 32)
		rand.Read(secret)
		secrets = [][]byte{secret}
	}
	k, err := dnskey.New(secrets[0], now, nil)
	if err != nil {
		return nil, err
	}
	keys, err := zonekey.Add(nil, k, zonekey.Times{}, now)
	return &Held{Keys: keys, Secrets: secrets}, err
}

// Keep returns the keys after all steps that time brings, which it writes, and sealed with the secret that is in use. An error beside keys says that they could not be
// written: then they are as they were, and good to sign with.
func (d *Folder) Keep(ctx context.Context, now time.Time) (*Held, error) {
	_, was, becomes, err := d.next(now)
	if err != nil || len(becomes.Steps) == 0 {
		return becomes, err
	}
	unlock, err := d.lock(ctx)
	if err != nil {
		return was, err
	}
	defer unlock()
	s, was, becomes, err := d.next(now) // somebody may have been faster
	if err != nil || len(becomes.Steps) == 0 {
		return becomes, err
	}
	s.Keys = becomes.Keys
	if err := d.replace(s); err != nil {
		return was, err
	}
	return becomes, nil
}

// next reads the keys, as they are and as they should become.
func (d *Folder) next(now time.Time) (s *stored, was, becomes *Held, err error) {
	if s, err = d.read(); err != nil {
		return nil, nil, nil, err
	}
	fleet, err := d.secrets()
	if err != nil {
		return nil, nil, nil, err
	}
	opens := s.opens(fleet)
	if err := d.check(s, opens); err != nil {
		return nil, nil, nil, err
	}
	before := d.inForce()
	jumps := zonekey.Jumps(before, s.Keys)
	was = &Held{Keys: s.Keys, Secrets: opens, Jumps: jumps}
	becomes = &Held{Keys: s.Keys, Secrets: opens, Jumps: jumps}
	if len(before) > 0 {
		becomes.Keys, becomes.Steps = zonekey.Late(before, s.Keys, now)
	}
	keys, steps := zonekey.Advance(becomes.Keys, zonekey.TimesOf(&cdn.Fleet{}), now)
	becomes.Keys, becomes.Steps = append([]cdn.ZoneKey(nil), keys...), append(becomes.Steps, steps...)
	for i, k := range becomes.Keys {
		again, fresh, err := dnskey.Reseal(k, opens)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("%s: %w", d.Path(), err)
		}
		if fresh {
			becomes.Steps = append(becomes.Steps, "key "+k.ID+" is sealed with the secret that is in use now")
		}
		becomes.Keys[i] = again
	}
	if len(fleet) > 0 && s.Secret != nil {
		s.Secret = nil
		becomes.Steps = append(becomes.Steps, "the folder's own secret is forgotten")
	}
	return s, was, becomes, nil
}

// inForce are the keys that the scheduler of this folder had in force before, as far as it has told.
func (d *Folder) inForce() []cdn.ZoneKey {
	if len(d.before) == 0 {
		if told, err := d.Status(); err == nil && told != nil {
			d.before = told.keys()
		}
	}
	return d.before
}

// read reads the file with the keys.
func (d *Folder) read() (*stored, error) {
	text, err := os.ReadFile(d.Path())
	if err != nil {
		return nil, fmt.Errorf("keys that sign zones: %w", err)
	}
	s := new(stored)
	if err := json.Unmarshal(text, s); err != nil || len(s.Keys) == 0 {
		return nil, cdn.Errorf(cdn.Invalid, "", "%s: is not a file of keys (%v); put its backup there, or delete it and start the scheduler: then a new key is made, and the parents need its DS record", d.Path(), err)
	}
	return s, nil
}

// opens are the secrets that open the keys, the one in use first.
func (s *stored) opens(fleet [][]byte) [][]byte {
	if s.Secret == nil {
		return fleet
	}
	return append(append([][]byte{}, fleet...), s.Secret)
}

// check refuses keys that nobody could sign with.
func (d *Folder) check(s *stored, opens [][]byte) error {
	if len(opens) == 0 {
		return cdn.Errorf(cdn.Invalid, "", "%s: the keys are sealed; --secret-file is missing", d.Path())
	}
	active, ids := 0, make(map[string]bool)
	for i := range s.Keys {
		k := &s.Keys[i]
		switch k.State {
		case cdn.KeyActive:
			active++
		case cdn.KeyPublished, cdn.KeyReady, cdn.KeyRetired:
		default:
			return cdn.Errorf(cdn.Invalid, "", "%s: key %s is %q, which this version does not know", d.Path(), k.ID, k.State)
		}
		if _, _, err := dnskey.Open(k, opens); err != nil {
			return cdn.Errorf(cdn.Invalid, "", "%s: %w", d.Path(), err)
		}
		if ids[k.ID] {
			return cdn.Errorf(cdn.Invalid, "", "%s: key %s is there twice", d.Path(), k.ID)
		}
		ids[k.ID] = true
	}
	if active != 1 {
		return cdn.Errorf(cdn.Invalid, "", "%s: %d of the %d keys are active, want one", d.Path(), active, len(s.Keys))
	}
	return nil
}

func (s *stored) text() ([]byte, error) {
	text, err := json.MarshalIndent(s, "", "  ")
	return append(text, '\n'), err
}

// replace writes the file with the keys, for who could read it before. Callers hold the lock.
func (d *Folder) replace(s *stored) error {
	text, err := s.text()
	if err != nil {
		return err
	}
	if err := atomicfile.Replace(d.Path(), text); err != nil {
		return fmt.Errorf("keys that sign zones stay as they are: %w", err)
	}
	return nil
}

// lock takes the folder for this process until unlock is called, or the process ends. The lock is the folder's itself, so that it is nobody's file.
func (d *Folder) lock(ctx context.Context) (unlock func(), err error) {
	f, err := os.Open(d.dir)
	if err != nil {
		return nil, fmt.Errorf("locking keys that sign zones: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, lockTime)
	defer cancel()
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil //nolint:errcheck // nothing was written
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			break
		}
		select {
		case <-ctx.Done():
			f.Close() //nolint:errcheck // nothing was written
			return nil, cdn.Errorf(cdn.Conflict, "", "%s: another process changes the keys; try again", d.dir)
		case <-time.After(lockLook):
		}
	}
	f.Close() //nolint:errcheck // nothing was written
	return nil, fmt.Errorf("locking %s: %w", d.dir, err)
}
