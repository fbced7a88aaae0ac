package main_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"nearcast/control/wire"
	"nearcast/internal/freeport"
	"nearcast/loadtest/labtest"
)

// TestDNSSECAloneExamples runs what docs/OPERATIONS.md shows of the keys of a scheduler that stands alone, with a real one. Where it says sleep, states are made older.
func TestDNSSECAloneExamples(t *testing.T) {
	steps := sectionSteps(t, "DNSSEC of a scheduler that stands alone")
	if len(steps) < 6 {
		t.Fatalf("only %d steps found", len(steps))
	}
	dir, above := t.TempDir(), newParent(t)
	keys, secret := filepath.Join(dir, "keys"), filepath.Join(dir, "secret")
	for name, text := range map[string]string{secret: "the secret of this fleet\n", filepath.Join(dir, "fleet.yaml"): aloneFleet} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e := &example{dir: dir, dns: freeport.Addr(t), ports: strings.NewReplacer()}
	e.start(t, "nearcast scheduler --listen "+e.dns+" --fleet fleet.yaml --dir "+keys+" --secret-file "+secret)
	environment := append(os.Environ(), "NEARCAST_RESOLVER="+above.addr, "PATH="+filepath.Dir(labtest.Program(t))+":"+os.Getenv("PATH"))
	run := func(command string) []byte {
		command = strings.NewReplacer("/var/lib/nearcast", keys, "/etc/nearcast/secret", secret).Replace(command)
		return []byte(stamp.ReplaceAllString(string(shell(t, command, environment)), "2026-11-26 09:00:00 UTC"))
	}
	for i := range steps {
		for j, line := range steps[i].output {
			steps[i].output[j] = stamp.ReplaceAllString(line, "2026-11-26 09:00:00 UTC")
		}
	}
	status := func() (shown wire.DNSSEC) {
		if err := json.Unmarshal(run("nearcast dnssec status -o json --dir /var/lib/nearcast 2>/dev/null"), &shown); err != nil {
			t.Fatal(err)
		}
		return shown
	}
	told := func() bool { // that the scheduler has what the file has
		return !strings.Contains(string(run("nearcast dnssec status --dir /var/lib/nearcast 2>&1")), "has not told")
	}
	labtest.Eventually(t, 30*time.Second, "the scheduler tells of its keys", func() bool { return len(status().DS) > 0 && told() })
	above.take(t, run("nearcast dnssec status -o json --dir /var/lib/nearcast 2>/dev/null"))
	runKeySteps(t, steps, run, func(d time.Duration) {
		above.take(t, run("nearcast dnssec status -o json --dir /var/lib/nearcast 2>/dev/null"))
		makeOlder(t, filepath.Join(keys, "dnssec.json"), d)
		labtest.Eventually(t, 30*time.Second, "all steps are made", func() bool {
			for _, k := range status().Keys {
				if !k.NextAt.IsZero() && time.Now().After(k.NextAt) {
					return false
				}
			}
			return told()
		})
	})
}

var (
	stamp = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC`)
	since = regexp.MustCompile(`"since": "([^"]*)"`)
)

// makeOlder lets states of keys have begun earlier.
func makeOlder(t *testing.T, name string, by time.Duration) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	text = since.ReplaceAllFunc(text, func(field []byte) []byte {
		at, err := time.Parse(time.RFC3339, string(since.FindSubmatch(field)[1]))
		if err != nil {
			t.Fatal(err)
		}
		return []byte(`"since": "` + at.Add(-by).Format(time.RFC3339) + `"`)
	})
	if err := os.WriteFile(name+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

const aloneFleet = `zone: cdn.test
dns: {signed: true}
pops:
- {name: fra, region: europe, tier: edge, location: {latitude: 50.1, longitude: 8.7, country: DE}}
nodes:
- {name: core, roles: [scheduler], addresses: [127.0.0.1]}
- {name: fra-1, pop: fra, roles: [edge], addresses: [192.0.2.1]}
`

// What tells of the lab is taken for a lab, and what has keys for a scheduler's folder; neither is told so.
func TestNoKeysInFolder(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), labtest.Program(t), "dnssec", "status", "--dir", t.TempDir())
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "nor has it the dnssec.json of a scheduler that stands alone") {
		t.Errorf("%v: %s", err, out)
	}
}
