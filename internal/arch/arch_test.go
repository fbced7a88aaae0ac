package arch_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"nearcast/internal/arch"
)

// TestRepository holds the rules over this repository. Run it with -count=1: the
// test cache does not see that other packages changed.
func TestRepository(t *testing.T) {
	root := filepath.Join("..", "..")
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatalf("not at the root of the module: %v", err)
	}
	found, err := arch.Check(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range found {
		t.Error(v)
	}
}

// TestCheck is the test of the test: each archive in testdata is a small module
// that breaks one rule, and its comment is what must be reported, no more, no less.
func TestCheck(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives in testdata: %v", err)
	}
	for _, name := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			tree := make(fstest.MapFS)
			for _, f := range a.Files {
				tree[f.Name] = &fstest.MapFile{Data: f.Data}
			}
			check(t, tree, string(a.Comment))
		})
	}
}

func TestSize(t *testing.T) {
	statements := func(n int) string { return strings.Repeat("\tprintln()\n", n) }
	comments := func(n int) string { return strings.Repeat("// line\n", n) }
	const head = "// Package edge is here.\npackage edge\n\n"
	for _, tt := range []struct{ name, file, text, want string }{
		{"short", "edge/a.go", head + "func f() {\n" + statements(58) + "}\n", ""},
		{"long", "edge/a.go", head + "func f() {\n" + statements(59) + "}\n", "edge/a.go:4: f has 61 lines, a function has at most 60\n"},
		{"small", "edge/a.go", head + comments(497), ""},
		{"big", "edge/a.go", head + comments(498), "edge/a.go: a file has at most 500 lines\n"},
		{"test", "edge/a_test.go", head + comments(600) + "func f() {\n" + statements(100) + "}\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			check(t, fstest.MapFS{tt.file: &fstest.MapFile{Data: []byte(tt.text)}}, tt.want)
		})
	}
}

func TestUnparsable(t *testing.T) {
	_, err := arch.Check(fstest.MapFS{"edge/a.go": &fstest.MapFile{Data: []byte("pack age")}})
	if err == nil || !strings.Contains(err.Error(), "edge/a.go:1") {
		t.Errorf("Check of a file that is not Go: error %v, want one that names it", err)
	}
}

func check(t *testing.T, tree fstest.MapFS, want string) {
	t.Helper()
	found, err := arch.Check(tree)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, v := range found {
		got.WriteString(v.String() + "\n")
	}
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("violations (-want +got):\n%s", diff)
	}
}
