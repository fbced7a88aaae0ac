package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"nearcast/internal/atomicfile"
	"nearcast/scheduler"
)

const (
	keyA = "app-a 0123456789abcdefA\n"
	keyB = "app-b 0123456789abcdefB\n"
	tsig = "tsig.test hmac-sha256 MDEyMzQ1Njc4OWFiY2RlZg==\n"
)

// keysRig is a role with files of keys, and what it says.
type keysRig struct {
	role
	flags schedulerFlags

	mu   sync.Mutex // guards the following
	text bytes.Buffer
	used []keySet
}

func (r *keysRig) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

// said is what has been logged since it was last called.
func (r *keysRig) said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.text.Reset()
	return r.text.String()
}

var errRefused = errors.New("refused")

// use takes keys, but for three.
func (r *keysRig) use(keys keySet) error {
	if keys.size == 3 {
		return errRefused
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used = append(r.used, keys)
	return nil
}

// inForce has a scheduler begin with the keys that were used last, and returns how often some were.
func (r *keysRig) inForce(cfg *scheduler.Config) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.used); n > 0 {
		r.used[n-1].begin(cfg)
	}
	return len(r.used)
}

func newKeysRig(t *testing.T) *keysRig {
	t.Helper()
	dir := t.TempDir()
	r := &keysRig{flags: schedulerFlags{httpdnsKeys: filepath.Join(dir, "httpdns"), tsigKeys: filepath.Join(dir, "tsig")}}
	r.log, r.registry = slog.New(slog.NewTextHandler(r, nil)), prometheus.NewRegistry()
	return r
}

