package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"nearcast/cdn"
	"nearcast/control/compile"
	"nearcast/loadtest/labtest"
	"nearcast/scheduler/view"
)

// TestConfigExamples compiles every example of docs/CONFIG.md.
func TestConfigExamples(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(labtest.Root(t), "docs", "CONFIG.md"))
	if err != nil {
		t.Fatal(err)
	}
	compiled := 0
	for i, block := range strings.Split(string(text), "```yaml\n") {
		if i == 0 {
			continue
		}
		block, _, _ = strings.Cut(block, "```")
		if strings.HasPrefix(block, "# fleet\n") {
			_, err = compile.Fleet("docs/CONFIG.md", []byte(block))
		} else {
			_, err = compile.Sites("docs/CONFIG.md", []byte(block))
		}
		if err != nil {
			t.Errorf("example %d: %v", i, err)
		}
		compiled++
	}
	if compiled < 3 {
		t.Errorf("%d examples found, want at least 3", compiled)
	}
}

// TestEdgeFlagsAreDocumented: docs/OPERATIONS.md has every flag of an edge, and its default.
func TestEdgeFlagsAreDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(labtest.Root(t), "docs", "OPERATIONS.md"))
	if err != nil {
		t.Fatal(err)
	}
	flagsAreIn(t, text, "edge")
}

// TestSchedulerFlagsAreDocumented: so has its section about schedulers those of a scheduler.
func TestSchedulerFlagsAreDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(labtest.Root(t), "docs", "OPERATIONS.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## A scheduler\n")
	section, _, _ = strings.Cut(section, "\n## ")
	flagsAreIn(t, []byte(section), "scheduler")
	for _, m := range regexp.MustCompile("(?m)^\\| `--([a-z-]+)").FindAllStringSubmatch(section, -1) {
		if out, err := exec.CommandContext(t.Context(), labtest.Program(t), "scheduler", "--help").Output(); err != nil || !strings.Contains(string(out), "--"+m[1]+" ") {
			t.Errorf("--%s is there, and no scheduler has it", m[1])
		}
	}
}

// flagsAreIn fails the test for each flag of a command that a text has not, or without its default.
func flagsAreIn(t *testing.T, text []byte, command string) {
	t.Helper()
	help, err := exec.CommandContext(t.Context(), labtest.Program(t), command, "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	flags := regexp.MustCompile(`(?m)^ +--([a-z-]+) .*?(?:\(default "?([^ )"]+).*)?$`).FindAllStringSubmatch(string(help), -1)
	if len(flags) < 20 {
		t.Fatalf("%d flags found in the help, want at least 20", len(flags))
	}
	for _, f := range flags {
		name, value := f[1], f[2]
		if !regexp.MustCompile("--" + name + "[ `]").Match(text) {
			t.Errorf("--%s is not there", name)
		}
		row := regexp.MustCompile("(?m)^\\| `--" + name + "[ `][^|]*\\|([^|]*)\\|").FindSubmatch(text)
		if value != "" && (row == nil || !strings.Contains(string(row[1]), value)) {
			t.Errorf("--%s: no row says that its default is %s", name, value)
		}
	}
}

// TestExampleFleets compiles the fleets of deploy/examples.
func TestExampleFleets(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(labtest.Root(t), "deploy", "examples", "*.yaml"))
	if err != nil || len(files) < 2 {
		t.Fatalf("%d examples, %v; want at least 2", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		fleet, err := compile.Fleet(filepath.Base(file), text)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if filepath.Base(file) != "two-pops.yaml" {
			continue
		}
		plan, err := view.Compile(&cdn.Snapshot{Generation: 1, Fleet: *fleet})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []cdn.Domain{"d1.cdn.test", "d1000.cdn.test", "east-2.d5.cdn.test"} {
			if plan.Zones.Host(name).Domain == "" {
				t.Errorf("%s does not lead anywhere", name)
			}
		}
		if len(plan.POPs) != 2 || len(plan.Servers) != 1 {
			t.Errorf("%d POPs and %d servers, want 2 and 1", len(plan.POPs), len(plan.Servers))
		}
	}
}
