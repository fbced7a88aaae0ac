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
	is := amounts(after)
	var less []string
	for i, was := range amounts(before) {
		left := is[i].n
		if lost := was.n - left; lost > 0 && (left == 0 || lost > 1 && 2*lost > was.n) {
			less = append(less, fmt.Sprintf("%d of %d %s", left, was.n, was.what))
		}
	}
	if len(less) == 0 {
		return nil
	}
	return cdn.Errorf(cdn.Invalid, "", "this leaves %s", strings.Join(less, ", "))
}

// amount is how much there is of something.
type amount struct {
	what string
	n    int
}

// amounts is how much there is of what [Shrunk] looks at, always in the same order.
func amounts(s *cdn.Snapshot) []amount {
	domains, records := 0, 0
	for i := range s.Sites {
		domains += len(s.Sites[i].Domains)
	}
	for i := range s.Fleet.Zones {
		records += len(s.Fleet.Zones[i].Records)
	}
	return []amount{
		{"sites", len(s.Sites)},
		{"domains of sites", domains},
		{"steered names", len(s.Fleet.DNS.Steered)},
		{"zones", len(s.Fleet.Zones)},
		{"records", records},
		{"POPs", len(s.Fleet.POPs)},
		{"nodes", len(s.Fleet.Nodes)},
	}
}
