package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func modelDir(t *testing.T, sizes, reuse string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"sz.txt.gz": sizes, "fd.txt.gz": reuse} {
		if err := os.WriteFile(filepath.Join(dir, name), gzipped(t, []byte(text)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestTragen: the requests come back after as many octets as the model says, and as many of them.
func TestTragen(t *testing.T) {
	const requests = 20_000
	dir := modelDir(t, "0\n100.0 0.5\n\n128000\n300.0 0.5\n", "1 1 1 1\n0 0 0.4\n200 400000 0.35\n")
	trace, err := makeTragen(dir, requests, 1, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var stack []request // the latest last
	near, far := 0, 0
	for i, q := range trace {
		if q.size < 99*kilo || q.size > 300*kilo {
			t.Fatalf("request %d is of %d octets", i, q.size)
		}
		if at := slices.Index(stack, q); at >= 0 {
			octets := int64(0)
			for _, other := range stack[at+1:] {
				octets += other.size
			}
			stack = slices.Delete(stack, at, at+1)
			// Octets between, of which the model's 200 MB buckets shrank to 200 kB; a body more or less is beside the cut.
			switch {
			case octets <= 200*kilo+300*kilo:
				near++
			case octets <= 600*kilo+600*kilo:
				far++
			default:
				t.Fatalf("request %d comes back after %d octets", i, octets)
			}
		}
		stack = append(stack, q)
		if len(stack) > 50 {
			stack = stack[1:]
		}
	}
	if share := float64(near+far) / requests; share < 0.72 || share > 0.78 {
		t.Errorf("%.3f of the requests come back, want 0.75", share)
	}
	again, err := makeTragen(dir, requests, 1, 1000)
	if err != nil || !slices.Equal(trace, again) {
		t.Errorf("the same seed makes another trace (error %v)", err)
	}
	other, err := makeTragen(dir, requests, 2, 1000)
	if err != nil || slices.Equal(trace, other) {
		t.Errorf("another seed makes the same trace (error %v)", err)
	}
}

func TestBadModel(t *testing.T) {
	const sizes, reuse = "0\n100.0 1\n", "1 1 1 1\n0 0 0.4\n"
	for name, tt := range map[string]struct{ sizes, reuse, want string }{
		"empty":            {"", reuse, "sz.txt.gz: there is nothing in it"},
		"of words":         {"0\nlarge often\n", reuse, "sz.txt.gz: line 2 is not of 2 numbers"},
		"a size below":     {"0\n-4 1\n", reuse, "sz.txt.gz: line 2: -4000 octets with a share of 1 are absurd"},
		"a share of NaN":   {"0\n4 NaN\n", reuse, "with a share of NaN are absurd"},
		"fields too few":   {sizes, "1\n0 0\n", "fd.txt.gz: line 2 is not of 3 numbers"},
		"a share too many": {sizes, "1\n0 0 2\n", "fd.txt.gz: line 2: 0 octets with a share of 2 are absurd"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := makeTragen(modelDir(t, tt.sizes, tt.reuse), 10, 1, 1)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
	if _, err := makeTragen(t.TempDir(), 10, 1, 1); err == nil {
		t.Error("a folder without a model made a trace")
	}
	for _, m := range []model{{requests: 0, shrink: 1}, {requests: 1 << 40, shrink: 1}, {requests: 1, shrink: 0}} {
		if m.check() == nil {
			t.Errorf("%+v is no model to make a trace from", m)
		}
	}
}
