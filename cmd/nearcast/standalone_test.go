package main_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nearcast/internal/freeport"
	"nearcast/loadtest/labtest"
)

func TestStandaloneEdge(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/fresh" {
			w.Header().Set("Cache-Control", "max-age=60")
		}
		fmt.Fprint(w, "from ", r.Host)
	}))
	defer origin.Close()
	dir, addr, admin := t.TempDir(), freeport.Addr(t), freeport.Addr(t)
	cmd := exec.CommandContext(t.Context(), labtest.Program(t), "edge",
		"--listen", addr, "--origin", origin.URL, "--ram", "64MiB", "--dir", dir, "--admin", admin)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	get := func(url string) (*http.Response, string) {
		resp, err := client.Get(url)
		if err != nil {
			return nil, err.Error()
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(body)
	}
	labtest.Eventually(t, 10*time.Second, "ready", func() bool {
		resp, _ := get("http://" + admin + "/readyz")
		return resp != nil && resp.StatusCode == http.StatusOK
	})
	for _, want := range []string{"/fresh MISS", "/fresh HIT", "/silent MISS", "/silent MISS"} {
		path, word, _ := strings.Cut(want, " ")
		resp, body := get("http://" + addr + path)
		if resp == nil || resp.Header.Get("X-Cache") != word || body != "from 127.0.0.1" { // the port is in no cache key, so the origin does not see it
			t.Errorf("%s: %v %q, want a %s", path, resp, body, word)
		}
	}
	if _, metrics := get("http://" + admin + "/metrics"); !strings.Contains(metrics, "nearcast_edge_requests_total") {
		t.Error("no metrics on the admin address")
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after an interrupt: %v, want a clean end", err)
	}
	log, err := os.Open(filepath.Join(dir, "access.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	lines := 0
	for s := bufio.NewScanner(log); s.Scan(); lines++ {
	}
	if lines != 4 {
		t.Errorf("%d lines in the access log, want one for each of 4 requests", lines)
	}
}
