package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

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
	f := newFiles(fleet, []string{site})
	first, err := f.read()
	if err != nil || len(first.Sites) != 2 {
		t.Fatalf("%v, %v", first, err)
	}
	if again, err := newFiles(fleet, []string{site}).read(); err != nil || again.Generation != first.Generation || first.Generation < 1e9 {
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
