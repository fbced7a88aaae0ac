package conformance_test

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// The document, and the list of what may fail of the outside suites.
const (
	documentPath = "../../docs/conformance.md"
	suitesPath   = "../../loadtest/suites/expected.txt"
)

const intro = `# Conformance

What the RFCs ask of a shared cache, sentence by sentence, in our own words, and the test
that proves it. Every test runs a real edge before a scripted origin; run one with

    go test ./edge/conformance -run TestRequirement/RFC9111/3/

This page is written by ` + "`go test ./edge/conformance -run TestRequirement -update`" + `; a test
fails if it is not up to date. Read a row as "A shared cache LEVEL ...".

`

// document renders the page. Results are of the requirements that have a test: an absent
// one shows as it does when it has not been run.
func document(t *testing.T, results map[string]bool) string {
	t.Helper()
	var b, without strings.Builder
	passed, tested := 0, 0
	section := ""
	for _, r := range bySection() {
		if r.test == nil {
			fmt.Fprintf(&without, "| %s | %s | %s | %s |\n", r.section(), r.level, cell(r.text), cell(r.reason))
			continue
		}
		if r.section() != section {
			section = r.section()
			fmt.Fprintf(&b, "\n### %s\n\n| level | requirement | test | result |\n|---|---|---|---|\n", section)
		}
		result := "FAILS"
		if tested++; results[r.name] {
			passed++
			result = "ok"
		}
		fmt.Fprintf(&b, "| %s | %s | `%s` | %s |\n", r.level, cell(r.text), r.name, result)
	}
	return intro + fmt.Sprintf("%d of %d tested requirements hold.\n\n## Requirements with a test\n", passed, tested) + b.String() +
		"\n## Not for us, or otherwise on purpose\n\n| section | level | requirement | why there is no test |\n|---|---|---|---|\n" + without.String() +
		"\n## Outside suites\n\n" + suites(t)
}

// bySection returns the requirements with those of a section together, the sections in
// the order in which the tables first come to them.
func bySection() []requirement {
	order := map[string]int{}
	all := requirements()
	for i, r := range all {
		if _, ok := order[r.section()]; !ok {
			order[r.section()] = i
		}
	}
	slices.SortStableFunc(all, func(a, b requirement) int { return cmp.Compare(order[a.section()], order[b.section()]) })
	return all
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// suites renders what may fail of the suites that others wrote.
func suites(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(suitesPath)
	if err != nil {
		t.Fatal(err)
	}
	var rows strings.Builder
	for line := range strings.Lines(string(text)) {
		if fields := strings.SplitN(strings.TrimSpace(line), " ", 3); len(fields) == 3 && fields[0] != "#" {
			fmt.Fprintf(&rows, "| %s | `%s` | %s |\n", fields[0], fields[1], cell(fields[2]))
		}
	}
	const about = "The public HTTP caching tests (npm http-cache-tests) and a set of raw request streams about\nframing are run against the built program by `go test ./loadtest/suites`. "
	if rows.Len() == 0 {
		return about + "Nothing of them may fail.\n"
	}
	return about + "These alone may fail:\n\n| suite | test | argument |\n|---|---|---|\n" + rows.String()
}

func writeDocument(t *testing.T, results map[string]bool) {
	t.Helper()
	for _, r := range requirements() {
		if _, ran := results[r.name]; r.test != nil && !ran {
			t.Fatalf("%s is not written: %s has not run", documentPath, r.name)
		}
	}
	if err := os.WriteFile(documentPath, []byte(document(t, results)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestDocumentIsUpToDate compares the page with the tables, but for the results, which
// are of the day that it was written.
func TestDocumentIsUpToDate(t *testing.T) {
	if *update {
		t.Skip("it is being written")
	}
	got, err := os.ReadFile(documentPath)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(withoutResults(document(t, nil)), withoutResults(string(got))); diff != "" {
		t.Errorf("docs/conformance.md is not up to date; write it with go test ./edge/conformance -run TestRequirement -update (-want +got):\n%s", diff)
	}
}

func withoutResults(s string) string {
	s = regexp.MustCompile(`(?m) \| (ok|FAILS) \|$`).ReplaceAllString(s, " | |")
	return regexp.MustCompile(`(?m)^\d+ of (\d+) tested`).ReplaceAllString(s, "n of $1 tested")
}
