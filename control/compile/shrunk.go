package compile

import (
	"fmt"
	"strings"

	"nearcast/cdn"
)

// Shrunk is an error if a configuration leaves nothing of what the one before has, or less than half of at least two:
// sites, their domains, steered names, zones, records, POPs or nodes (design rule 3). The error names all of them. A
// file may have been cut off, and who is told that a name is gone does not ask again for a while.
func Shrunk(before, after *cdn.Snapshot) error {
	was, is := amounts(before), amounts(after)
	var less []string
	for i, what := range [...]string{"sites", "domains of sites", "steered names", "zones", "records", "POPs", "nodes"} {
		if lost := was[i] - is[i]; lost > 0 && (is[i] == 0 || lost > 1 && 2*lost > was[i]) {
			less = append(less, fmt.Sprintf("%d of %d %s", is[i], was[i], what))
		}
	}
	if len(less) == 0 {
		return nil
	}
	return cdn.Errorf(cdn.Invalid, "", "this leaves %s", strings.Join(less, ", "))
}

// amounts is how much there is of what [Shrunk] looks at.
func amounts(s *cdn.Snapshot) [7]int {
	n := [7]int{len(s.Sites), 0, len(s.Fleet.DNS.Steered), len(s.Fleet.Zones), 0, len(s.Fleet.POPs), len(s.Fleet.Nodes)}
	for i := range s.Sites {
		n[1] += len(s.Sites[i].Domains)
	}
	for i := range s.Fleet.Zones {
		n[4] += len(s.Fleet.Zones[i].Records)
	}
	return n
}
