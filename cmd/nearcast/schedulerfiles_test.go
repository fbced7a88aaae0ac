package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nearcast/cdn"
)

// TestFilesOfAScheduler: read returns what has changed, and says once what is broken.
func TestFilesOfAScheduler(t *testing.T) {
	dir, at := t.TempDir(), time.Now().Add(-time.Hour)
	write := func(name, text string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		at = at.Add(time.Second) // a change is seen however short after the last
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
		return file
	}
	site := func(name string) string {
		return "site: " + name + "\ndomains: [www." + name + ".example]\norigin: {urls: [\"http://127.0.0.1:9\"]}\n"
	}
	const fleet = "zone: cdn.test\npops:\n- {name: fra, region: europe, tier: edge, location: {latitude: 50.1, longitude: 8.7, country: DE}}\n" +
		"nodes:\n- {name: core, roles: [scheduler], addresses: [192.0.2.3]}\n- {name: fra-1, pop: fra, roles: [edge], addresses: [192.0.2.1]}\n"
	made := 0
	f := newFiles(write("fleet.yaml", fleet), []string{write("a.yaml", site("a")), write("b.yaml", site("b"))}, func() ([]cdn.ZoneKey, [][]byte, error) {
		made++
		return []cdn.ZoneKey{{ID: "one"}}, [][]byte{[]byte("a secret")}, nil
	})
	for _, step := range []struct {
		what   string
		do     func()
		names  string // of sites; "" if there is no configuration
		broken string // in the error
	}{
		{"the start", func() {}, "a b", ""},
		{"nothing", func() {}, "", ""},
		{"another site", func() { write("b.yaml", site("c")) }, "a c", ""},
		{"a mistake", func() { write("b.yaml", "site: 7\n") }, "", "b.yaml:1"},
		{"the mistake is still there", func() {}, "", ""},
		{"another file changes", func() { write("a.yaml", site("d")) }, "d c", ""},
		{"the file is gone", func() {
			if err := os.Remove(filepath.Join(dir, "b.yaml")); err != nil {
				t.Fatal(err)
			}
		}, "", "no such file"},
		{"it is still gone", func() {}, "", ""},
		{"it is there again", func() { write("b.yaml", site("b")) }, "d b", ""},
		{"two sites of one name", func() { write("a.yaml", site("b")) }, "", "b"},
		{"one of them is renamed", func() { write("a.yaml", site("a")) }, "a b", ""},
		{"zones are to be signed", func() { write("fleet.yaml", fleet+"dns: {signed: true}\n") }, "a b", ""},
		{"and not", func() { write("fleet.yaml", fleet) }, "a b", ""},
		{"and again", func() { write("fleet.yaml", fleet+"dns: {signed: true}\n") }, "a b", ""},
	} {
		step.do()
		s, err := f.read()
		var names []string
		if err == nil && s != nil {
			for i := range s.Sites {
				names = append(names, string(s.Sites[i].Name))
			}
		}
		if got := strings.Join(names, " "); got != step.names || (err == nil) != (step.broken == "") || err != nil && !strings.Contains(err.Error(), step.broken) {
			t.Errorf("%s: sites %q, error %v; want %q, %q", step.what, got, err, step.names, step.broken)
		}
		if s != nil && err == nil && s.Fleet.DNS.Signed && (len(s.ZoneKeys) != 1 || len(f.zoneSecrets()) != 1) {
			t.Errorf("%s: %d keys and %d secrets, want one of each", step.what, len(s.ZoneKeys), len(f.zoneSecrets()))
		}
	}
	if made != 1 {
		t.Errorf("keys were made %d times, want once", made)
	}
}

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
	f := newFiles(name, nil, nil)
	first := serial(f)
	if again := serial(newFiles(name, nil, nil)); again != first {
		t.Errorf("serial %d in another process that has the same file, want %d", again, first)
	}
	write(text+"\n", noon.Add(time.Minute))
	second := serial(f)
	if second <= first {
		t.Errorf("serial %d after a change, want more than %d", second, first)
	}
	if again := serial(newFiles(name, nil, nil)); again != second {
		t.Errorf("serial %d after the process began anew, want %d", again, second)
	}
	write(text, noon.Add(-time.Hour)) // an older file in its place
	if third := serial(f); third <= second {
		t.Errorf("serial %d after an older file has come back, want more than %d", third, second)
	}
}
