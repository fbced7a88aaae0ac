package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"nearcast/loadtest/labtest"
)

// TestPurgeExamples runs every purge that docs/OPERATIONS.md and the help show, word by word.
func TestPurgeExamples(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(labtest.Root(t), "docs", "OPERATIONS.md"))
	if err != nil {
		t.Fatal(err)
	}
	lab := labtest.Start(t)
	for _, kind := range []string{"url", "dir", "tag", "regex", "site"} {
		text = append(text, lab.Run(t, "purge", kind, "--help")...)
	}
	site := filepath.Join(t.TempDir(), "site.yaml")
	content := fmt.Sprintf("site: shop\ndomains: [www.shop.example]\norigin: {urls: [%q]}\n", lab.Origins[0].URL)
	if err := os.WriteFile(site, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	lab.Run(t, "apply", "-f", site)
	examples := regexp.MustCompile(`(?m)^(?:  )?(nearcast purge .*)$`).FindAllStringSubmatch(string(text), -1)
	if len(examples) < 14 {
		t.Fatalf("only %d examples found", len(examples))
	}
	var run []string
	for _, e := range examples {
		if slices.Contains(run, e[1]) || regexp.MustCompile(`[\[{]SITE|\.\.\.|\[flags\]`).MatchString(e[1]) {
			continue // a synopsis
		}
		run = append(run, e[1])
		cmd := exec.CommandContext(t.Context(), "bash", "-c", e[1])
		cmd.Env = append(os.Environ(), "NEARCAST_DIR="+lab.Dir, "PATH="+filepath.Dir(lab.Program)+":"+os.Getenv("PATH"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("$ %s: %v\n%s", e[1], err, out)
		}
	}
	if len(run) < 10 {
		t.Errorf("only %d examples run", len(run))
	}
}
