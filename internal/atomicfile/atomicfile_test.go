package atomicfile_test

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"nearcast/internal/atomicfile"
)

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "last-good")
	for _, tt := range []struct {
		name, data string
		perm       os.FileMode
	}{
		{"new", "one", 0o600},
		{"shorter", "2", 0o600},
		{"longer", "three three three", 0o640},
		{"empty", "", 0o644},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := atomicfile.Write(path, []byte(tt.data), tt.perm); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(path)
			if err != nil || string(got) != tt.data {
				t.Errorf("content %q, error %v; want %q", got, err, tt.data)
			}
			if info, err := os.Stat(path); err != nil || info.Mode() != tt.perm {
				t.Errorf("mode %v, error %v; want %v", info.Mode(), err, tt.perm)
			}
		})
	}
	wantOnly(t, filepath.Dir(path), "last-good")
}

// wantOnly checks that nothing but one file is in a folder.
func wantOnly(t *testing.T, dir, name string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != name {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

// TestFailure: a write that cannot succeed leaves what was there, and no litter.
func TestFailure(t *testing.T) {
	dir := t.TempDir()
	taken := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(taken, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Write(taken, []byte("x"), 0o600); err == nil {
		t.Error("a folder was replaced by a file")
	}
	wantOnly(t, dir, "taken")
	if err := atomicfile.Write(filepath.Join(dir, "none", "file"), []byte("x"), 0o600); err == nil {
		t.Error("a file was written into a folder that does not exist")
	}
}

// TestSymlink: the name is replaced, not what a link of that name points to.
func TestSymlink(t *testing.T) {
	dir := t.TempDir()
	link, target := filepath.Join(dir, "link"), filepath.Join(dir, "target")
	if err := os.WriteFile(target, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Write(link, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(target); string(got) != "old" || err != nil {
		t.Errorf("the link's target has %q, error %v", got, err)
	}
}

// TestConcurrent: whoever reads during writes sees one of the contents, whole.
func TestConcurrent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	contents := [][]byte{bytes.Repeat([]byte("a"), 100<<10), bytes.Repeat([]byte("b"), 50<<10)}
	if err := atomicfile.Write(path, contents[0], 0o600); err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	for _, c := range contents {
		writers.Go(func() {
			for range 10 {
				if err := atomicfile.Write(path, c, 0o600); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	for {
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, contents[0]) && !bytes.Equal(got, contents[1]) {
			t.Errorf("read %d bytes, error %v: neither of the contents", len(got), err)
		}
		select {
		case <-done:
			return
		default:
		}
	}
}

// TestReplace: who owned the file, and might read it, still does; what is not there is not replaced.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keys")
	if err := atomicfile.Replace(path, []byte("x")); err == nil {
		t.Error("a file that is not there was replaced")
	}
	if err := os.WriteFile(path, []byte("one"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	owner := os.Getuid()
	if owner == 0 { // only root can give files away
		owner = 12345
		if err := os.Chown(path, owner, owner); err != nil {
			t.Fatal(err)
		}
	}
	if err := atomicfile.Replace(path, []byte("two")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o640 || int(info.Sys().(*syscall.Stat_t).Uid) != owner {
		t.Errorf("%v, %v: want mode 0640 and the owner %d", info, err, owner)
	}
	if got, err := os.ReadFile(path); string(got) != "two" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	wantOnly(t, dir, "keys")
}
