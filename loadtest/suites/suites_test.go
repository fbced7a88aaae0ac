package suites_test

import (
	"bytes"
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestCacheTests runs the public HTTP caching suite. An id that fails is tried once more
// by itself, because the suite lives by the wall clock and the machine may be busy.
func TestCacheTests(t *testing.T) {
	suite := shared(t, "cache-tests", "node", "npm", "curl")
	work := workDir(t)
	failing := cacheTests(t, suite, work, nil)
	if again := unexpected(t, "cache-tests", failing); len(again) > 0 {
		t.Logf("once more: %s", strings.Join(again, " "))
		second := cacheTests(t, suite, work, again)
		for _, id := range again {
			if _, ok := second[id]; !ok {
				delete(failing, id)
			}
		}
	}
	compare(t, "cache-tests", failing)
}

// TestH1Desync runs the streams about framing and smuggling.
func TestH1Desync(t *testing.T) {
	suite := shared(t, "h1desync.py", "python3")
	e := startEdge(t)
	out := output(t, nil, "python3", suite, e.addr, strconv.Itoa(e.originPort))
	failing := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^ +(DESYNC|FWD|ACCEPTED|REFUSED|HANG|ERR): (.+)$`).FindAllStringSubmatch(out, -1) {
		for word := range strings.FieldsSeq(m[2]) {
			id, _, _ := strings.Cut(word, "(")
			failing[id] = m[1]
		}
	}
	score := regexp.MustCompile(`(?m)^core +(\d+)/(\d+) ok`).FindStringSubmatch(out)
	if score == nil {
		t.Fatalf("the suite gave no score:\n%s", out)
	}
	if want := number(t, score[2]) - number(t, score[1]); len(failing) != want {
		t.Fatalf("%d of the streams failed, and these could be read: %v\n%s", want, failing, out)
	}
	compare(t, "h1desync", failing)
}

// cacheTests runs the suite, or some of its ids, in front of a fresh edge. It returns
// the ids that fail, with their kind.
func cacheTests(t *testing.T, suite, work string, ids []string) map[string]string {
	t.Helper()
	for _, name := range []string{"client.mjs", "listen-local.mjs"} { // read-only copies from the last time
		os.Remove(filepath.Join(work, "node_modules", "http-cache-tests", name))
	}
	e := startEdge(t)
	env := []string{"FAILS=1"}
	if len(ids) > 0 {
		env = append(env, "IDS="+strings.Join(ids, ","))
	}
	out := output(t, env, filepath.Join(suite, "run.sh"), e.addr, strconv.Itoa(e.originPort), work)
	if !regexp.MustCompile(`(?m)^required \d+/\d+ optimal \d+/\d+$`).MatchString(out) {
		t.Fatalf("the suite gave no score:\n%s", out)
	}
	failing := map[string]string{}
	for line := range strings.Lines(out) {
		kind, list, ok := strings.Cut(line, ":")
		if !ok || (kind != "required" && kind != "optimal") {
			continue
		}
		for id := range strings.FieldsSeq(list) {
			failing[strings.TrimSuffix(id, ":dependency")] = kind
		}
	}
	return failing
}

// shared returns the path of a suite, or skips the test if it or a tool is missing.
func shared(t *testing.T, name string, tools ...string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("takes a minute")
	}
	dir := os.Getenv("NEARCAST_SHARED")
	if dir == "" {
		t.Skip("NEARCAST_SHARED is not set: the outside suites are found through it; make sets it")
	}
	path := filepath.Join(dir, "suites", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no suite here: %v", err)
	}
	needs(t, tools...)
	return path
}

// needs skips the test if a tool is missing.
func needs(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("it needs %s: %v", tool, err)
		}
	}
}

// workDir returns the folder that keeps the installed suite from run to run, locked for
// as long as the test runs.
func workDir(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skipf("nowhere to install the suite: %v", err)
	}
	dir := filepath.Join(cache, "nearcast", "http-cache-tests")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lock.Close() })
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatalf("locking %s: %v", dir, err)
	}
	return dir
}

// output runs a command and returns what it printed. It fails the test only if the
// command could not run: the suites end with an error if a test of theirs fails.
func output(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the suites start servers of their own
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil && cmd.ProcessState.ExitCode() < 0 {
		t.Fatalf("running %s: %v\n%s", name, err, &out)
	}
	return out.String()
}

// expected reads the ids of a suite that may fail.
func expected(t *testing.T, suite string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("expected.txt")
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] == "#" {
			continue
		}
		if len(fields) < 3 {
			t.Fatalf("expected.txt: %q: want a suite, an id and an argument", line)
		}
		if fields[0] == suite {
			ids[fields[1]] = true
		}
	}
	return ids
}

func unexpected(t *testing.T, suite string, failing map[string]string) []string {
	t.Helper()
	allowed := expected(t, suite)
	return slices.DeleteFunc(slices.Sorted(maps.Keys(failing)), func(id string) bool { return allowed[id] })
}

// compare reports the failures that nobody has argued for, and the arguments without a failure.
func compare(t *testing.T, suite string, failing map[string]string) {
	t.Helper()
	for _, id := range unexpected(t, suite, failing) {
		t.Errorf("%s fails (%s)", id, failing[id])
	}
	for _, id := range slices.Sorted(maps.Keys(expected(t, suite))) {
		if failing[id] == "" {
			t.Errorf("%s passes: take it out of expected.txt", id)
		}
	}
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
