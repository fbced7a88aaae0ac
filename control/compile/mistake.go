package compile

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"nearcast/cdn"
)

// Mistake is one thing that is wrong with a configuration.
type Mistake struct {
	// File is the name that the caller gave the text; empty if the mistake is not
	// in a file, for example between two stored sites.
	File string `json:"file,omitempty"`
	// Line and Column count from 1; zero means the place is not known.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Site is the site that has the mistake; empty for a fleet or if unknown.
	Site cdn.SiteName `json:"site,omitempty"`
	// Field is the path of what is wrong, such as "routes[0].ttl"; empty means the
	// document as a whole.
	Field string `json:"field,omitempty"`
	// Message says what is wrong, with the value.
	Message string `json:"message"`
	// Hint says what would be right; may be empty.
	Hint string `json:"hint,omitempty"`
}

// String formats m as compilers do: "site.yaml:7:3: routes[0].ttl: message (hint)".
func (m Mistake) String() string {
	var b strings.Builder
	switch {
	case m.File != "" && m.Line > 0:
		fmt.Fprintf(&b, "%s:%d:%d: ", m.File, m.Line, m.Column)
	case m.File != "":
		b.WriteString(m.File + ": ")
	case m.Site != "":
		fmt.Fprintf(&b, "site %s: ", m.Site)
	}
	if m.Field != "" {
		b.WriteString(m.Field + ": ")
	}
	b.WriteString(m.Message)
	if m.Hint != "" {
		b.WriteString(" (" + m.Hint + ")")
	}
	return b.String()
}

// Mistakes is every mistake of a configuration, as one error of kind
// [cdn.Invalid]. It is never empty when returned as an error.
type Mistakes []Mistake //nolint:errname // the word of the manual: a file has mistakes

// Error returns one line per mistake, in the order of their places.
func (ms Mistakes) Error() string {
	lines := make([]string, len(ms))
	for i, m := range ms {
		lines[i] = m.String()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives [cdn.KindOf] the kind of every list of mistakes.
func (ms Mistakes) Unwrap() error {
	return &cdn.Error{Kind: cdn.Invalid, Err: errors.New("the configuration has mistakes")}
}

// Detail shows the list to an API's caller.
func (ms Mistakes) Detail() any { return ms }

// Err returns ms sorted by place, or nil if there are none.
func (ms Mistakes) Err() error {
	if len(ms) == 0 {
		return nil
	}
	slices.SortStableFunc(ms, func(a, b Mistake) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return ms
}

// MistakesOf returns the mistakes in err's chain, or none.
func MistakesOf(err error) Mistakes {
	ms, _ := errors.AsType[Mistakes](err)
	return ms
}
