package conformance_test

import (
	"flag"
	"maps"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "write docs/conformance.md anew from this run")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The levels of RFC 2119. A table says more than the RFC's capitals only where a
// sentence binds without one ("is required to", "ought to").
const (
	must      = "MUST"
	mustNot   = "MUST NOT"
	should    = "SHOULD"
	shouldNot = "SHOULD NOT"
	may       = "MAY"
)

// requirement is one sentence of an RFC about a shared cache.
type requirement struct {
	// name is the RFC, the section and a word for the sentence: "RFC9111/3/no-store".
	// It is the subtest's name, so that a section's tests can be run alone.
	name  string
	level string
	// text completes "A shared cache MUST ...", in our own words.
	text string
	// test proves it. Nil if reason is given.
	test func(*env)
	// reason says why there is no test: the sentence is for somebody else, or the
	// edge deviates from it on purpose.
	reason string
}

// section returns "RFC 9111 section 3" of "RFC9111/3/no-store".
func (r requirement) section() string {
	parts := strings.SplitN(r.name, "/", 3)
	return "RFC " + strings.TrimPrefix(parts[0], "RFC") + " section " + parts[1]
}

// requirements returns all tables in the order of the document.
func requirements() []requirement {
	return slices.Concat(
		storing, storedFields, partial, authenticated,
		reusing, varying, freshness, ages, stale,
		validating, freshening, head, invalidating,
		ageField, cacheControl, requestDirectives, responseDirectives, otherFields,
		rfc5861, rfc8246, rfc8586, rfc9209, rfc9211, rfc9213,
		forwarding, transformations, interim, methods, conditions, ranges,
		tiers,
	)
}

// TestRequirement runs every requirement that has a test. With -update it writes the
// document, if all of them have run.
func TestRequirement(t *testing.T) {
	results := runRequirements(t, plain)
	if *update {
		writeDocument(t, results)
	}
}

// TestRequirementOverTLS and TestRequirementOverHTTP2 run the same tables for visitors who speak something else, TestRequirementFromDisk
// for an edge that has everything on disk.
func TestRequirementOverTLS(t *testing.T)   { runRequirements(t, overTLS) }
func TestRequirementOverHTTP2(t *testing.T) { runRequirements(t, overH2) }
func TestRequirementFromDisk(t *testing.T)  { runRequirements(t, fromDisk) }

func runRequirements(t *testing.T, speaks protocol) (results map[string]bool) {
	t.Helper()
	results = map[string]bool{}
	for _, r := range requirements() {
		if r.test == nil {
			continue
		}
		t.Run(r.name, func(t *testing.T) {
			defer func() { results[r.name] = !t.Failed() }()
			r.test(newEnv(t, speaks))
		})
	}
	return results
}

// TestTablesAreSound checks what the tables themselves promise.
func TestTablesAreSound(t *testing.T) {
	seen := map[string]bool{}
	levels := []string{must, mustNot, should, shouldNot, may}
	for _, r := range requirements() {
		switch {
		case seen[r.name]:
			t.Errorf("%s is there twice", r.name)
		case strings.Count(r.name, "/") != 2 || strings.ContainsAny(r.name, " \t#"):
			t.Errorf("%q: want RFC/section/word", r.name)
		case !slices.Contains(levels, r.level):
			t.Errorf("%s: level %q", r.name, r.level)
		case (r.test == nil) == (r.reason == ""):
			t.Errorf("%s: want either a test or a reason", r.name)
		case r.text == "" || strings.HasSuffix(r.text, "."):
			t.Errorf("%s: the text completes a sentence, without its full stop: %q", r.name, r.text)
		}
		seen[r.name] = true
	}
	if len(seen) < 200 {
		t.Errorf("only %d requirements (%v): a table is missing", len(seen), slices.Sorted(maps.Keys(seen)))
	}
}
