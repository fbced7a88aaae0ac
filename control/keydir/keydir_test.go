package keydir_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nearcast/cdn"
	"nearcast/control/keydir"
	"nearcast/control/wire"
	"nearcast/control/zonekey"
	"nearcast/internal/dnskey"
)

var (
	start = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	times = zonekey.TimesOf(&cdn.Fleet{})
	zones = []cdn.Domain{"cdn.test", "a.cdn.test", "shop.example"}
)

// bench is a folder, what a scheduler would have in force, and a clock.
type bench struct {
	t       *testing.T
	dir     string
	secrets [][]byte
	now     time.Time
	keeper  *keydir.Folder // the scheduler's
	keys    []cdn.ZoneKey  // in force
}

func newBench(t *testing.T, secrets ...string) *bench {
	t.Helper()
	b := &bench{t: t, dir: filepath.Join(t.TempDir(), "keys"), now: start}
	for _, s := range secrets {
		b.secrets = append(b.secrets, []byte(s))
	}
	b.restart()
	return b
}

func (b *bench) folder() *keydir.Folder {
	return keydir.New(b.dir, func() ([][]byte, error) { return b.secrets, nil })
}

// restart is the scheduler's.
func (b *bench) restart() {
	b.t.Helper()
	b.keeper = b.folder()
	held, err := b.keeper.Begin(b.t.Context(), b.now)
	b.apply(held, err)
}

// keep is what the scheduler does every few seconds.
func (b *bench) keep() *keydir.Held {
	b.t.Helper()
	held, err := b.keeper.Keep(b.t.Context(), b.now)
	b.apply(held, err)
	return held
}

func (b *bench) apply(held *keydir.Held, err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	for i := range held.Keys {
		if _, _, err := dnskey.Open(&held.Keys[i], held.Secrets); err != nil {
			b.t.Fatal(err)
		}
	}
	if err := b.keeper.Tell(zones, held.Keys, times, b.now); err != nil {
		b.t.Fatal(err)
	}
	b.keys = held.Keys
}

// want checks the states in force, and those that people see.
func (b *bench) want(states string) {
	b.t.Helper()
	var have []string
	for _, k := range b.keys {
		have = append(have, string(k.State))
	}
	if got := strings.Join(have, " "); got != states {
		b.t.Fatalf("in force are %q, want %q", got, states)
	}
	shown, err := b.folder().DNSSEC(b.now)
	if err != nil || len(shown.Keys) != len(b.keys) || len(shown.DS) != 2 || !shown.Signed {
		b.t.Fatalf("%+v, %v", shown, err)
	}
	for i, k := range shown.Keys {
		if k.ID != b.keys[i].ID || k.State != b.keys[i].State {
			b.t.Errorf("%+v is shown, in force is %s %s", k, b.keys[i].ID, b.keys[i].State)
		}
	}
}

func (b *bench) refused(err error, want string) {
	b.t.Helper()
	if cdn.KindOf(err) != cdn.Conflict || !strings.Contains(err.Error(), want) {
		b.t.Errorf("%v, want a conflict: %s", err, want)
	}
}

// TestRollOver: with the fleet's secret, and with one of the folder's own.
func TestRollOver(t *testing.T) {
	for _, secrets := range [][]string{nil, {"the secret of this fleet"}, {"a newer secret", "the one before that"}} {
		b := newBench(t, secrets...)
		b.want("active")
		_, err := b.folder().Confirm(t.Context(), wire.ConfirmRequest{}, b.now)
		b.refused(err, "no key waits for its DS")
		if _, err := b.folder().Roll(t.Context(), b.now); err != nil {
			t.Fatal(err)
		}
		if ok, err := b.folder().InForce(); ok || err != nil {
			t.Errorf("a key that the scheduler has not read is in force: %v", err)
		}
		b.keep()
		b.want("active published")
		_, err = b.folder().Roll(t.Context(), b.now)
		b.refused(err, "a roll-over is under way")
		b.now = b.now.Add(times.Publish)
		b.keep()
		b.want("active published")
		b.now = b.now.Add(time.Second)
		b.keep()
		b.want("active ready")
		b.restart()
		b.want("active ready")
		shown, err := b.folder().Confirm(t.Context(), wire.ConfirmRequest{Key: b.keys[1].ID}, b.now)
		if err != nil || !strings.HasPrefix(shown.DS[0], "cdn.test. IN DS ") || !strings.HasPrefix(shown.DS[1], "shop.example. IN DS ") {
			t.Fatalf("%+v, %v", shown, err)
		}
		b.keep()
		b.want("retired active")
		b.now = b.now.Add(times.Retire + time.Second)
		if held := b.keep(); len(held.Jumps) > 0 {
			t.Errorf("%q: a roll-over as it should be", held.Jumps)
		}
		b.want("active")
	}
}

