package main

import (
	"errors"
	"io/fs"
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
		{"it is still gone", func() {}, "", "no such file"},
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

const (
	oneSite  = "site: %\ndomains: [www.%.example]\norigin: {urls: ['http://origin.example']}\n"
	oneFleet = "zone: cdn.test\nhttp_port: 8080\npops:\n  - name: a\n    region: r\n    tier: edge\n    location: {latitude: 1, longitude: 1, country: DE}\nnodes:\n  - name: a-1\n    pop: a\n    roles: [edge]\n    addresses: [192.0.2.1]\n"
)

func sitesText(names ...string) string {
	var all []string
	for _, n := range names {
		all = append(all, strings.ReplaceAll(oneSite, "%", n))
	}
	return strings.Join(all, "---\n")
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A file that is being written is not read before nobody writes it any more; half of one can be valid.
func TestFilesAtRest(t *testing.T) {
	dir := t.TempDir()
	fleet, site := filepath.Join(dir, "fleet.yaml"), filepath.Join(dir, "site.yaml")
	write(t, fleet, oneFleet)
	write(t, site, sitesText("a", "b"))
	f := newFiles(fleet, []string{site}, nil)
	first, err := f.read()
	if err != nil || len(first.Sites) != 2 {
		t.Fatalf("%v, %v", first, err)
	}
	if again, err := newFiles(fleet, []string{site}, nil).read(); err != nil || again.Generation != first.Generation || first.Generation < 1e9 {
		t.Errorf("another process, or this one later, has version %d of the same files, and the first %d: %v", again.Generation, first.Generation, err)
	}
	f.due()
	if f.due() {
		t.Error("files that nobody has touched are to be read")
	}
	write(t, site, sitesText("a"))
	if f.due() {
		t.Error("a file is read at once")
	}
	write(t, site, sitesText("a", "b", "c"))
	if f.due() {
		t.Error("a file is read while it is written")
	}
	if !f.due() {
		t.Error("a file is not read after all")
	}
	if next, err := f.read(); err != nil || len(next.Sites) != 3 {
		t.Errorf("%v, %v", next, err)
	}
	if next, err := f.read(); next != nil || err != nil {
		t.Errorf("nothing has changed: %v, %v", next, err)
	}
	link := filepath.Join(dir, "other.yaml")
	write(t, link, strings.ReplaceAll(sitesText("a", "b", "c"), "www.c", "www.d"))
	info, err := os.Stat(site)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chtimes(link, info.ModTime(), info.ModTime()), os.Remove(site), os.Symlink(link, site)); err != nil {
		t.Fatal(err)
	}
	if f.due() || !f.due() {
		t.Error("a link to a file of the same length and age is no change")
	}
	if next, err := f.read(); err != nil || next.Sites[2].Domains[0] != "www.d.example" {
		t.Errorf("%v, %v", next, err)
	}
	if err := os.Remove(site); err != nil {
		t.Fatal(err)
	}
	for range 2 { // and it is looked for again
		f.due()
		if _, err := f.read(); !errors.Is(err, fs.ErrNotExist) || !f.due() {
			t.Errorf("a file that is gone: %v", err)
		}
	}
}
