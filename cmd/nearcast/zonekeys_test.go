package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nearcast/cdn"
	"nearcast/control/keydir"
	"nearcast/scheduler/dnssec"
)

// alone starts a scheduler's keys as a process of its own would, and returns the key's ID, or the error.
func alone(t *testing.T, dir string, secrets ...string) (id string, log string, err error) {
	t.Helper()
	var f schedulerFlags
	f.dir = dir
	if len(secrets) > 0 {
		f.secretFile = filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(f.secretFile, []byte(strings.Join(secrets, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var text bytes.Buffer
	r := &role{log: slog.New(slog.NewTextHandler(&text, nil))}
	keys, opens, err := r.ownKeys(&f).begin(t.Context())
	if err != nil {
		return "", text.String(), err
	}
	if len(keys) != 1 || keys[0].State != cdn.KeyActive {
		t.Fatalf("%+v: want one active key", keys)
	}
	if _, err := dnssec.Open(keys, opens...); err != nil {
		t.Fatal(err)
	}
	return keys[0].ID, text.String(), nil
}

// A scheduler that stands alone has the same key after a restart, whatever becomes of the secret as long as the one before is there.
func TestStandaloneKeys(t *testing.T) {
	const one, two, three = "the first secret of all", "the second secret of all", "the third secret of all"
	dir := filepath.Join(t.TempDir(), "new")
	first, _, err := alone(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, keydir.File))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v: want a file of mode 0600", info, err)
	}
	for _, secrets := range [][]string{nil, {one}, {two, one}, {two}, {three, two}} {
		if id, _, err := alone(t, dir, secrets...); err != nil || id != first {
			t.Errorf("with %q: key %s, %v; want %s", secrets, id, err, first)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, keydir.File))
	if err != nil || strings.Contains(string(text), `"secret"`) {
		t.Errorf("%v: the file has a secret beside those of the secret file:\n%s", err, text)
	}
	for _, tt := range []struct {
		secrets []string
		want    string
	}{
		{nil, "the keys are sealed; --secret-file is missing"},
		{[]string{one}, "none of the 1 secrets known here opens it"},
		{[]string{"short"}, "at least 16 characters"},
	} {
		if _, _, err := alone(t, dir, tt.secrets...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("with %q: %v, want %s", tt.secrets, err, tt.want)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, keydir.File), text[:len(text)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := alone(t, dir, three); err == nil || !strings.Contains(err.Error(), "is not a file of keys") {
		t.Errorf("with half a file: %v", err)
	}
}

func TestStandaloneKeysInMemory(t *testing.T) {
	first, log, err := alone(t, "")
	if err != nil || !strings.Contains(log, "lost when this process ends") {
		t.Errorf("%v, %s: want a warning", err, log)
	}
	if second, _, err := alone(t, "", "a secret that is long enough"); err != nil || second == first {
		t.Errorf("%s, %v: want another key", second, err)
	}
}
