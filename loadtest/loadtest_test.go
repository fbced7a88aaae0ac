package loadtest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"nearcast/loadtest/labtest"
)

// TestSmoke runs the k6 smoke script against a lab. k6 exits with an error if a
// threshold of the script is missed.
func TestSmoke(t *testing.T) {
	root := labtest.Root(t)
	k6 := filepath.Join(root, "bin", "k6")
	if _, err := os.Stat(k6); err != nil {
		t.Skip("bin/k6 is not built; `make test` builds it")
	}
	lab := labtest.Start(t)
	run := exec.CommandContext(t.Context(), k6, "run", "--quiet",
		"-e", "ENDPOINTS="+filepath.Join(lab.Dir, "endpoints.json"), "-e", "DURATION=5s", "-e", "RATE=50",
		filepath.Join(root, "loadtest", "k6", "smoke.js"))
	if out, err := run.CombinedOutput(); err != nil {
		t.Errorf("k6: %v\n%s", err, out)
	}
}
