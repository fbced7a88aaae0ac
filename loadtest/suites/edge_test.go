package suites_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"nearcast/internal/freeport"
	"nearcast/loadtest/labtest"
	"nearcast/loadtest/rig"
)

// edge is a running stand-alone edge of the built program.
type edge struct {
	addr       string // where it serves
	tls        string // where it serves over TLS
	accessLog  string
	originPort int // where it looks for its origin, on 127.0.0.1; nobody listens there yet
}

// startEdge runs the program until the test ends.
func startEdge(t *testing.T) edge {
	t.Helper()
	e := edge{addr: fmt.Sprint("127.0.0.1:", freeport.Port(t)), tls: fmt.Sprint("127.0.0.1:", freeport.Port(t)), originPort: freeport.Port(t)}
	admin, dir := fmt.Sprint("127.0.0.1:", freeport.Port(t)), t.TempDir()
	e.accessLog = filepath.Join(dir, "access.ndjson")
	cert, err := rig.NewCertificate(dir)
	if err != nil {
		t.Fatal(err)
	}
	errs, err := os.Create(filepath.Join(dir, "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(labtest.Program(t),
		"edge", "--listen", e.addr, "--tls-listen", e.tls, "--cert", cert.Cert, "--key", cert.Key,
		"--origin", fmt.Sprint("http://127.0.0.1:", e.originPort), "--dir", dir, "--admin", admin, "--access-log", e.accessLog)
	cmd.Stderr = errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait() // killed: its error says no more
		errs.Close()
		if text, err := os.ReadFile(errs.Name()); err == nil && t.Failed() {
			t.Logf("the edge said:\n%s", text[max(0, len(text)-2000):])
		}
	})
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	labtest.Eventually(t, 10*time.Second, "the edge is ready", func() bool {
		resp, err := client.Get("http://" + admin + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return e
}
