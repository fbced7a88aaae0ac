package flatten_test

import (
	"os"
	"path/filepath"
	"testing"

	"nearcast/scheduler/flatten"
)

// A machine without a file of resolvers, or with one that names none, has no addresses for an ALIAS; nothing else happens, and the file is looked for again.
func TestSystem(t *testing.T) {
	file := filepath.Join(t.TempDir(), "resolv.conf")
	s := &flatten.System{File: file}
	for _, text := range []string{"", "# nobody\n", "nameserver 127.0.0.1\n"} {
		if text != "" {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		ctx := t.Context()
		_, err := s.Resolve(ctx, "lb.example")
		if usable := text == "nameserver 127.0.0.1\n"; usable != s.Usable() || err == nil && !usable {
			t.Errorf("%q: usable %t, error %v", text, s.Usable(), err)
		}
	}
}
