package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nearcast/control/compile"
	"nearcast/loadtest/labtest"
)

// TestConfigExamples compiles every example of docs/CONFIG.md.
func TestConfigExamples(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(labtest.Root(t), "docs", "CONFIG.md"))
	if err != nil {
		t.Fatal(err)
	}
	compiled := 0
	for i, block := range strings.Split(string(text), "```yaml\n") {
		if i == 0 {
			continue
		}
		block, _, _ = strings.Cut(block, "```")
		if strings.HasPrefix(block, "# fleet\n") {
			_, err = compile.Fleet("docs/CONFIG.md", []byte(block))
		} else {
			_, err = compile.Sites("docs/CONFIG.md", []byte(block))
		}
		if err != nil {
			t.Errorf("example %d: %v", i, err)
		}
		compiled++
	}
	if compiled < 3 {
		t.Errorf("%d examples found, want at least 3", compiled)
	}
}
