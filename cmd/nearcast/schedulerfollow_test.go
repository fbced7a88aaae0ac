package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/control/keydir"
	"nearcast/control/wire"
	"nearcast/control/zonekey"
)

// alonePlayer is what follows the files of a scheduler that stands alone, without the scheduler.
type alonePlayer struct {
	*follower
	t       *testing.T
	dir     string
	now     time.Time
	log     bytes.Buffer
	applied []*cdn.Snapshot
	refuse  error // of apply
}

func newAlonePlayer(t *testing.T) *alonePlayer {
	t.Helper()
	p := &alonePlayer{t: t, dir: t.TempDir(), now: time.Now()}
	fleet, site := filepath.Join(p.dir, "fleet.yaml"), filepath.Join(p.dir, "site.yaml")
	write(t, fleet, oneFleet+"dns: {signed: true}\n")
	write(t, site, sitesText("a"))
	r := &role{log: slog.New(slog.NewTextHandler(&p.log, nil))}
	var flags schedulerFlags
	flags.dir = p.dir
	own := r.ownKeys(&flags)
	own.now = func() time.Time { return p.now }
	f := newFiles(fleet, []string{site}, func() ([]cdn.ZoneKey, [][]byte, error) { return own.begin(t.Context()) })
	first, err := f.read()
	if err != nil {
		t.Fatal(err)
	}
	p.follower = &follower{files: f, own: own, log: r.log, before: first, apply: func(s *cdn.Snapshot) error {
		if p.refuse == nil {
			p.applied = append(p.applied, s)
		}
		return p.refuse
	}}
	p.looks()
	return p
}

// looks lets some seconds pass.
func (p *alonePlayer) looks() {
	for range 3 {
		p.now = p.now.Add(time.Second)
		p.look(p.t.Context())
	}
}

// newest is what is answered from, in short.
func (p *alonePlayer) newest() string {
	var words []string
	for _, k := range p.before.ZoneKeys {
		words = append(words, string(k.State))
	}
	for i := range p.before.Sites {
		words = append(words, string(p.before.Sites[i].Name))
	}
	return strings.Join(words, " ")
}

// Keys and files are followed each for itself: what is wrong with one keeps nothing from the other, and is said once.
func TestFollowKeys(t *testing.T) {
	p := newAlonePlayer(t)
	path, site := filepath.Join(p.dir, keydir.File), filepath.Join(p.dir, "site.yaml")
	operator := keydir.New(p.dir, fleetZoneSecrets(""))
	var kept []byte
	serial := p.before.Generation
	for _, step := range []struct {
		what   string
		do     func() error
		newest string
		log    string // that comes then
		serial bool   // the zones are others
	}{
		{"nothing", func() error { return nil }, "active a", "", false},
		{"a roll-over", func() error { _, err := operator.Roll(t.Context(), p.now); return err }, "active published a", "are in force", false},
		{"a damaged file of keys", func() (err error) {
			kept, err = os.ReadFile(path)
			return errors.Join(err, os.WriteFile(path, kept[:100], 0o600))
		}, "active published a", "keys of zones stay as they are", false},
		{"another site meanwhile", func() error { return os.WriteFile(site, []byte(sitesText("a", "b")), 0o600) }, "active published a b", "the files have changed, and are in force", true},
		{"a damaged site as well", func() error { return os.WriteFile(site, []byte("site: 7\n"), 0o600) }, "active published a b", "cannot be used", false},
		{"the keys are back", func() error { return os.WriteFile(path, kept, 0o600) }, "active published a b", "", false},
		{"two hours later", func() error { p.now = p.now.Add(2 * time.Hour); return nil }, "active ready a b", "is ready: its DS can be given to the parent", false},
		{"the scheduler refuses", func() error {
			p.refuse = fmt.Errorf("no room")
			_, err := operator.Confirm(t.Context(), wire.ConfirmRequest{}, p.now)
			return err
		}, "active ready a b", "no room", false},
		{"and takes it later", func() error { p.refuse, p.now = nil, p.now.Add(keysInterval); return nil }, "retired active a b", "are in force", false},
		{"days later", func() error { p.now = p.now.Add(122 * time.Hour); return nil }, "active a b", "is gone", false},
		{"keys of somebody else", func() error {
			if err := os.Remove(path); err != nil {
				return err
			}
			other := t.TempDir()
			if _, err := keydir.New(other, fleetZoneSecrets("")).Begin(t.Context(), p.now); err != nil {
				return err
			}
			return os.Rename(filepath.Join(other, keydir.File), path)
		}, "active a b", "as no roll-over does", false},
	} {
		p.log.Reset()
		if err := step.do(); err != nil {
			t.Fatal(step.what, err)
		}
		p.looks()
		if p.newest() != step.newest || (p.before.Generation > serial) != step.serial {
			t.Errorf("%s: %s, version %d after %d; want %s", step.what, p.newest(), p.before.Generation, serial, step.newest)
		}
		serial = p.before.Generation
		if text := p.log.String(); !strings.Contains(text, step.log) || (step.log == "") != (text == "") || strings.Count(text, "ERROR") > 1 {
			t.Errorf("%s: the log says\n%swant once: %s", step.what, text, step.log)
		}
		last := &cdn.Snapshot{}
		if len(p.applied) > 0 {
			last = p.applied[len(p.applied)-1]
		}
		if len(p.applied) > 0 && !zonekey.Same(last.ZoneKeys, p.before.ZoneKeys) {
			t.Errorf("%s: the scheduler has %v, and %v are thought to be in force", step.what, last.ZoneKeys, p.before.ZoneKeys)
		}
	}
}

// A folder whose keys were put back, or are somebody else's, since the scheduler ended is told of at its start: it has told which keys were in force.
func TestKeysOfAnotherAtStart(t *testing.T) {
	p := newAlonePlayer(t)
	path := filepath.Join(p.dir, keydir.File)
	begin := func() string {
		p.log.Reset()
		r := &role{log: slog.New(slog.NewTextHandler(&p.log, nil))}
		var flags schedulerFlags
		flags.dir = p.dir
		if _, _, err := r.ownKeys(&flags).begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		return p.log.String()
	}
	if text := begin(); text != "" {
		t.Errorf("with the same keys the log says %s", text)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	if _, err := keydir.New(other, fleetZoneSecrets("")).Begin(t.Context(), p.now); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(other, keydir.File), path); err != nil {
		t.Fatal(err)
	}
	if text := begin(); strings.Count(text, "as no roll-over does") != 2 {
		t.Errorf("with the keys of another the log says %s", text)
	}
}

// Zones that are to be signed, and for which no key can be made just now, are signed as soon as one can.
func TestKeysMadeLater(t *testing.T) {
	p := newAlonePlayer(t)
	p.files.keys = nil
	p.before.ZoneKeys = nil
	makeKeys, tries := p.files.makeKeys, 0
	p.files.makeKeys = func() ([]cdn.ZoneKey, [][]byte, error) {
		if tries++; tries < 3 {
			return nil, nil, errors.New("another process changes the keys")
		}
		return makeKeys()
	}
	write(t, filepath.Join(p.dir, "fleet.yaml"), oneFleet+"dns: {signed: true} \n")
	p.looks()
	p.looks()
	if p.newest() != "active a" {
		t.Errorf("after %d tries: %s", tries, p.newest())
	}
	if text := p.log.String(); strings.Count(text, "ERROR") != 1 {
		t.Errorf("want one error: %s", text)
	}
}