// The steps that time brings are the scheduler's: while it does not run nothing is ready, and people are told so.
func TestSchedulerIsSilent(t *testing.T) {
	b := newBench(t)
	if _, err := b.folder().Roll(t.Context(), b.now); err != nil {
		t.Fatal(err)
	}
	b.now = b.now.Add(3 * time.Hour)
	_, err := b.folder().Confirm(t.Context(), wire.ConfirmRequest{Force: true}, b.now)
	b.refused(err, "that time has come, and the scheduler, which is to make the step, has not: does it run with --dir "+b.dir)
	// It sees the new key only now: the wait begins anew, also if it was started for that.
	b.restart()
	b.want("active published")
	b.now = b.now.Add(times.Publish)
	b.keep()
	b.want("active published")
	b.now = b.now.Add(time.Second)
	b.keep()
	b.want("active ready")
	// Keys that others have put there are not confirmed before the scheduler has them.
	status := filepath.Join(b.dir, "dnssec.status.json")
	if err := os.Remove(status); err != nil {
		t.Fatal(err)
	}
	_, err = b.folder().Confirm(t.Context(), wire.ConfirmRequest{}, b.now)
	b.refused(err, "has not told that it has these keys in force")
	if _, err := b.folder().Confirm(t.Context(), wire.ConfirmRequest{Force: true}, b.now); err != nil {
		t.Error(err)
	}
}

// Another scheduler that has a copy of the folder, or gets one of the file in time, has the same keys in the same states.
func TestCopies(t *testing.T) {
	a := newBench(t, "the secret of this fleet")
	b := &bench{t: t, dir: t.TempDir(), secrets: a.secrets, now: start}
	copyFile := func() {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(a.dir, keydir.File))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(b.dir, keydir.File), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	same := func(states string) {
		t.Helper()
		a.keep()
		a.want(states)
		b.now = a.now
		b.keep()
		b.want(states)
		if !zonekey.Same(a.keys, b.keys) {
			t.Errorf("%v and %v", a.keys, b.keys)
		}
	}
	copyFile()
	b.restart()
	same("active")
	if _, err := a.folder().Roll(t.Context(), a.now); err != nil {
		t.Fatal(err)
	}
	a.keep()
	a.now = a.now.Add(zonekey.Propagation)
	copyFile()
	same("active published")
	a.now = a.now.Add(times.Publish)
	same("active ready") // each by itself
	if _, err := a.folder().Confirm(t.Context(), wire.ConfirmRequest{}, a.now); err != nil {
		t.Fatal(err)
	}
	copyFile()
	same("retired active")
	a.now = a.now.Add(times.Retire + time.Second)
	same("active")

	// A file that has nothing to do with the one before is believed, and it is said what that breaks.
	c := newBench(t, "the secret of this fleet")
	a.dir = c.dir
	copyFile()
	if held := b.keep(); len(held.Jumps) != 2 || held.Keys[0].ID != c.keys[0].ID {
		t.Errorf("%+v", held)
	}
}

