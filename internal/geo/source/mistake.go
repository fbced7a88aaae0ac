package source

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Mistake is one thing that is wrong with a file.
type Mistake struct {
	// File is the name that the caller gave the text.
	File string
	// Line and Column count from 1, columns in octets; zero means the file as a whole.
	Line, Column int
	// Message says what is wrong, with the value.
	Message string
	// Hint says what would be right; may be empty.
	Hint string
}

// String formats m as compilers do.
func (m Mistake) String() string {
	text := fmt.Sprintf("%s:%d:%d: %s", m.File, m.Line, m.Column, m.Message)
	if m.Line == 0 {
		text = m.File + ": " + m.Message
	}
	if m.Hint != "" {
		text += " (" + m.Hint + ")"
	}
	return text
}

// Mistakes is every mistake of some files, as an error.
type Mistakes []Mistake //nolint:errname // the word of the manual: a file has mistakes

// Error returns one line per mistake.
func (ms Mistakes) Error() string {
	lines := make([]string, len(ms))
	for i, m := range ms {
		lines[i] = m.String()
	}
	return strings.Join(lines, "\n")
}

// err returns the mistakes in the order of their places, or nil if there are none.
func (ms Mistakes) err() error {
	if len(ms) == 0 {
		return nil
	}
	slices.SortStableFunc(ms, func(a, b Mistake) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column)) })
	return ms
}
