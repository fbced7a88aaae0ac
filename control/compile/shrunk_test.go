package compile_test

import (
	"strings"
	"testing"

	"nearcast/cdn"
	"nearcast/control/compile"
)

// What leaves nothing, or less than half, is not taken from a file that has changed.
func TestShrunk(t *testing.T) {
	of := func(sites, domains, steered, zones, records, nodes int, pops ...int) *cdn.Snapshot {
		s := &cdn.Snapshot{Sites: make([]cdn.Site, sites)}
		if sites > 0 {
			s.Sites[0].Domains = make([]cdn.Domain, domains)
		}
		s.Fleet.DNS.Steered, s.Fleet.Zones, s.Fleet.Nodes = make([]cdn.Domain, steered), make([]cdn.Zone, zones), make([]cdn.Node, nodes)
		s.Fleet.POPs = make([]cdn.POP, append(pops, 2)[0])
		if zones > 0 {
			s.Fleet.Zones[0].Records = make([]cdn.Record, records)
		}
		return s
	}
	before := of(4, 8, 10, 2, 6, 3)
	for _, test := range []struct {
		after *cdn.Snapshot
		want  string
	}{
		{before, ""},
		{of(8, 16, 20, 4, 12, 6), ""},
		{of(2, 4, 5, 1, 3, 2), ""},
		{of(1, 8, 10, 2, 6, 3), "1 of 4 sites"},
		{of(0, 0, 10, 2, 6, 3), "0 of 4 sites"},
		{of(4, 3, 10, 2, 6, 3), "3 of 8 domains"},
		{of(4, 8, 4, 2, 6, 3), "4 of 10 steered names"},
		{of(4, 8, 0, 2, 6, 3), "0 of 10 steered names"},
		{of(4, 8, 10, 0, 0, 3), "0 of 2 zones"},
		{of(4, 8, 10, 2, 2, 3), "2 of 6 records"},
		{of(4, 8, 10, 2, 6, 1), "1 of 3 nodes"},
		{of(4, 8, 10, 2, 6, 0), "0 of 3 nodes"},
		{of(4, 8, 10, 2, 6, 3, 0), "0 of 2 POPs"},
		{of(4, 8, 10, 2, 6, 3, 1), ""},
		{of(1, 1, 10, 0, 0, 1), "this leaves 1 of 4 sites, 1 of 8 domains of sites, 0 of 2 zones, 0 of 6 records, 1 of 3 nodes"},
	} {
		err := compile.Shrunk(before, test.after)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v, want %q", err, test.want)
		}
	}
}
