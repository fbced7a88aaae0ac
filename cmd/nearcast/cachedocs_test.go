package main_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nearcast/internal/freeport"
	"nearcast/loadtest/labtest"
)

// shopOrigin serves a few contents of a shop.
func shopOrigin(w http.ResponseWriter, req *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "max-age=600")
	h.Set("Etag", `"7"`)
	size := 48_000
	switch req.URL.Path {
	case "/price.json":
		h.Set("Vary", "Accept-Language")
		h.Set("Surrogate-Key", "product-17 prices")
		size = 1200
	case "/film.mp4":
		size = 5 << 20
	case "/none":
		w.WriteHeader(http.StatusNotFound)
		return
	}
	h.Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, req, "", time.Time{}, strings.NewReader(strings.Repeat("0123456789abcdef", size/16)))
}

// shop is an edge alone in front of the shop, with a disk.
type shop struct {
	dir, addr, admin, origin string
	process                  *exec.Cmd
}

// startShop runs a shop until the test ends.
func startShop(t *testing.T, dir string) *shop {
	t.Helper()
	origin := httptest.NewServer(http.HandlerFunc(shopOrigin))
	t.Cleanup(origin.Close)
	s := &shop{dir: dir, addr: freeport.Addr(t), admin: freeport.Addr(t), origin: origin.URL}
	s.start(t)
	t.Cleanup(func() {
		s.process.Process.Signal(os.Interrupt)
		if err := s.process.Wait(); err != nil {
			t.Errorf("the node ended with %v", err)
		}
	})
	return s
}

func (s *shop) start(t *testing.T) {
	t.Helper()
	s.process = exec.Command(labtest.Program(t), "edge",
		"--listen", s.addr, "--origin", s.origin, "--ram", "64MiB", "--dir", s.dir, "--disk", "1GiB", "--verify-rate", "0", "--admin", s.admin)
	s.process.Stderr = os.Stderr
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	labtest.Eventually(t, 10*time.Second, "ready", func() bool {
		resp, err := visit(t.Context(), s.admin, "/readyz")
		return err == nil && resp.StatusCode == http.StatusOK
	})
}

// cache runs nearcast cache on the node.
func (s *shop) cache(t *testing.T, args ...string) (out string, err error) {
	t.Helper()
	text, err := exec.CommandContext(t.Context(), labtest.Program(t), append(append([]string{"cache"}, args...), "--dir", s.dir)...).CombinedOutput()
	return string(text), err
}

// visit asks for a path of the shop; fields are pairs of name and value.
func visit(ctx context.Context, addr, path string, fields ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Host = "www.shop.example"
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err == nil {
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
	}
	return resp, err
}

// cacheMasks are the parts of the output of nearcast cache that differ from run to run.
var cacheMasks = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [\d:]+ GMT`), "DATE"},
	{regexp.MustCompile(`[\d.]+ [KM]iB (of|in|,)`), "SIZE $1"},
	{regexp.MustCompile(`SIZE of \d+\.\d`), "SIZE of N"},
	{regexp.MustCompile(`^SIZE.* in \d+ records?.*damaged$|^[\d.]+ .?i?B in \d+ records?.* damaged$`), ""},
	{regexp.MustCompile(`log \d+ B`), "log SIZE"},
	{regexp.MustCompile(`index +[^,]*,`), "index SIZE,"},
	{regexp.MustCompile(`amplification [\d.]+`), "amplification N"},
	{regexp.MustCompile(`\d+ hits`), "N hits"},
	{regexp.MustCompile(`age +\d+ s, fresh for \d+ s`), "age N s, fresh for N s"},
	{regexp.MustCompile(`born at \d+`), "born at N"},
	{regexp.MustCompile(`segment [0-9a-f]{16} at \d+`), "segment S at N"},
	{regexp.MustCompile(`\d+s +\d+s`), "AGE TTL"},
	{regexp.MustCompile(`[ \t]+`), " "},
}

func cacheMasked(lines []string) []string {
	var out []string
	for _, l := range lines {
		for _, m := range cacheMasks {
			l = m.pattern.ReplaceAllString(l, m.with)
		}
		if l = strings.TrimSpace(l); l != "" {
			out = append(out, l)
		}
	}
	if len(out) > 0 && strings.HasPrefix(out[0], "STATUS") {
		slices.Sort(out[1:]) // a list has no order
	}
	return out
}

// TestCacheExamples runs the examples of docs/OPERATIONS.md about the cache of a node on a node that is as they say.
func TestCacheExamples(t *testing.T) {
	steps := sectionSteps(t, "The cache of a node")
	if len(steps) < 6 {
		t.Fatalf("only %d steps found", len(steps))
	}
	dir := filepath.Join(t.TempDir(), "node")
	node := startShop(t, dir)
	for _, fields := range [][]string{
		{"/price.json", "Accept-Language", "de"},
		{"/price.json", "Accept-Language", "en"},
		{"/img/a.png"},
		{"/img/b.png"},
		{"/none"},
		{"/film.mp4", "Range", "bytes=1048576-2097151"},
	} {
		if _, err := visit(t.Context(), node.addr, fields[0], fields[1:]...); err != nil {
			t.Fatal(err)
		}
	}
	labtest.Eventually(t, 10*time.Second, "a slice of the film", func() bool {
		out, err := node.cache(t, "show", "http://www.shop.example/film.mp4")
		return err == nil && strings.Contains(out, "1048576-2097151")
	})
	for _, s := range steps {
		cmd := exec.CommandContext(t.Context(), "bash", "-c", strings.ReplaceAll(s.command, "/var/lib/nearcast", dir))
		cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(labtest.Program(t))+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("OPERATIONS.md:%d: $ %s: %v\n%s", s.line, s.command, err, out)
		}
		got := cacheMasked(strings.Split(strings.ReplaceAll(string(out), dir, "/var/lib/nearcast"), "\n"))
		if diff := cmp.Diff(cacheMasked(s.output), got); diff != "" {
			t.Errorf("OPERATIONS.md:%d: $ %s prints something else (-document +got):\n%s\n%s", s.line, s.command, diff, out)
		}
	}
}
