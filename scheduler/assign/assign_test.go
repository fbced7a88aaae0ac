package assign_test

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nearcast/cdn"
	"nearcast/scheduler/assign"
)

// problem reads "A=10 B=5down | x=3: A 5, B 20 | y=4!: B 1": POPs with their capacities and states, then groups with their demand, an exclamation mark if
// strict, and the costs of their candidates. Every POP is 100 ms from the next one.
func problem(t *testing.T, text string) *assign.Problem {
	t.Helper()
	parts := strings.Split(text, "|")
	p := &assign.Problem{}
	index := make(map[string]uint16)
	for i, field := range strings.Fields(parts[0]) {
		name, rest, _ := strings.Cut(field, "=")
		pop := assign.POP{Name: cdn.POPName(name)}
		for _, s := range []assign.State{assign.Draining, assign.Down} {
			if r, ok := strings.CutSuffix(rest, s.String()); ok {
				rest, pop.State = r, s
			}
		}
		pop.Capacity = number(t, rest)
		index[name] = uint16(i)
		p.POPs = append(p.POPs, pop)
	}
	for i := range p.POPs {
		for j := range p.POPs {
			if i != j {
				p.POPs[i].Near = append(p.POPs[i].Near, assign.Candidate{POP: uint16(j), Cost: float32(100 * max(i-j, j-i))})
			}
		}
	}
	for _, part := range parts[1:] {
		head, list, _ := strings.Cut(part, ":")
		id, demand, _ := strings.Cut(strings.TrimSpace(head), "=")
		demand, strict := strings.CutSuffix(demand, "!")
		g := assign.Group{ID: id, Demand: number(t, demand), Strict: strict}
		for c := range strings.SplitSeq(list, ",") {
			f := strings.Fields(c)
			g.Candidates = append(g.Candidates, assign.Candidate{POP: index[f[0]], Cost: float32(number(t, f[1]))})
		}
		p.Groups = append(p.Groups, g)
	}
	return p
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// text writes a map: "x: A 67 B 33 (C) | y: B", shares in percent, the stand-by in parentheses.
func text(m *assign.Map) string {
	var groups []string
	for id, shares := range m.All() {
		line := id + ":"
		for _, s := range shares {
			name := m.POPs()[s.POP]
			switch s.Weight {
			case 0:
				line += fmt.Sprintf(" (%s)", name)
			case assign.Whole:
				line += fmt.Sprintf(" %s", name)
			default:
				line += fmt.Sprintf(" %s %.0f", name, 100*float64(s.Weight)/assign.Whole)
			}
		}
		groups = append(groups, line)
	}
	return strings.Join(groups, " | ")
}

func TestSolve(t *testing.T) {
	for _, tt := range []struct{ rule, problem, want string }{
		{
			"everybody goes to the POP of the lowest cost while there is room",
			"A=10 B=10 | x=3: A 5, B 20 | y=4: B 1, A 2",
			"x: A (B) | y: B (A)",
		},
		{
			"what does not fit goes to the next choice",
			"A=10 B=10 | x=15: A 5, B 20",
			"x: A 67 B 33",
		},
		{
			"who loses least by going elsewhere gives way, whoever was there first",
			"A=10 B=20 | x=10: A 5, B 20 | y=10: A 9, B 90",
			"x: B (A) | y: A (B)",
		},
		{
			"only as much gives way as has to",
			"A=15 B=20 | x=10: A 5, B 20 | y=10: A 9, B 90",
			"x: A 50 B 50 | y: A (B)",
		},
		{
			"of those that lose the same, the last by ID gives way",
			"A=10 B=20 | y=10: A 5, B 20 | x=10: A 5, B 20",
			"x: A (B) | y: B (A)",
		},
		{
			"who gives way may displace others in turn",
			"A=10 B=10 C=20 | x=10: A 1, B 10, C 50 | y=10: A 5, B 55 | z=10: B 1, C 12",
			"x: B (C) | y: A (B) | z: C (B)",
		},
		{
			"a share of less than 2 % is not made: it all goes, or none",
			"A=10.1 B=10 | x=10.2: A 5, B 20",
			"x: A 98 B 2",
		},
		{
			"of equal costs the first by name is nearer",
			"B=10 A=10 | x=1: B 5, A 5",
			"x: A (B)",
		},
		{
			"the stand-by is the next choice that is not full",
			"A=10 B=10 C=10 | x=10: A 1, B 2, C 3 | y=11: B 1",
			"x: A (C) | y: B 91 C 9 (A)",
		},
		{
			"a POP that is down gets nothing, not even a stand-by",
			"A=10down B=10 C=10 | x=3: A 5, B 20, C 30",
			"x: B (C)",
		},
		{
			"not even if it is huge",
			"A=1e18down B=1e-6 | x=0: A 5, B 20",
			"x: B",
		},
		{
			"behind the candidates come the neighbours of the first, by distance",
			"A=10down B=10 C=10 | x=3: A 5",
			"x: B (C)",
		},
		{
			"it is the first candidate's, even if that is full",
			"A=10 B=10 C=10 | x=25: B 5, A 6",
			"x: A 40 B 40 C 20",
		},
		{
			"who drains still serves whom it is a candidate of",
			"A=10draining B=10 | x=3: A 5, B 20",
			"x: A (B)",
		},
		{
			"but nobody is sent on to it",
			"A=10 B=10draining C=10 | x=15: A 5",
			"x: A 67 C 33",
		},
		{
			"a group nobody asks from has its place",
			"A=10 B=10 | x=0: B 5, A 20",
			"x: B (A)",
		},
		{
			"too much for all is too much for all alike",
			"A=10 B=20 | x=60: A 5, B 20",
			"x: B 66 A 34", // A keeps what would fill it by the same share as B, less some slack
		},
		{
			"a strict group goes nowhere but to its candidates, and overfills them in proportion",
			"A=10 B=20 C=100 | x=60!: A 5, B 20",
			"x: B 67 A 33",
		},
		{
			"and none if none is up",
			"A=10down B=20 | x=6!: A 5 | y=1: B 1",
			"x: | y: B",
		},
		{
			"if everybody is down, everybody is up",
			"A=10down B=10down | x=3: A 5, B 20",
			"x: A (B)",
		},
		{
			"nobody is at more than four POPs: others make room",
			"A=10 B=10 C=10 D=10 E=10 F=10 | x=40: A 1, B 2, C 3, D 4, E 5 | y=5: D 1, F 200",
			"x: A 25 B 25 C 25 D 25 | y: F (D)",
		},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			m, _, err := assign.Solve(problem(t, tt.problem))
			if err != nil {
				t.Fatal(err)
			}
			if got := text(m); got != tt.want {
				t.Errorf("%s\n got %s\nwant %s", tt.problem, got, tt.want)
			}
		})
	}
}

