package rig

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	const line = `77 (a) b (c)) S 1 77 77 0 -1 4194560 1234 0 0 0 150 25 0 0 20 0 9 0 98765 1272963072 8123 18446744073709551615 1`
	got, err := parseStat([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	if want := (stat{state: 'S', ticks: 175, started: 98765, rss: 8123}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, bad := range []string{"", "77", "77 (x)", "77 (x) S 1 2 3", strings.Replace(line, "150", "x", 1)} {
		if _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("no error for %q", bad)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	own, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		f.Skip("no /proc here")
	}
	f.Add(own)
	f.Fuzz(func(_ *testing.T, line []byte) {
		parseStat(line)
	})
}

func TestParseMetrics(t *testing.T) {
	got, err := parseMetrics(strings.NewReader("# HELP a b\n# TYPE a gauge\na 1\nb{x=\"y z\",u=\"v\"} 2.5e3\n\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got["a"] != 1 || got[`b{x="y z",u="v"}`] != 2500 {
		t.Errorf("got %v", got)
	}
	if _, err := parseMetrics(strings.NewReader("a b\n")); err == nil {
		t.Error("no error for a value that is no number")
	}
}

// TestProcess checks that a tree of processes is seen, pinned, measured and gone in the end.
func TestProcess(t *testing.T) {
	p, err := Start(t.Context(), Command{
		Name: "shell", Path: "/bin/sh", Core: 0, Pipes: true,
		Args: []string{"-c", `sleep 600 & i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; while read k v; do [ $k = Cpus_allowed_list: ] && echo $k $v; done </proc/self/status; read x; wait`},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	buf := make([]byte, 100)
	n, err := p.Out.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Fields(string(buf[:n])); len(got) != 2 || got[1] != "0" {
		t.Errorf("cores: %q, want 0", buf[:n])
	}
	tree := p.Tree()
	if len(tree) != 2 {
		t.Errorf("processes: %v, want the shell and sleep", tree)
	}
	if p.CPU() <= 0 || p.RSS() < 1<<16 || p.Files() < 3 {
		t.Errorf("uses %s, %d bytes, %d files", p.CPU(), p.RSS(), p.Files())
	}
	p.Stop()
	for _, pid := range tree {
		if s, err := readStat(pid); err == nil && s.state != 'Z' {
			t.Errorf("process %d is left over", pid)
		}
	}
}

func TestStartOfNothing(t *testing.T) {
	if _, err := Start(t.Context(), Command{Name: "nothing", Path: "/nonexistent", Core: AnyCore}); err == nil {
		t.Error("no error")
	}
}

func TestAwaitTheDead(t *testing.T) {
	p, err := Start(t.Context(), Command{Name: "false", Path: "/bin/false", Core: AnyCore})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := p.Await(ctx, func() bool { return false }); err == nil || !strings.Contains(err.Error(), "ended before") {
		t.Errorf("error %v, want one that says that it ended", err)
	}
}
