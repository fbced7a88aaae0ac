package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const oldSecret, newSecret = "the old secret of the fleet", "the new secret of the fleet"

func TestReadSecrets(t *testing.T) {
	for text, want := range map[string]string{
		oldSecret + "\n":                        oldSecret,
		"\n " + newSecret + " \n\n" + oldSecret: newSecret + "|" + oldSecret,
		"":                                      "error",
		"\n\n":                                  "error",
		oldSecret + "\nshort\n":                 "error",
	} {
		name := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := readSecrets(name)
		if text := strings.Join(got, "|"); err == nil && text != want || (err != nil) != (want == "error") {
			t.Errorf("%q is read as %q, %v", text, got, err)
		}
	}
}

// A secret is replaced while the pools run: what is in the file is what they use, unless it cannot be used.
func TestFollowSecrets(t *testing.T) {
	name := filepath.Join(t.TempDir(), "secret")
	write := func(lines ...string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(oldSecret)
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := &role{secrets: []string{oldSecret}, log: slog.New(slog.NewTextHandler(&log, nil))}
		var mu sync.Mutex // guards the following
		var used []string
		var refuses error
		refuse := func(err error) {
			mu.Lock()
			defer mu.Unlock()
			refuses = err
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- r.followSecrets(name, func(secrets []string) error {
				mu.Lock()
				defer mu.Unlock()
				if refuses == nil {
					used = secrets
				}
				return refuses
			})(ctx)
		}()
		pass := func(want ...string) {
			t.Helper()
			<-time.After(3 * secretInterval)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(used, gossipSecrets(want)) {
				t.Errorf("%d secrets are in use, not %q", len(used), want)
			}
		}
		pass()
		write(oldSecret, newSecret)
		pass(oldSecret, newSecret)
		write(newSecret, oldSecret)
		pass(newSecret, oldSecret)
		write("short")
		pass(newSecret, oldSecret)
		if n := strings.Count(log.String(), "cannot be used"); n != 1 {
			t.Errorf("a bad file is told %d times, want once:\n%s", n, &log)
		}
		refuse(errors.New("no"))
		write(newSecret)
		pass(newSecret, oldSecret)
		refuse(nil)
		pass(newSecret)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
