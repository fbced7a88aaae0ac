package api

import (
	"slices"
	"strings"
)

// maxDiffCells bounds the table of the comparison; larger texts are shown as
// all removed and all added.
const maxDiffCells = 4 << 20

// unified returns all lines of two texts, each behind "-", "+" or a space, by
// their longest common subsequence.
func unified(a, b string) string {
	x, y := lines(a), lines(b)
	var out strings.Builder
	write := func(mark byte, line string) {
		out.WriteByte(mark)
		out.WriteString(line + "\n")
	}
	common := commonLengths(x, y)
	i, j := 0, 0
	for i < len(x) || j < len(y) {
		switch {
		case common != nil && i < len(x) && j < len(y) && x[i] == y[j]:
			write(' ', x[i])
			i, j = i+1, j+1
		case j == len(y) || i < len(x) && (common == nil || common[i+1][j] >= common[i][j+1]):
			write('-', x[i])
			i++
		default:
			write('+', y[j])
			j++
		}
	}
	return out.String()
}

// commonLengths returns for every i and j the length of the longest common
// subsequence of x[i:] and y[j:], or nil if that is too much to compute.
func commonLengths(x, y []string) [][]int {
	if (len(x)+1)*(len(y)+1) > maxDiffCells {
		return nil
	}
	common := make([][]int, len(x)+1)
	for i := range common {
		common[i] = make([]int, len(y)+1)
	}
	for i, v := range slices.Backward(x) {
		for j := len(y) - 1; j >= 0; j-- {
			if v == y[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	return common
}

func lines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(s, "\n"), "\n")
}
