package cdn_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearcast/cdn"
)

func group(name cdn.GroupName, octets float64) *cdn.VisitorGroup {
	return &cdn.VisitorGroup{Name: name, Octets: octets}
}

func TestRouteTableOver(t *testing.T) {
	base := &cdn.RouteTable{
		Epoch: "e", Version: 7, Groups: []*cdn.VisitorGroup{group("b", 1), group("c", 1), group("d", 1)},
		Links: []*cdn.Link{{From: "fra", To: "ams"}, {From: "lon", To: "fra"}},
	}
	diff := &cdn.RouteTable{
		Epoch: "e", Version: 8, Base: 7, Groups: []*cdn.VisitorGroup{group("a", 2), group("c", 2), group("e", 2)}, GoneGroups: []cdn.GroupName{"d"},
		GoneLinks: [][2]string{{"fra", "ams"}},
	}
	got, err := diff.Over(base)
	if err != nil {
		t.Fatal(err)
	}
	want := &cdn.RouteTable{
		Epoch: "e", Version: 8, Groups: []*cdn.VisitorGroup{group("a", 2), group("b", 1), group("c", 2), group("e", 2)},
		Links: []*cdn.Link{{From: "lon", To: "fra"}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if len(base.Groups) != 3 || base.Groups[1].Octets != 1 {
		t.Error("the base was changed")
	}
	for name, wrong := range map[string]*cdn.RouteTable{
		"no base":         nil,
		"another version": {Epoch: "e", Version: 6},
		"another epoch":   {Epoch: "f", Version: 7},
		"a difference":    {Epoch: "e", Version: 7, Base: 6},
	} {
		if _, err := diff.Over(wrong); cdn.KindOf(err) != cdn.Conflict {
			t.Errorf("%s: %v", name, err)
		}
	}
}
