package weborigin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"nearcast/internal/weborigin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is a directory with what the tests ask for.
func site(t *testing.T) string {
	t.Helper()
	parent := t.TempDir()
	root := filepath.Join(parent, "site")
	files := map[string]string{
		"../secret": "secret", "index.html": "home", "a.css": "0123456789", "with space+100%": "odd",
		"dir/index.html": "inner", "bare/file.txt": "text", ".hidden": "seen",
	}
	for name, text := range files {
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stamp := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	if err := os.Chtimes(filepath.Join(root, "a.css"), stamp, stamp); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"out": "../secret", "up": "..", "in": "a.css"} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(root, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	return root
}

// logBuffer is an access log that a test reads while the server writes.
type logBuffer struct {
	mu  sync.Mutex // guards the following
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// take returns what came since the last call.
func (l *logBuffer) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.buf.String()
	l.buf.Reset()
	return text
}

// start serves root and returns the server's URL and its log.
func start(t *testing.T, root string) (base string, log *logBuffer) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log = new(logBuffer)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() {
		ended <- weborigin.Serve(ctx, l, weborigin.Config{Root: root, MaxAge: 90 * time.Second, AccessLog: log})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return "http://" + l.Addr().String(), log
}

// do sends a request with header fields given as name, value, ...
func do(t *testing.T, method, url string, fields ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("User-Agent", "test")
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	resp, err := (&http.Transport{DisableKeepAlives: true, DisableCompression: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestFiles(t *testing.T) {
	base, _ := start(t, site(t))
	for _, tt := range []struct {
		name, method, path string
		status             int
		body               string
	}{
		{"file", "GET", "/a.css", 200, "0123456789"},
		{"head", "HEAD", "/a.css", 200, ""},
		{"query", "GET", "/a.css?v=2", 200, "0123456789"},
		{"encoded", "GET", "/with%20space+100%25", 200, "odd"},
		{"hidden", "GET", "/.hidden", 200, "seen"},
		{"link", "GET", "/in", 200, "0123456789"},
		{"index", "GET", "/", 200, "home"},
		{"inner", "GET", "/dir/", 200, "inner"},
		{"folder", "GET", "/dir", 404, "Not Found\n"},
		{"listing", "GET", "/bare/", 404, "Not Found\n"},
		{"missing", "GET", "/none", 404, "Not Found\n"},
		{"outside", "GET", "/out", 404, "Not Found\n"},
		{"up", "GET", "/up/secret", 404, "Not Found\n"},
		{"dots", "GET", "/../secret", 404, "Not Found\n"},
		{"encoded-dots", "GET", "/%2e%2e%2fsecret", 404, "Not Found\n"},
		{"slashes", "GET", "//a.css", 404, "Not Found\n"},
		{"nul", "GET", "/a.css%00", 404, "Not Found\n"},
		{"fifo", "GET", "/fifo", 404, "Not Found\n"},
		{"post", "POST", "/a.css", 405, "Method Not Allowed\n"},
		{"delete", "DELETE", "/a.css", 405, "Method Not Allowed\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, body := do(t, tt.method, base+tt.path)
			if resp.StatusCode != tt.status || body != tt.body {
				t.Errorf("%s %s = %d %q, want %d %q", tt.method, tt.path, resp.StatusCode, body, tt.status, tt.body)
			}
			if tt.status == 405 && resp.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("Allow is %q", resp.Header.Get("Allow"))
			}
			if tt.status != 200 && (resp.Header.Get("Cache-Control") != "" || resp.Header.Get("Etag") != "") {
				t.Errorf("an error is made cacheable: %v", resp.Header)
			}
		})
	}
}

func TestValidators(t *testing.T) {
	root := site(t)
	base, _ := start(t, root)
	resp, _ := do(t, "GET", base+"/a.css")
	const tag = `"a-1886caf21c963206"`
	want := http.Header{
		"Accept-Ranges": {"bytes"}, "Content-Length": {"10"}, "Content-Type": {"text/css; charset=utf-8"},
		"Cache-Control": {"public, max-age=90"}, "Etag": {tag}, "Last-Modified": {"Fri, 02 Jan 2026 03:04:05 GMT"},
	}
	dateless := cmpopts.IgnoreMapEntries(func(name string, _ []string) bool { return name == "Date" || name == "Connection" })
	if diff := cmp.Diff(want, resp.Header, dateless); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	for _, tt := range []struct {
		name, field, value string
		status             int
		body               string
	}{
		{"etag", "If-None-Match", tag, 304, ""},
		{"date", "If-Modified-Since", "Fri, 02 Jan 2026 03:04:05 GMT", 304, ""},
		{"changed", "If-None-Match", `"other"`, 200, "0123456789"},
		{"range", "Range", "bytes=2-4", 206, "234"},
		{"suffix", "Range", "bytes=-3", 206, "789"},
		{"beyond", "Range", "bytes=10-", 416, "invalid range: failed to overlap\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, body := do(t, "GET", base+"/a.css", tt.field, tt.value)
			if resp.StatusCode != tt.status || body != tt.body {
				t.Errorf("%s: %s = %d %q, want %d %q", tt.field, tt.value, resp.StatusCode, body, tt.status, tt.body)
			}
		})
	}
	if err := os.WriteFile(filepath.Join(root, "a.css"), []byte("9876543210"), 0o600); err != nil {
		t.Fatal(err)
	}
	if resp, body := do(t, "GET", base+"/a.css", "If-None-Match", tag); resp.StatusCode != http.StatusOK || body != "9876543210" {
		t.Errorf("after a change of the same size: %d %q", resp.StatusCode, body)
	}
}

// TestAccessLog: the line is there when the response is, and says what it was.
func TestAccessLog(t *testing.T) {
	base, log := start(t, site(t))
	type line struct {
		Time          time.Time
		Method, Path  string
		UserAgent     string `json:"user_agent"`
		Status, Bytes int
	}
	for _, tt := range []struct {
		name, method, path, field, value string
		want                             line
	}{
		{"get", "GET", "/a.css?v=%41", "", "", line{Status: 200, Bytes: 10}},
		{"head", "HEAD", "/a.css", "", "", line{Status: 200}},
		{"range", "GET", "/a.css", "Range", "bytes=0-2", line{Status: 206, Bytes: 3}},
		{"unchanged", "GET", "/a.css", "If-Modified-Since", "Fri, 02 Jan 2026 03:04:05 GMT", line{Status: 304}},
		{"missing", "GET", "/none", "", "", line{Status: 404, Bytes: 10}},
		{"post", "POST", "/a.css", "", "", line{Status: 405, Bytes: 19}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var fields []string
			if tt.field != "" {
				fields = []string{tt.field, tt.value}
			}
			do(t, tt.method, base+tt.path, fields...)
			text := log.take()
			if strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, "\n") {
				t.Fatalf("log %q, want one line", text)
			}
			var got line
			if err := json.Unmarshal([]byte(text), &got); err != nil {
				t.Fatalf("line %q: %v", text, err)
			}
			tt.want.Method, tt.want.Path, tt.want.UserAgent = tt.method, tt.path, "test"
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreFields(line{}, "Time")); diff != "" {
				t.Errorf("line (-want +got):\n%s", diff)
			}
			if got.Time.IsZero() {
				t.Error("the line has no time")
			}
		})
	}
}

func TestErrors(t *testing.T) {
	if err := weborigin.Run(t.Context(), weborigin.Config{Addr: "127.0.0.1:0", Root: filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("a root that does not exist was served")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	err = weborigin.Run(t.Context(), weborigin.Config{Addr: l.Addr().String(), Root: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("an address in use: error %v, want one that names it", err)
	}
}
