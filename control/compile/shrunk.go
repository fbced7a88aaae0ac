package compile

import "nearcast/cdn"

// Shrunk is an error if a configuration leaves nothing of what the one before has, or less than half of at least two: sites, their domains, steered names, zones, records or
// nodes (design rule 3). A file may have been cut off, and who is told that a name is gone does not ask again for a while.
func Shrunk(before, after *cdn.Snapshot) error {
	was, is := amounts(before), amounts(after)
	for i, what := range [...]string{"sites", "domains of sites", "steered names", "zones", "records", "nodes"} {
		if lost := was[i] - is[i]; lost > 0 && (is[i] == 0 || lost > 1 && 2*lost > was[i]) {
			return cdn.Errorf(cdn.Invalid, "", "this leaves %d of %d %s", is[i], was[i], what)
		}
	}
	return nil
}

// amounts is how much there is of what [Shrunk] looks at.
func amounts(s *cdn.Snapshot) [6]int {
	n := [6]int{len(s.Sites), 0, len(s.Fleet.DNS.Steered), len(s.Fleet.Zones), 0, len(s.Fleet.Nodes)}
	for i := range s.Sites {
		n[1] += len(s.Sites[i].Domains)
	}
	for i := range s.Fleet.Zones {
		n[4] += len(s.Fleet.Zones[i].Records)
	}
	return n
}
