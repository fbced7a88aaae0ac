// Package outside has tests use programs that are not ours, which `make test-deps` installs.
//
// It is not for nearcast itself: that is built by labtest.
package outside

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Program returns the path of a program, also of one that only root has in its PATH, or skips the test if it is not installed;
// debian is the package that has it.
func Program(tb testing.TB, name, debian string) string {
	tb.Helper()
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/usr/local/sbin") {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	tb.Skipf("no %s: install it with apt-get install %s", name, debian)
	return ""
}

// Serve starts a program that runs until the test ends. What it has said is shown if the test fails.
func Serve(tb testing.TB, path string, args ...string) {
	tb.Helper()
	var said bytes.Buffer
	c := exec.Command(path, args...) //nolint:gosec,noctx // it is the test that says what, and ends it
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		c.Process.Kill() //nolint:errcheck // it may have ended
		c.Wait()         //nolint:errcheck // likewise, and not as it likes
		if tb.Failed() {
			tb.Logf("%s says:\n%s", filepath.Base(path), said.String())
		}
	})
}
