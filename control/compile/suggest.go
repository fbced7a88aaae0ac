package compile

import "strings"

// suggest says which key was probably meant, and which there are.
func suggest(got string, schema []field) string {
	names := make([]string, len(schema))
	best, distance := "", 3 // more than two edits are another word
	for i, f := range schema {
		names[i] = f.name
		if d := editDistance(strings.ToLower(got), f.name); d < distance && d < len(f.name) {
			best, distance = f.name, d
		}
	}
	allowed := "allowed: " + strings.Join(names, ", ")
	if best == "" {
		return allowed
	}
	return "did you mean " + best + "? " + allowed
}

// editDistance is the number of single-octet insertions, deletions and
// substitutions between two words (Levenshtein); words too long to be a slip of
// the pen are simply far apart.
func editDistance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next := min(row[j]+1, row[j+1]+1, diagonal+cost)
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}