func (r *keysRig) value(t *testing.T, metric, kind string) float64 {
	t.Helper()
	all, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		for _, m := range f.GetMetric() {
			if f.GetName() == "nearcast_scheduler_"+metric && m.GetLabel()[0].GetValue() == kind {
				return m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no metric %s of %s", metric, kind)
	return 0
}

// A file of keys that every user of the machine can read is used, and that is said whenever it is read.
func TestOpenKeyFiles(t *testing.T) {
	rig := newKeysRig(t)
	const warning = "every user of this machine can read the keys"
	write(t, rig.flags.httpdnsKeys, keyA)
	write(t, rig.flags.tsigKeys, tsig)
	if err := os.Chmod(rig.flags.httpdnsKeys, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(rig.flags.tsigKeys, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := rig.readKeys(&rig.flags, new(scheduler.Config)); err != nil {
		t.Fatal(err)
	}
	if said := rig.said(); strings.Count(said, warning) != 1 || !strings.Contains(said, rig.flags.httpdnsKeys) {
		t.Errorf("at the start: %q", said)
	}
	k := rig.keyFiles[1]
	write(t, k.name, tsig+"# another line\n")
	if err := os.Chmod(k.name, 0o646); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		k.look(t.Context(), &rig.role, rig.use)
	}
	if said := rig.said(); strings.Count(said, warning) != 1 || !strings.Contains(said, k.name) {
		t.Errorf("when it has changed: %q", said)
	}
}

// What a file of keys becomes, whose keys are in force two looks later, what is said, and what the metrics show. A file that is of no use changes nothing.
func TestFollowKeyFiles(t *testing.T) {
	rig := newKeysRig(t)
	write(t, rig.flags.httpdnsKeys, keyA)
	write(t, rig.flags.tsigKeys, tsig)
	synctest.Test(t, func(t *testing.T) {
		var cfg scheduler.Config
		if err := rig.readKeys(&rig.flags, &cfg); err != nil || len(cfg.HTTPDNSKeys) != 1 || len(cfg.TSIGKeys) != 1 {
			t.Fatalf("%v, %v: %v", cfg.HTTPDNSKeys, cfg.TSIGKeys, err)
		}
		file := rig.keyFiles[0]
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- file.follow(ctx, &rig.role, rig.use) }()
		looks := func(n int) {
			<-time.After(time.Duration(n) * filesInterval)
			synctest.Wait()
		}
		put := func(text string) func() {
			return func() {
				if err := atomicfile.Write(file.name, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		looks(3)
		if rig.inForce(&cfg) > 0 {
			t.Error("keys were used that are in force already")
		}
		for _, step := range []struct {
			what  string
			do    func()
			ids   string // in force
			said  string // in the log, once; "" if nothing is
			bad   float64
			count float64
		}{
			{"nothing", func() {}, "app-a", "", 0, 1},
			{"one more", put(keyA + keyB), "app-a app-b", "keys=2", 0, 2},
			{"a mistake", put(keyA + "app-c short\n"), "app-a app-b", "line 2: the secret of app-c has 5 octets", 1, 2},
			{"it is still there", func() {}, "app-a app-b", "", 1, 2},
			{"another mistake", put("app-c\n"), "app-a app-b", "line 1: want ID SECRET", 1, 2},
			{"only comments", put("# " + keyA), "app-a app-b", "has no key; if there is to be none, start without --httpdns-keys", 1, 2},
			{"empty", put(""), "app-a app-b", "", 1, 2}, // the same is wrong with it
			{"gone", func() {
				if err := os.Remove(file.name); err != nil {
					t.Fatal(err)
				}
			}, "app-a app-b", "no such file", 1, 2},
			{"still gone", func() {}, "app-a app-b", "", 1, 2},
			{"a folder", func() {
				if err := os.Mkdir(file.name, 0o700); err != nil {
					t.Fatal(err)
				}
			}, "app-a app-b", "is a directory", 1, 2},
			{"refused", func() {
				if err := os.Remove(file.name); err != nil {
					t.Fatal(err)
				}
				put(keyA + keyB + "app-c 0123456789abcdefC\n")()
			}, "app-a app-b", "refused", 1, 2},
			{"one is taken away", put(keyB), "app-b", "keys=1", 0, 1},
			{"gone for a moment", func() {
				if err := os.Rename(file.name, file.name+".away"); err != nil {
					t.Fatal(err)
				}
				looks(1)
				if err := os.Rename(file.name+".away", file.name); err != nil {
					t.Fatal(err)
				}
			}, "app-b", "", 0, 1},
			{"another secret of the same length", put(strings.ReplaceAll(keyB, "0", "9")), "app-b", "keys=1", 0, 1},
		} {
			step.do()
			looks(4)
			rig.inForce(&cfg)
			var ids []string
			for _, id := range []string{"app-a", "app-b", "app-c"} {
				if cfg.HTTPDNSKeys[id] != nil {
					ids = append(ids, id)
				}
			}
			if got := strings.Join(ids, " "); got != step.ids {
				t.Errorf("%s: %q in force, want %q", step.what, got, step.ids)
			}
			said := rig.said()
			if n := strings.Count(said, "\n"); n > 1 || (n == 1) != (step.said != "") || !strings.Contains(said, step.said) || strings.Contains(said, "0123456789") {
				t.Errorf("%s: said %q, want %q once and nothing of secrets", step.what, said, step.said)
			}
			if bad, count := rig.value(t, "keys_bad", "httpdns"), rig.value(t, "keys", "httpdns"); bad != step.bad || count != step.count {
				t.Errorf("%s: bad %g and %g keys, want %g and %g", step.what, bad, count, step.bad, step.count)
			}
			if rig.value(t, "keys_bad", "tsig") != 0 || rig.value(t, "keys", "tsig") != 1 {
				t.Errorf("%s: the other file has changed", step.what)
			}
		}
		if got := string(cfg.HTTPDNSKeys["app-b"]); got != "9123456789abcdefB" {
			t.Errorf("the secret is %q", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	if problems, err := testutil.GatherAndLint(rig.registry); err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v, %v", problems, err)
	}
}

// A file that is being written is left alone until nobody writes it any more: half of one may have keys, and lack others.
func TestKeysAtRest(t *testing.T) {
	rig := newKeysRig(t)
	write(t, rig.flags.tsigKeys, tsig)
	write(t, rig.flags.httpdnsKeys, keyA)
	var cfg scheduler.Config
	if err := rig.readKeys(&rig.flags, &cfg); err != nil {
		t.Fatal(err)
	}
	file := rig.keyFiles[0]
	look := func() { file.look(t.Context(), &rig.role, rig.use) }
	look()
	for _, text := range []string{"", keyB, keyB + keyA[:9], keyB + keyA} {
		write(t, file.name, text)
		look()
	}
	if said := rig.said(); rig.inForce(&cfg) > 0 || said != "" {
		t.Errorf("keys were read while they were written: %s", said)
	}
	look()
	look()
	if n := rig.inForce(&cfg); n != 1 || len(cfg.HTTPDNSKeys) != 2 {
		t.Errorf("%d keys are in force after keys were used %d times, want 2 after once", len(cfg.HTTPDNSKeys), n)
	}
}

// What a scheduler does not start with. The files are named, and nothing is said of secrets.
func TestKeysAtTheStart(t *testing.T) {
	for _, test := range []struct{ what, httpdns, tsig, problem string }{
		{"a mistake of a client's key", "app 0123456789", tsig, "httpdns: line 1: the secret of app"},
		{"no client's key", "\n# nothing\n", tsig, "httpdns: has no key; if there is to be none, start without --httpdns-keys"},
		{"a mistake of a secondary's key", keyA, "tsig.test MDEyMzQ1Njc4OWFiY2RlZg==", "tsig: line 1: want NAME ALGORITHM BASE64"},
		{"no secondary's key", keyA, "", "tsig: has no key; if there is to be none, start without --tsig-keys"},
	} {
		rig := newKeysRig(t)
		write(t, rig.flags.httpdnsKeys, test.httpdns)
		write(t, rig.flags.tsigKeys, test.tsig)
		err := rig.readKeys(&rig.flags, new(scheduler.Config))
		if err == nil || !strings.Contains(err.Error(), test.problem) || strings.Contains(err.Error(), "0123456789") || strings.Contains(err.Error(), "MDEy") {
			t.Errorf("%s: %v, want %q", test.what, err, test.problem)
		}
	}
	rig := newKeysRig(t)
	if err := rig.readKeys(&rig.flags, new(scheduler.Config)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without files: %v", err)
	}
	if err := newKeysRig(t).readKeys(new(schedulerFlags), new(scheduler.Config)); err != nil {
		t.Errorf("without flags: %v", err)
	}
}

// A file that may not be read yet is tried again though it stays as it is: rights are given without touching its time.
func TestForget(t *testing.T) {
	name := filepath.Join(t.TempDir(), "keys")
	write(t, name, keyA)
	w := newWatched(name)
	w.take(name)
	w.due()
	if w.due() {
		t.Fatal("a file that was read is due")
	}
	w.forget(nil)
	w.forget(errors.New("line 1: a mistake"))
	if w.due() {
		t.Error("a file is due that has the same mistake still")
	}
	w.forget(&fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission})
	if !w.due() {
		t.Error("a file that could not be read is not due")
	}
}
