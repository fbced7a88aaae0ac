package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearcast/loadtest/labtest"
)

// TestDrainExamples runs what docs/OPERATIONS.md shows of draining, in a lab with one version of the sites.
func TestDrainExamples(t *testing.T) {
	steps := sectionSteps(t, "Draining")
	if len(steps) < 4 {
		t.Fatalf("only %d steps found", len(steps))
	}
	lab := labtest.Start(t)
	for _, s := range steps {
		cmd := exec.CommandContext(t.Context(), "bash", "-c", s.command)
		cmd.Env = append(os.Environ(), "NEARCAST_DIR="+lab.Dir, "PATH="+filepath.Dir(lab.Program)+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("OPERATIONS.md:%d: $ %s: %v", s.line, s.command, err)
		}
		if diff := cmp.Diff(masked(s.output), masked(strings.Split(string(out), "\n"))); diff != "" {
			t.Errorf("OPERATIONS.md:%d: $ %s prints something else (-OPERATIONS.md +got):\n%s", s.line, s.command, diff)
		}
	}
}
