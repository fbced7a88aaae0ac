package grammar

import (
	"iter"
	"strings"
)

// ListMembers yields the members of a list that may be spread over several lines
// (RFC 9110 section 5.6.1), empty ones left out.
func ListMembers(lines []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range lines {
			for member := range strings.SplitSeq(line, ",") {
				member = strings.Trim(member, " \t")
				if member != "" && !yield(member) {
					return
				}
			}
		}
	}
}
