package main

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"nearcast/loadtest/labtest"
)

// TestMain gives the tests' mounts a namespace of their own, as main does.
func TestMain(m *testing.M) {
	if status, done := setApart(); done {
		os.Exit(status)
	}
	os.Exit(m.Run())
}

// TestEdge plays each scenario in its short form on a real edge. How soon it starts is not asserted: other tests run at the same time.
// `make test-crash` does that, and takes longer.
func TestEdge(t *testing.T) {
	if testing.Short() {
		t.Skip("takes most of a minute")
	}
	program := labtest.Program(t)
	for _, sc := range scenarios() {
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			var out, errs bytes.Buffer
			err := run(t.Context(), []string{
				"--program", program, "--dir", t.TempDir(), "--scenario", sc.name, "--short", "--spell", "300ms", "--connections", "3",
				"--objects", "5000", "--max-start", "20s", "--patience", "20s",
			}, &out, &errs)
			if err != nil {
				t.Error(err)
			}
			t.Logf("%s%s", &out, &errs)
			if strings.Contains(errs.String(), errLacking.Error()) {
				t.Skip(errs.String())
			}
		})
	}
}

func TestContent(t *testing.T) {
	sizes := make(map[int64]bool)
	for version := range int64(200) {
		for _, path := range []string{"/small/7", "/large/3", "/varied/1", "/tiny/12345678"} {
			f, err := newContent(path, 1, version+1)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := parseName(f.name()); err != nil || again != f {
				t.Errorf("%s: read again: %+v, %v", f.name(), again, err)
			}
			if f.size < f.class.min || f.size > f.class.max {
				t.Errorf("%s has %d octets", f.name(), f.size)
			}
			sizes[f.size] = true
		}
	}
	for _, size := range []int64{0, 1, 64 << 10, 1 << 20, 1<<20 + 1, tinySize} {
		if !sizes[size] {
			t.Errorf("no content has %d octets", size)
		}
	}
	f, err := newContent("/varied/3", 2, 5)
	if err != nil {
		t.Fatal(err)
	}
	whole := make([]byte, f.size)
	f.fill(whole, 0)
	if err := iotest.TestReader(&reader{content: f}, whole); err != nil {
		t.Error(err)
	}
	for _, other := range []string{"/varied/3;2;6", "/varied/3;1;5", "/varied/4;2;5"} {
		g, err := parseName(other)
		if err != nil {
			t.Fatal(err)
		}
		part := make([]byte, min(g.size, f.size, 16))
		g.fill(part, 0)
		if bytes.HasPrefix(whole, part) {
			t.Errorf("%s begins like %s", other, f.name())
		}
	}
	for _, bad := range []string{"", "/small/1", "/small/1;0", "/small/1;0;x", "/small/1;0;0", "/small/300;0;1", "/nothing/1;0;1", "/small/-1;0;1", "/varied/1;4;1"} {
		if _, err := parseName(bad); err == nil {
			t.Errorf("%q is no content", bad)
		}
	}
}

func TestSpan(t *testing.T) {
	for _, tt := range []struct {
		span     span
		text     string
		from, to int64
	}{
		{span{2, 4}, "2-4", 2, 5},
		{span{2, 40}, "2-40", 2, 10},
		{span{2, -1}, "2-", 2, 10},
		{span{-3, -1}, "-3", 7, 10},
		{span{-30, -1}, "-30", 0, 10},
		{span{10, -1}, "10-", 10, 10},
		{span{12, 14}, "12-14", 12, 10},
	} {
		if from, to := tt.span.of(10); from != tt.from || to != tt.to || tt.span.String() != tt.text {
			t.Errorf("%s: %d to %d, want %s: %d to %d", tt.span, from, to, tt.text, tt.from, tt.to)
		}
	}
}

func TestVerdict(t *testing.T) {
	if err := verdict([]outcome{{Scenario: "kill"}, {Scenario: "power", LeftOut: "no root"}}); err != nil {
		t.Errorf("nothing is wrong: %v", err)
	}
	if err := verdict([]outcome{{Scenario: "kill"}, {Scenario: "power", Faults: []string{"x"}}}); err == nil || !strings.Contains(err.Error(), "power") {
		t.Errorf("error %v, want one of power", err)
	}
}

func TestTelling(t *testing.T) {
	for log, want := range map[string]string{
		"a\n":                          "a\n",
		"a\npanic: b\n\ngoroutine 1\n": "panic: b\n\ngoroutine 1\n",
	} {
		if got := telling(log); got != want {
			t.Errorf("%q: %q, want %q", log, got, want)
		}
	}
}

func TestFlags(t *testing.T) {
	for _, bad := range [][]string{{"--nonsense"}, {"x"}, {"--connections", "0"}, {"--rounds", "-1"}, {"--objects", "1"}} {
		if err := run(t.Context(), bad, io.Discard, io.Discard); !errors.Is(err, errUsage) {
			t.Errorf("%q: error %v, want one of usage", bad, err)
		}
	}
	if err := run(t.Context(), []string{"--help"}, io.Discard, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("--help: %v", err)
	}
	if err := run(t.Context(), []string{"--scenario", "nonsense"}, io.Discard, io.Discard); err == nil {
		t.Error("no error for a scenario that nobody knows")
	}
	var out bytes.Buffer
	if err := run(t.Context(), []string{"--list"}, &out, io.Discard); err != nil || strings.Count(out.String(), "\n") != len(scenarios()) {
		t.Errorf("--list: %v\n%s", err, &out)
	}
}
