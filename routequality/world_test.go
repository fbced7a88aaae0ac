package routequality_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearcast/cdn"
	"nearcast/routequality"
)

// A POP is told of nodes that it may ask, those behind it first, and of those that its visitors may be sent to; not of its own.
func TestHelpless(t *testing.T) {
	fleet := &cdn.Fleet{POPs: []cdn.POP{
		{Name: "fra", Region: "europe"},
		{Name: "lon", Region: "islands", Tier: cdn.TierEdge},
		{Name: "ams", Region: "europe", Tier: cdn.TierRegional},
		{Name: "osl", Region: "north", Tier: cdn.TierRegional},
	}}
	unusable := map[cdn.POPName][]cdn.NodeName{"fra": {"fra-1"}, "lon": {"lon-1", "lon-2"}, "ams": {"ams-1"}, "osl": {"osl-1"}}
	for pop, want := range map[cdn.POPName][]cdn.NodeName{
		"fra": {"ams-1", "lon-1", "lon-2"}, "lon": {"fra-1"}, "ams": {"osl-1"}, "unknown": nil,
	} {
		if diff := cmp.Diff(want, routequality.Helpless(fleet, unusable, pop)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", pop, diff)
		}
	}
}
