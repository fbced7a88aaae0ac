package main_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearcast/loadtest/labtest"
)

// step is a command of a console block and the output printed under it.
type step struct {
	line    int
	command string
	output  []string
}

// consoleSteps returns the steps of all ```console blocks of a document.
func consoleSteps(t *testing.T, name string) (steps []step) {
	t.Helper()
	for _, s := range stepsBySection(t, name) {
		steps = append(steps, s...)
	}
	slices.SortFunc(steps, func(a, b step) int { return a.line - b.line })
	return steps
}

// sectionSteps returns those of one section of docs/OPERATIONS.md.
func sectionSteps(t *testing.T, title string) []step {
	t.Helper()
	return stepsBySection(t, filepath.Join(labtest.Root(t), "docs", "OPERATIONS.md"))[title]
}

// stepsBySection returns the steps of a document by the title of the section, of the second level, that they are in.
func stepsBySection(t *testing.T, name string) map[string][]step {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := make(map[string][]step)
	inside, title := false, ""
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		text := lines.Text()
		command, isCommand := strings.CutPrefix(text, "$ ")
		switch {
		case strings.HasPrefix(text, "```"):
			inside = text == "```console"
		case inside && isCommand:
			all[title] = append(all[title], step{line: n, command: command})
		case inside && len(all[title]) > 0:
			last := &all[title][len(all[title])-1]
			last.output = append(last.output, text)
		case !inside && strings.HasPrefix(text, "## "):
			title = strings.TrimPrefix(text, "## ")
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// masks are the parts of an output that differ from run to run.
var masks = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [\d:]+ GMT`), "DATE"},
	{regexp.MustCompile(`Etag: ".*"`), "ETAG"},
	{regexp.MustCompile(`Content-Length: [1-9]\d*`), "LENGTH"},
	{regexp.MustCompile(`\b[A-Z2-7]{26}\b`), "ID"},
	{regexp.MustCompile(`\d+s ago`), "SEEN"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC`), "TIME"},
	{regexp.MustCompile(`from 127\.0\.0\.1:\d+`), "ADDRESS"},
	{regexp.MustCompile(`ttl=\d+`), "TTL"},
	{regexp.MustCompile(`\b(0|1|2|3) +(59\d|600)\b`), "AGE TTL"},
	{regexp.MustCompile(`[ \t]+`), " "},
}

func masked(lines []string) []string {
	var out []string
	for _, l := range lines {
		for _, m := range masks {
			l = m.pattern.ReplaceAllString(l, m.with)
		}
		if l = strings.TrimSpace(l); l != "" {
			out = append(out, l)
		}
	}
	return out
}

// TestTour runs the tour of the README, command by command, and compares what is
// printed with what the README says. Only the ports differ. What docs/OPERATIONS.md shows of a scheduler is run before, in the same lab.
func TestTour(t *testing.T) {
	steps := consoleSteps(t, filepath.Join(labtest.Root(t), "README.md"))
	if len(steps) < 10 {
		t.Fatalf("only %d steps found in the README", len(steps))
	}
	lab := labtest.Start(t)
	ofScheduler := sectionSteps(t, "A scheduler")
	if len(ofScheduler) < 5 {
		t.Fatalf("only %d steps found in the section about schedulers", len(ofScheduler))
	}
	runSteps(t, lab, "docs/OPERATIONS.md", ofScheduler)
	runSteps(t, lab, "README.md", steps)
}

// runSteps runs commands of a document against a lab, in one directory.
func runSteps(t *testing.T, lab *labtest.Lab, document string, steps []step) {
	t.Helper()
	dir := t.TempDir()
	// The document's ports are 180xx; the lab's have another base.
	toLab := func(s string) string { return renumber(s, 18000, lab.PortBase) }
	toReadme := func(s string) string { return renumber(s, lab.PortBase, 18000) }
	for _, s := range steps {
		if strings.HasPrefix(s.command, "export PATH=") {
			continue // done below
		}
		command := strings.ReplaceAll(toLab(s.command), "nearcast-lab/", lab.Dir+"/")
		if _, node, ok := strings.Cut(command, "pgrep -f '[e]dge --node "); ok { // only this lab's process: others may run
			node, _, _ = strings.Cut(node, " ")
			command = "kill -9 " + fmt.Sprint(lab.Node(t, node).PID)
		}
		cmd := exec.CommandContext(t.Context(), "bash", "-c", command)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "NEARCAST_DIR="+lab.Dir, "NEARCAST_RESOLVER=127.0.0.1:1", "PATH="+filepath.Dir(lab.Program)+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s:%d: $ %s: %v\n%s", document, s.line, s.command, err, out)
		}
		got := masked(strings.Split(toReadme(string(out)), "\n"))
		if diff := cmp.Diff(masked(s.output), got); diff != "" {
			t.Errorf("%s:%d: $ %s prints something else (-document +got):\n%s", document, s.line, s.command, diff)
		}
		lab.Reload(t)
	}
}

// renumber moves the ports base+00 to base+99 in a text to another base.
func renumber(s string, from, to int) string {
	return regexp.MustCompile(`\b\d{5}\b`).ReplaceAllStringFunc(s, func(port string) string {
		var n int
		if _, err := fmt.Sscan(port, &n); err != nil || n < from || n >= from+100 {
			return port
		}
		return fmt.Sprint(n - from + to)
	})
}
