package main

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"nearcast/control/compile"
	"nearcast/loadtest/labtest"
)

// TestScenarios runs all of them for a moment each. What takes how long is not asserted: other tests run at the same time. `make test-fronts` does
// that, and takes longer.
func TestScenarios(t *testing.T) {
	if testing.Short() {
		t.Skip("takes most of a minute")
	}
	program := labtest.Program(t)
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			err := run(t.Context(), []string{
				"--program", program, "--scenario", s.name, "--pairs", "150", "--requests", "2000", "--seconds", shortTime[s.name], "--mutants", "2000", "--flood", floodOf[s.name],
				"--server-core", "-1", "--load-core", "-1", "--strict=false",
			}, &out, &errs)
			if err != nil {
				t.Error(err)
			}
			t.Logf("%s%s", &out, &errs)
		})
	}
}

// shortTime is how many seconds a scenario takes that has a choice.
var shortTime = map[string]string{"rate": "0.3", "latency": "0.5", "mutants": "2", "random": "2", "spoofed": "2", "crowd": "4", "pairs": "1", "amplification": "1", "elsewhere": "1", "forged": "1"}

// floodOf is how many queries a second a flood has: of what is to be limited more than the limit.
var floodOf = map[string]string{
	"rate": "1", "latency": "1", "mutants": "1", "random": "2000", "spoofed": "10000", "crowd": "1", "pairs": "1", "amplification": "1", "elsewhere": "1", "forged": "1",
}

// The world is a fleet, is the same for the same seed, and has pairs in and out of its networks.
func TestWorld(t *testing.T) {
	w := newWorld(rand.New(rand.NewPCG(5, 1)))
	if again := newWorld(rand.New(rand.NewPCG(5, 1))); again.fleet != w.fleet {
		t.Error("another seed is needed for another world")
	}
	fleet, err := compile.Fleet("fleet.yaml", []byte(w.fleet))
	if err != nil {
		t.Fatal(err)
	}
	if len(fleet.POPs) != worldPOPs || len(fleet.Policies) < len(countries) || len(w.popOfNode) != len(fleet.Nodes)-1 {
		t.Errorf("%d POPs, %d policies, %d of %d nodes known", len(fleet.POPs), len(fleet.Policies), len(w.popOfNode), len(fleet.Nodes))
	}
	in, out, six := 0, 0, 0
	for _, p := range w.pairs(rand.New(rand.NewPCG(5, 2)), 1000) {
		if !p.subnet.Contains(p.client) || p.subnet != p.subnet.Masked() || p.client.Is6() != (p.subnet.Bits() == 48) {
			t.Fatalf("%+v", p)
		}
		known := false
		for _, network := range w.known {
			known = known || network.Contains(p.client)
		}
		if known {
			in++
		} else {
			out++
		}
		if p.client.Is6() {
			six++
		}
	}
	if in < 300 || out < 300 || six != 250 {
		t.Errorf("%d in, %d out, %d of IPv6", in, out, six)
	}
}

// What a redirect must not lead to.
func TestConfigured(t *testing.T) {
	w := newWorld(rand.New(rand.NewPCG(5, 1)))
	for location, want := range map[string]bool{
		"http://p00-0.d1.cdn.test/":                   true,
		"http://p39-1.d1000.cdn.test//evil.example?x": true,
		"http://p00-0.d1001.cdn.test/":                false,
		"http://p00-0.d01.cdn.test/":                  false,
		"http://p00-9.d1.cdn.test/":                   false,
		"http://p00-0.d1.cdn.test.evil.example/":      false,
		"http://evil.example/":                        false,
		"http://u@p00-0.d1.cdn.test/":                 false,
		"http://p00-0.d1.cdn.test:81/":                false,
		"http://p00-0.d1.cdn.test":                    false,
		"http://p00-0.d1.cdn.test?x":                  false,
		`http://p00-0.d1.cdn.test\@evil.example/`:     false,
		"http://p00-0.d1.cdn.test/a b":                false,
		"http://p00-0.d1.cdn.test/#x":                 false,
		"//p00-0.d1.cdn.test/":                        false,
		"https://p00-0.d1.cdn.test/":                  false,
		"https://p00-0.d1.cdn.test:8443/":             true,
		"http://p00-0.d1.cdn.test:8443/":              false,
		"HTTPS://p00-0.d1.cdn.test:8443/":             false,
		"/a":                                          false,
		"":                                            false,
	} {
		if err := w.configured(location); (err == nil) != want {
			t.Errorf("%q: %v", location, err)
		}
	}
	a, b := netip.MustParseAddr("198.18.0.1"), netip.MustParseAddr("198.18.1.1")
	if _, err := w.popOfAll([]netip.Addr{a, b}); err == nil {
		t.Error("addresses of two POPs are of one")
	}
	if pop, err := w.popOfAll([]netip.Addr{a}); pop != "p00" || err != nil {
		t.Errorf("%s %v", pop, err)
	}
}

func TestHistogram(t *testing.T) {
	var h, other histogram
	for i := range 1000 {
		h.add(time.Duration(i+1) * time.Microsecond)
	}
	other.add(-time.Second)
	other.add(time.Hour)
	for share, want := range map[float64]time.Duration{.5: 500 * time.Microsecond, .99: 990 * time.Microsecond, .999: time.Millisecond, 1: time.Millisecond} {
		if got := h.quantile(share); got < want || got > want*104/100 {
			t.Errorf("%g: %v, want %v", share, got, want)
		}
	}
	h.merge(&other)
	if h.total != 1002 || h.max() != time.Hour || h.quantile(0) > 1 {
		t.Errorf("%d, at most %v, at least %v", h.total, h.max(), h.quantile(0))
	}
	if got := new(histogram).quantile(.99); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

func TestFlags(t *testing.T) {
	for _, bad := range [][]string{{"--nonsense"}, {"x"}, {"--seconds", "0"}, {"--pairs", "0"}, {"--scenario", "nonsense"}} {
		if err := run(t.Context(), bad, io.Discard, io.Discard); !errors.Is(err, errUsage) {
			t.Errorf("%q: error %v, want one of usage", bad, err)
		}
	}
	var errs bytes.Buffer
	if err := run(t.Context(), []string{"--help"}, io.Discard, &errs); !errors.Is(err, flag.ErrHelp) || !strings.Contains(errs.String(), "amplification") {
		t.Errorf("--help: %v\n%s", err, &errs)
	}
}
