package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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

// TestEdgeFlagsAreDocumented: docs/OPERATIONS.md has every flag of an edge, and its default.
func TestEdgeFlagsAreDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(labtest.Root(t), "docs", "OPERATIONS.md"))
	if err != nil {
		t.Fatal(err)
	}
	help, err := exec.CommandContext(t.Context(), labtest.Program(t), "edge", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	flags := regexp.MustCompile(`(?m)^ +--([a-z-]+) .*?(?:\(default "?([^ )"]+).*)?$`).FindAllStringSubmatch(string(help), -1)
	if len(flags) < 20 {
		t.Fatalf("%d flags found in the help, want at least 20", len(flags))
	}
	for _, f := range flags {
		name, value := f[1], f[2]
		if !regexp.MustCompile("--" + name + "[ `]").Match(text) {
			t.Errorf("--%s is not there", name)
		}
		row := regexp.MustCompile("(?m)^\\| `--" + name + "[ `][^|]*\\|([^|]*)\\|").FindSubmatch(text)
		if value != "" && (row == nil || !strings.Contains(string(row[1]), value)) {
			t.Errorf("--%s: no row says that its default is %s", name, value)
		}
	}
}
