package httpdns_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"nearcast/internal/outside"
	"nearcast/scheduler/httpdns"
)

// TestExample runs the example of docs/OPERATIONS.md with curl and openssl, against a server that has the key.
func TestExample(t *testing.T) {
	for _, tool := range []string{"curl", "openssl"} {
		outside.Program(t, tool, tool)
	}
	text, err := os.ReadFile("../../docs/OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "```sh\n# ask for a host, signed")
	script, _, closed := strings.Cut(rest, "```")
	if !ok || !closed || !strings.Contains(script, appKey) {
		t.Fatal("the example is not there")
	}
	s := serve(t, signed, func(c *httpdns.Config) { c.Now = time.Now })
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.Serve(w, r, peer) }))
	defer server.Close()
	for secret, want := range map[string]string{appKey: `"pop":"p1"`, "another": `"status":403`} {
		run := strings.Replace("# ask for a host, signed"+script, "http://192.0.2.53:8053", server.URL, 1)
		cmd := exec.CommandContext(t.Context(), "sh", "-euc", strings.Replace(run, appKey, secret, 1))
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("with %q: %v: %s, want %s", secret, err, out, want)
		}
	}
}
