package filestamp_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"nearcast/internal/filestamp"
)

var written = time.Unix(1_700_000_000, 0)

// write writes a file that is as old as the others.
func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(name, written, written); err != nil {
		t.Fatal(err)
	}
}

func TestSame(t *testing.T) {
	for name, test := range map[string]struct {
		change func(t *testing.T, file, other string) error
		same   bool
	}{
		"nothing": {func(*testing.T, string, string) error { return nil }, true},
		"read":    {func(_ *testing.T, file, _ string) error { _, err := os.ReadFile(file); return err }, true},
		"time":    {func(_ *testing.T, file, _ string) error { return os.Chtimes(file, written, written.Add(time.Second)) }, false},
		"size": {func(t *testing.T, file, _ string) error {
			t.Helper()
			write(t, file, "longer")
			return nil
		}, false},
		"renamed into place": {func(_ *testing.T, file, other string) error { return os.Rename(other, file) }, false},
		"gone":               {func(_ *testing.T, file, _ string) error { return os.Remove(file) }, false},
		"link to another": {func(_ *testing.T, file, other string) error {
			if err := os.Remove(file); err != nil {
				return err
			}
			return os.Symlink(other, file)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file, other := filepath.Join(dir, "file"), filepath.Join(dir, "other")
			write(t, file, "text")
			write(t, other, "text")
			before := filestamp.Of(file)
			if err := test.change(t, file, other); err != nil {
				t.Fatal(err)
			}
			after := filestamp.Of(file)
			if before.Same(after) != test.same || after.Same(before) != test.same {
				t.Errorf("the same: %v, want %v", !test.same, test.same)
			}
		})
	}
}

func TestMissing(t *testing.T) {
	var missing filestamp.Stamp
	file := filepath.Join(t.TempDir(), "file")
	if s := filestamp.Of(file); s.There() || !s.Same(missing) || !s.ModTime().IsZero() {
		t.Errorf("%+v, want that of no file", s)
	}
	write(t, file, "text")
	if s := filestamp.Of(file); !s.There() || s.Same(missing) || missing.Same(s) || !s.ModTime().Equal(written) {
		t.Errorf("%+v, want that of a file", s)
	}
}