func TestReport(t *testing.T) {
	for _, tt := range []struct{ problem, want string }{
		{"A=10 B=10 | x=3: A 5, B 20", "demand 3 of 20, planned [3 0]"},
		{"A=10 B=10down | x=3: A 5, B 20", "demand 3 of 10, planned [3 0]"},
		{"A=10 B=10 | x=40: A 5, B 20", "demand 40 of 20, planned [20 20], scale 2.04"},
		{"A=10 B=30 | x=15!: A 5", "demand 15 of 40, planned [15 0], overfilled 5"},
		{"A=10down B=30 | x=15!: A 5", "demand 15 of 30, planned [0 0], overfilled 15, stranded 1"},
		{"A=10down B=30down | x=15: A 5", "demand 15 of 40, planned [10 5], all down"},
	} {
		_, r, err := assign.Solve(problem(t, tt.problem))
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprintf("demand %.3g of %.3g, planned %.2g", r.Demand, r.Capacity, r.Planned)
		if r.Scale != 1 {
			got += fmt.Sprintf(", scale %.3g", r.Scale)
		}
		if r.Overfilled > 0 {
			got += fmt.Sprintf(", overfilled %.3g", r.Overfilled)
		}
		if r.Stranded > 0 {
			got += fmt.Sprintf(", stranded %d", r.Stranded)
		}
		if r.AllDown {
			got += ", all down"
		}
		if got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.problem, got, tt.want)
		}
	}
}

