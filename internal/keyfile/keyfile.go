// Package keyfile reads what files of keys say: one on each line, in columns that white space divides. Empty lines, and those that begin with #, say nothing.
//
// It is not for the fleet's secret, whose file has nothing but secrets.
package keyfile

import (
	"fmt"
	"iter"
	"strings"
)

// MinSecret is how many octets a secret must have at least.
const MinSecret = 16

// Lines returns the lines of a text, by their numbers from 1, split into columns. Comments are left out.
func Lines(text string) iter.Seq2[int, []string] {
	return func(yield func(int, []string) bool) {
		n := 0
		for line := range strings.Lines(text) {
			n++
			columns := strings.Fields(line)
			if len(columns) == 0 || strings.HasPrefix(columns[0], "#") {
				continue
			}
			if !yield(n, columns) {
				return
			}
		}
	}
}

// ParseSecrets reads lines "ID SECRET". An ID is 1 to 64 characters of ASCII and comes once; a secret is [MinSecret]
// octets or more, which stand for themselves. The error names the line, and says nothing of secrets.
func ParseSecrets(text string) (map[string][]byte, error) {
	all := make(map[string][]byte)
	for n, columns := range Lines(text) {
		switch {
		case len(columns) != 2:
			return nil, fmt.Errorf("line %d: want ID SECRET, got %d columns", n, len(columns))
		case len(columns[0]) > 64 || !visible(columns[0]):
			return nil, fmt.Errorf("line %d: want an ID of at most 64 letters, digits and other characters of ASCII", n)
		case len(columns[1]) < MinSecret:
			return nil, fmt.Errorf("line %d: the secret of %s has %d octets, want %d or more, such as `openssl rand -hex 32` makes", n, columns[0], len(columns[1]), MinSecret)
		case all[columns[0]] != nil:
			return nil, fmt.Errorf("line %d: %s has a secret already", n, columns[0])
		}
		all[columns[0]] = []byte(columns[1])
	}
	return all, nil
}

func visible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
