package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The serial of the zones of a scheduler that stands alone grows with every change of its files, and does not fall when the process begins anew.
func TestSerialOfFiles(t *testing.T) {
	name := filepath.Join(t.TempDir(), "fleet.yaml")
	write := func(text string, at time.Time) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
	serial := func(f *files) uint64 {
		t.Helper()
		s, err := f.read()
		if err != nil || s == nil {
			t.Fatal(s, err)
		}
		return uint64(s.Generation)
	}
	const text = "zone: cdn.test\npops: [{name: a, region: b, tier: edge, location: {latitude: 1, longitude: 2, country: DE}}]\nnodes: [{name: b, pop: a, roles: [edge], addresses: [192.0.2.1]}]\n"
	noon := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	write(text, noon)
	f := newFiles(name, nil)
	first := serial(f)
	if again := serial(newFiles(name, nil)); again != first {
		t.Errorf("serial %d in another process that has the same file, want %d", again, first)
	}
	write(text+"\n", noon.Add(time.Minute))
	second := serial(f)
	if second <= first {
		t.Errorf("serial %d after a change, want more than %d", second, first)
	}
	if again := serial(newFiles(name, nil)); again != second {
		t.Errorf("serial %d after the process began anew, want %d", again, second)
	}
	write(text, noon.Add(-time.Hour)) // an older file in its place
	if third := serial(f); third <= second {
		t.Errorf("serial %d after an older file has come back, want more than %d", third, second)
	}
}
