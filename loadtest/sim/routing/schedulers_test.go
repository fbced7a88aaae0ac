package main

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/scheduler/assign"
)

// TestSchedulersAgree: in every scenario, and in all of them at once, three schedulers that are told the same in different orders have
// maps with the same digests at any time.
func TestSchedulersAgree(t *testing.T) {
	scenarios := slices.Sorted(maps.Keys(parts()))
	scenarios = append(scenarios, "flash+loss", strings.Join(scenarios, "+"))
	rows := make([]int, len(scenarios))
	t.Run("scenarios", func(t *testing.T) {
		for i, scenario := range scenarios {
			t.Run(scenario, func(t *testing.T) {
				t.Parallel()
				script, err := parseScript(scenario)
				if err != nil {
					t.Fatal(err)
				}
				for seed := uint64(1); seed <= 2; seed++ {
					s, err := one(synthetic(22, seed), options{pops: 6, nodes: 30, schedulers: 3}, seed, script, "nearcast")
					if err != nil {
						t.Fatalf("seed %d: %v", seed, err)
					}
					if s.maps < duration/slot {
						t.Errorf("seed %d: only %d maps were compared", seed, s.maps)
					}
					rows[i] += s.maps
				}
			})
		}
	})
	sum := 0
	for _, n := range rows {
		sum += n
	}
	t.Logf("| three schedulers, %d scenarios (%s, all at once), 2 seeds: maps whose digests differ | 0 of %d | 0 | | | `go test -v -run TestSchedulersAgree ./loadtest/sim/routing` |",
		len(scenarios), strings.Join(scenarios[:len(scenarios)-1], ", "), sum)
}

// TestSchedulersDiffer: one that was told something else is found out.
func TestSchedulersDiffer(t *testing.T) {
	s := newSchedulers(2, 3, 1)
	now := time.Unix(1_800_000_000, 0)
	input := func(costs ...float32) assign.Input {
		in := assign.Input{Load: []float64{0, 0, 0}}
		row := assign.Group{ID: "g", Demand: 0.5}
		for p, cost := range costs {
			in.POPs = append(in.POPs, assign.POP{Name: cdn.POPName("abc"[p : p+1]), Capacity: 1})
			row.Candidates = append(row.Candidates, assign.Candidate{POP: uint16(p), Cost: cost}) //nolint:gosec // three
		}
		in.Groups = []assign.Group{row}
		return in
	}
	if _, err := s.step(now, input(10, 50, 90)); err != nil || s.compared != 1 {
		t.Fatalf("%d maps compared: %v", s.compared, err)
	}
	s.all[1] = assign.NewController(assign.Settings{})
	if _, err := s.all[1].Step(now, input(90, 50, 10)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.step(now.Add(slot*time.Second), input(10, 50, 90)); err == nil || !strings.Contains(err.Error(), "scheduler 2 has another map") {
		t.Errorf("error %v", err)
	}
}
