package arch_test

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDependencies: every module that go.mod names for us has its reason in the table of decision 1.
func TestDependencies(t *testing.T) {
	mod, err := os.ReadFile(filepath.Join("..", "..", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile(filepath.Join("..", "..", "docs", "decisions", "0001-dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	major := regexp.MustCompile(`/v\d+$`)
	n := 0
	for line := range strings.Lines(string(mod)) {
		fields := strings.Fields(line)
		if len(fields) != 2 || !strings.HasPrefix(line, "\t") { // an indirect one has a comment
			continue
		}
		n++
		if name := path.Base(major.ReplaceAllString(fields[0], "")); !regexp.MustCompile("[/`]" + regexp.QuoteMeta(name) + "[/`]").Match(table) {
			t.Errorf("docs/decisions/0001-dependencies.md does not say why %s is here", fields[0])
		}
	}
	if n < 10 {
		t.Errorf("%d modules found in go.mod: is it written in another way?", n)
	}
}