// TestBadInput has every way to be refused: the error says where.
func TestBadInput(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, tt := range []struct {
		want  string
		spoil func(p *assign.Problem)
	}{
		{"no POPs", func(p *assign.Problem) { p.POPs = nil }},
		{"no groups", func(p *assign.Problem) { p.Groups = nil }},
		{"at most 4096", func(p *assign.Problem) { p.POPs = slices.Repeat(p.POPs, 3000) }},
		{"POP 1: its name has 0 octets", func(p *assign.Problem) { p.POPs[1].Name = "" }},
		{"POP A: it is there twice", func(p *assign.Problem) { p.POPs[1].Name = "A" }},
		{"POP B: capacity 0", func(p *assign.Problem) { p.POPs[1].Capacity = 0 }},
		{"POP B: capacity 5e-324", func(p *assign.Problem) { p.POPs[1].Capacity = math.SmallestNonzeroFloat64 }},
		{"POP B: capacity -1", func(p *assign.Problem) { p.POPs[1].Capacity = -1 }},
		{"POP B: capacity NaN", func(p *assign.Problem) { p.POPs[1].Capacity = nan }},
		{"POP B: capacity +Inf", func(p *assign.Problem) { p.POPs[1].Capacity = inf }},
		{"POP B: unknown state 3", func(p *assign.Problem) { p.POPs[1].State = 3 }},
		{"POP A: neighbours: there is no POP 7", func(p *assign.Problem) { p.POPs[0].Near[0].POP = 7 }},
		{"POP A: neighbours: POP 1: cost NaN", func(p *assign.Problem) { p.POPs[0].Near[0].Cost = float32(nan) }},
		{`group "": its ID has 0 octets`, func(p *assign.Problem) { p.Groups[1].ID = "" }},
		{"its ID has 256 octets", func(p *assign.Problem) { p.Groups[1].ID = strings.Repeat("y", 256) }},
		{`group "x": it is there twice`, func(p *assign.Problem) { p.Groups[1].ID = "x" }},
		{"group y: demand -1", func(p *assign.Problem) { p.Groups[1].Demand = -1 }},
		{"group y: demand NaN", func(p *assign.Problem) { p.Groups[1].Demand = nan }},
		{"group y: demand +Inf", func(p *assign.Problem) { p.Groups[1].Demand = inf }},
		{"group y: 0 candidates", func(p *assign.Problem) { p.Groups[1].Candidates = nil }},
		{"group y: 17 candidates", func(p *assign.Problem) {
			p.Groups[1].Candidates = slices.Repeat(p.Groups[1].Candidates[:1], 17)
		}},
		{"group y: candidates: there is no POP 2, only 2", func(p *assign.Problem) { p.Groups[1].Candidates[0].POP = 2 }},
		{"group y: candidates: POP 0 is there twice", func(p *assign.Problem) { p.Groups[1].Candidates[1].POP = 0 }},
		{"group y: candidates: POP 0: cost -1 ms", func(p *assign.Problem) { p.Groups[1].Candidates[0].Cost = -1 }},
		{"group y: candidates: POP 0: cost NaN", func(p *assign.Problem) { p.Groups[1].Candidates[0].Cost = float32(nan) }},
		{"group y: candidates: POP 0: cost +Inf", func(p *assign.Problem) { p.Groups[1].Candidates[0].Cost = float32(inf) }},
	} {
		t.Run(tt.want, func(t *testing.T) {
			p := problem(t, "A=10 B=10 | x=3: A 5, B 20 | y=3: A 6, B 21")
			tt.spoil(p)
			m, _, err := assign.Solve(p)
			if m != nil || cdn.KindOf(err) != cdn.Invalid || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got map %v and error %v", m, err)
			}
		})
	}
}
