package outside_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nearcast/internal/outside"
	"nearcast/internal/waitfor"
)

func TestProgram(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	own := filepath.Join(dir, "own")
	if err := os.WriteFile(own, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got := outside.Program(t, "own", "own"); got != own {
		t.Errorf("%s, want %s", got, own)
	}
	var skipped bool
	t.Run("missing", func(t *testing.T) {
		defer func() { skipped = t.Skipped() }()
		outside.Program(t, "no-such-program", "no-such-package")
	})
	if !skipped {
		t.Error("a test that needs a program that is not there goes on")
	}
}

func TestServe(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "pid")
	t.Run("runs", func(t *testing.T) {
		outside.Serve(t, outside.Program(t, "sh", "dash"), "-c", "echo $$ > "+mark+".new && mv "+mark+".new "+mark+"; exec sleep 600")
		waitfor.That(t, 10*time.Second, "it runs", func() bool { _, err := os.Stat(mark); return err == nil })
	})
	pid, err := os.ReadFile(mark)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/proc/" + strings.TrimSpace(string(pid))); err == nil {
		t.Error("it runs on when its test has ended")
	}
}
