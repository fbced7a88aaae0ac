package assign_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"nearcast/scheduler/assign"
)

// An explainer goes on telling of the map that it was made for, whatever comes after.
func TestExplainer(t *testing.T) {
	c := assign.NewController(assign.Settings{})
	if _, ok := c.Explainer().Explain("g"); ok || c.Last().Map != nil || len(c.Explainer().POPs()) != 0 {
		t.Error("something is known before the first step")
	}
	now := time.Unix(1e9, 0)
	r, err := c.Step(now, assign.Input{Load: []float64{0.5, 0.25}, Problem: assign.Problem{
		POPs:   []assign.POP{{Name: "b", Capacity: 100}, {Name: "a", Capacity: 200}},
		Groups: []assign.Group{{ID: "g", Demand: 10, Candidates: []assign.Candidate{{POP: 0, Cost: 5}, {POP: 1, Cost: 9}}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if last := c.Last(); last.Map != r.Map {
		t.Error("the last result is another")
	}
	e := c.Explainer()
	want, _ := c.Explain("g")
	pops := []assign.POPView{{Capacity: 200, Factor: 1, Load: 0.25}, {Capacity: 100, Factor: 1, Planned: 10, Load: 0.5}}
	for range 2 {
		got, ok := e.Explain("g")
		if diff := cmp.Diff(want, got, cmpopts.EquateNaNs()); diff != "" || !ok {
			t.Errorf("explained (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(pops, e.POPs()); diff != "" {
			t.Errorf("POPs (-want +got):\n%s", diff)
		}
		if _, err := c.Change(now, []assign.POPChange{{POP: 0, State: assign.Down}}); err != nil {
			t.Fatal(err)
		}
	}
	if got := c.Explainer().POPs(); got[1].State != assign.Down || got[0].Planned != 10 {
		t.Errorf("after b went down: %+v", got)
	}
}
