package compile_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearcast/control/compile"
)

// A file's documents are read one after the other; where something is wrong is told by the file's lines.
func TestDocuments(t *testing.T) {
	const site = "site: NAME\ndomains: [NAME.example]\norigin: {urls: [\"http://192.0.2.1\"]}\n"
	named := func(name string) string { return strings.ReplaceAll(site, "NAME", name) }
	for _, test := range []struct {
		name, text string
		sites      string // their names; or
		mistake    string
	}{
		{"one", named("a"), "a", ""},
		{"several", named("a") + "---\n" + named("b") + "--- # the last\n" + named("c"), "a b c", ""},
		{"markers around", "---\n" + named("a") + "---\n" + named("b") + "...\n", "a b", ""},
		{"comments in front", "# first\n\n---\n# second\n" + named("a"), "a", ""},
		{"windows", strings.ReplaceAll(named("a")+"---\n"+named("b"), "\n", "\r\n"), "a b", ""},
		{"no marker", named("a") + "---x: 1\n", "", "f:4:1: ---x: a site has no such key (allowed: site, domains, origin, redirection, routes)"},
		{"second is empty", named("a") + "---\n---\n" + named("b"), "", "f:4:1: the document is empty; a site is needed"},
		{"mistake in the third", named("a") + "---\n" + named("b") + "---\n" + strings.Replace(named("c"), "c.example", "c..example", 1), "", "f:10:11: domains[0]: domain \"c..example\": label \"\" "},
		{"notation of the second", named("a") + "---\n" + named("b") + "x: [\n", "", "f:8:"},
		{"tag in the second", named("a") + "---\nsite: !!str b\n", "", "f:5:7: YAML tags are not used here"},
		{"anchor of another", named("a") + "---\nsite: &n b\ndomains: [*n, b.example]\norigin: {urls: [\"http://192.0.2.1\"]}\n---\nsite: *n\n", "", "f:9:7: alias *n has no anchor in front of it"},
	} {
		t.Run(test.name, func(t *testing.T) {
			sites, err := compile.Sites("f", []byte(test.text))
			if test.mistake != "" {
				if err == nil || !strings.HasPrefix(err.Error(), test.mistake) {
					t.Fatalf("%v, want %s", err, test.mistake)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, s := range sites {
				names = append(names, string(s.Name))
			}
			if diff := cmp.Diff(test.sites, strings.Join(names, " ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}
