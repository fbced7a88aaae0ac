package scheduler_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// Every test that docs/scheduling.md names is there.
func TestNamedTests(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "docs", "scheduling.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([a-z0-9/]+)\\.(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(string(text), -1)
	if len(named) < 50 {
		t.Errorf("only %d tests are named", len(named))
	}
	for _, n := range named {
		files, err := filepath.Glob(filepath.Join("..", n[1], "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, f := range files {
			source, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			found = found || regexp.MustCompile(`(?m)^func `+n[2]+`\(`).Match(source)
		}
		if !found {
			t.Errorf("there is no %s in %s", n[2], n[1])
		}
	}
}
