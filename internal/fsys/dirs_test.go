package fsys_test

import (
	"errors"
	"math/rand/v2"
	"syscall"
	"testing"

	"nearcast/internal/fsys"
)

// TestMakeDir: a power cut does not take a directory away, not even one that somebody else has made without a sync.
func TestMakeDir(t *testing.T) {
	for before, synced := range map[string][]string{"/": nil, "/a": {"/"}, "/a/b": {"/", "/a"}, "/a/b/c": {"/", "/a"}} {
		m := fsys.NewMem(fsys.MemConfig{})
		if err := m.MkdirAll(before); err != nil {
			t.Fatal(err)
		}
		for _, dir := range synced {
			if err := m.SyncDir(dir); err != nil {
				t.Fatal(err)
			}
		}
		if err := fsys.MakeDir(m, "/a/b/c"); err != nil {
			t.Fatal(err)
		}
		for seed := range uint64(20) {
			if _, err := m.Crash(rand.New(rand.NewPCG(seed, 1))).ReadDir("/a/b/c"); err != nil {
				t.Fatalf("%s was there, power cut %d: %v", before, seed, err)
			}
		}
	}
	faulty := fsys.NewFaulty(fsys.NewMem(fsys.MemConfig{}), fsys.Plan{Faults: []fsys.Fault{
		{On: func(c fsys.Call) bool { return c.Op == fsys.OpSyncDir }, Err: syscall.EIO, Times: -1},
	}})
	if err := fsys.MakeDir(faulty, "/a/b"); !errors.Is(err, syscall.EIO) {
		t.Errorf("made without being durable: %v", err)
	}
	if err := fsys.MakeDir(faulty, "/a/b"); err != nil {
		t.Errorf("one that was there: %v", err)
	}
}