// Whatever is wrong with the file is told, and nothing is changed, not even by who wants to.
func TestDamaged(t *testing.T) {
	b := newBench(t, "the secret of this fleet")
	path := b.folder().Path()
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ text, want string }{
		{string(good[:len(good)/2]), "is not a file of keys"},
		{"", "is not a file of keys"},
		{`{"keys": []}`, "is not a file of keys"},
		{strings.Replace(string(good), `"active"`, `"published"`, 1), "0 of the 1 keys are active, want one"},
		{strings.Replace(string(good), `"active"`, `"dormant"`, 1), `is "dormant", which this version does not know`},
		{strings.Replace(string(good), b.keys[0].ID, "20261126-00000", 1), "none of the 1 secrets known here opens it"},
		{`{"keys": [{"state": "active"}]}`, "the public key has 0 octets, want 64"},
	} {
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if held, err := b.keeper.Keep(t.Context(), b.now); held != nil || err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%+v, %v; want %s", held, err, tt.want)
		}
		if _, err := b.folder().Roll(t.Context(), b.now); err == nil {
			t.Errorf("%s: a key is added", tt.want)
		}
		if text, err := os.ReadFile(path); err != nil || string(text) != tt.text {
			t.Errorf("%s: the file was changed: %v", tt.want, err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if held, err := b.keeper.Keep(t.Context(), b.now); held != nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%+v, %v: a key is made in the place of one that is gone", held, err)
	}
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	b.keep()
	b.want("active")
	b.secrets = [][]byte{[]byte("another secret altogether")}
	if _, err := b.folder().Roll(t.Context(), b.now); err == nil || !strings.Contains(err.Error(), "none of the 1 secrets known here opens it") {
		t.Errorf("with another secret: %v", err)
	}
	b.secrets = nil
	if _, err := b.folder().Roll(t.Context(), b.now); err == nil || !strings.Contains(err.Error(), "--secret-file is missing") {
		t.Errorf("without a secret: %v", err)
	}
}

// The secret that is in use seals, while the scheduler runs, too.
func TestSecretIsReplaced(t *testing.T) {
	b := newBench(t, "the secret of this fleet")
	b.secrets = [][]byte{[]byte("the next secret"), b.secrets[0]}
	if held := b.keep(); len(held.Steps) != 1 || !strings.Contains(held.Steps[0], "is sealed with the secret that is in use now") {
		t.Errorf("%q", held.Steps)
	}
	b.secrets = b.secrets[:1]
	if held := b.keep(); len(held.Steps) > 0 {
		t.Errorf("%q", held.Steps)
	}
}

// One at a time: of many that begin a roll-over one succeeds. Nobody waits forever for who has the lock.
func TestLock(t *testing.T) {
	b := newBench(t)
	var group sync.WaitGroup
	var mu sync.Mutex // guards done
	done := 0
	for range 8 {
		group.Go(func() {
			_, err := b.folder().Roll(t.Context(), b.now)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				done++
			} else if cdn.KindOf(err) != cdn.Conflict {
				t.Error(err)
			}
		})
	}
	group.Wait()
	b.keep()
	if done != 1 || len(b.keys) != 2 {
		t.Errorf("%d roll-overs were begun, and there are %d keys", done, len(b.keys))
	}
	holder, err := os.Open(b.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	if err := unix.Flock(int(holder.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err = b.folder().Roll(ctx, b.now)
	b.refused(err, "another process changes the keys; try again")
	// Keys that cannot be written are signed with as they are.
	if held, err := b.keeper.Keep(ctx, b.now.Add(times.Publish+time.Second)); err == nil || held == nil || held.Keys[1].State != cdn.KeyPublished {
		t.Errorf("%+v, %v", held, err)
	}
}

// A fleet that is not signed has its keys kept for later, and none is added.
func TestUnsigned(t *testing.T) {
	b := newBench(t)
	if err := b.keeper.Tell(nil, b.keys, times, b.now); err != nil {
		t.Fatal(err)
	}
	_, err := b.folder().Roll(t.Context(), b.now)
	b.refused(err, "zones are not signed")
	if shown, err := b.folder().DNSSEC(b.now); err != nil || shown.Signed || len(shown.DS) > 0 || len(shown.Keys) != 1 {
		t.Errorf("%+v, %v", shown, err)
	}
}

// A first key that cannot be kept is none.
func TestNoFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	none := func() ([][]byte, error) { return nil, nil }
	if held, err := keydir.New(filepath.Join(file, "keys"), none).Begin(t.Context(), start); held != nil || err == nil {
		t.Errorf("in a folder within a file: %+v, %v", held, err)
	}
	unread := errors.New("the secret file cannot be read")
	dir := t.TempDir()
	held, err := keydir.New(dir, func() ([][]byte, error) { return nil, unread }).Begin(t.Context(), start)
	if held != nil || !errors.Is(err, unread) {
		t.Errorf("without secrets that there are: %+v, %v", held, err)
	}
	if _, err := os.Stat(filepath.Join(dir, keydir.File)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file of keys is there: %v", err)
	}
}
