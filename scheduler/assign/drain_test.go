package assign_test

import (
	"fmt"
	"testing"
	"time"

	"nearcast/scheduler/assign"
)

// A POP that is drained loses its visitors little by little, however little of its capacity they take.
func TestDrainIsGradual(t *testing.T) {
	for name, capacity := range map[string]float64{"idle": 10_000, "busy": 120} {
		t.Run(name, func(t *testing.T) {
			in := assign.Input{Problem: assign.Problem{POPs: []assign.POP{
				{Name: "a", Capacity: capacity, Near: []assign.Candidate{{POP: 1, Cost: 10}}},
				{Name: "b", Capacity: 10_000, Near: []assign.Candidate{{POP: 0, Cost: 10}}},
			}}}
			for i := range 100 {
				in.Groups = append(in.Groups, assign.Group{ID: fmt.Sprint(i), Demand: 1, Candidates: []assign.Candidate{{POP: 0, Cost: 10}, {POP: 1, Cost: 20 + float32(i)}}})
			}
			c := assign.NewController(assign.Settings{})
			now := time.Unix(1_000_000, 0)
			step := func() float64 {
				t.Helper()
				r, err := c.Step(now, in)
				if err != nil {
					t.Fatal(err)
				}
				now = now.Add(5 * time.Second)
				return r.Report.Planned[0]
			}
			for range 5 {
				step()
			}
			before := step()
			if before < 99 {
				t.Fatalf("%v of 100 are at a before it is drained", before)
			}
			in.POPs[0].State = assign.Draining
			began := now
			for last := before; now.Sub(began) <= 75*time.Second; {
				at := now.Sub(began)
				planned := step()
				want := before * max(0, 1-at.Seconds()/60)
				if planned > last+1e-6 || planned > want+before/12+1 || at < 60*time.Second && planned < want-15 {
					t.Errorf("after %v: %v are planned for a, want about %v (a slot late at most) and never more than before, %v", at, planned, want, last)
				}
				last = planned
			}
		})
	}
}
