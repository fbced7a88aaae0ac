package assign_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"nearcast/scheduler/assign"
)

// desk is a controller with its clock.
type desk struct {
	t   *testing.T
	c   *assign.Controller
	now time.Time
}

func newDesk(t *testing.T, s assign.Settings) *desk {
	t.Helper()
	return &desk{t, assign.NewController(s), time.Unix(1_800_000_000, 0)}
}

// step takes a step, a slot after the one before.
func (d *desk) step(in assign.Input) assign.Result {
	d.t.Helper()
	d.now = d.now.Add(5 * time.Second)
	r, err := d.c.Step(d.now, in)
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

func (d *desk) solve(text string) assign.Result {
	d.t.Helper()
	return d.step(assign.Input{Problem: *problem(d.t, text)})
}

// weight of a POP in the first group, in percent.
func weight(m *assign.Map, pop string) int {
	for _, s := range m.Shares(0) {
		if string(m.POPs()[s.POP]) == pop {
			return int(math.Round(100 * float64(s.Weight) / assign.Whole))
		}
	}
	return 0
}

// TestDeadBand has costs that change, one step at a time: which changes are believed.
func TestDeadBand(t *testing.T) {
	for _, tt := range []struct {
		a, b  float64 // costs of A and B, of which A was 20 and B 22
		moves bool
	}{
		{20, 19.5, false}, // B is better, but within 3 ms of what it was
		{22.9, 19.1, false},
		{20, 18.9, true},
		{23.5, 22, true}, // A is 3.5 ms worse: 1.5 more than B
	} {
		d := newDesk(t, assign.Settings{})
		d.solve("A=10 B=10 | x=1: A 20, B 22")
		r := d.solve(fmt.Sprintf("A=10 B=10 | x=1: A %v, B %v", tt.a, tt.b))
		if moved := r.Moved > 0; moved != tt.moves {
			t.Errorf("A %v, B %v: moved %v, want %v", tt.a, tt.b, moved, tt.moves)
		}
	}
}

// TestSlew checks that a group whose best POP changes moves by a quarter in a slot, and by no more if there are more steps in it.
func TestSlew(t *testing.T) {
	d := newDesk(t, assign.Settings{})
	d.solve("A=10 B=10 | x=1: A 20, B 90")
	for i, want := range []int{25, 50, 75, 100, 100} {
		if got := weight(d.solve("A=10 B=10 | x=1: A 90, B 20").Map, "B"); got != want {
			t.Errorf("slot %d: %d %% at B, want %d", i, got, want)
		}
	}
}

// TestLeaving has the reasons for all of a group to move at once.
func TestLeaving(t *testing.T) {
	for _, tt := range []struct{ name, before, after, want string }{
		{"a POP that goes down", "A=10 B=10 | x=1: A 20, B 90", "A=10down B=10 | x=1: A 20, B 90", "x: B"},
		{"a POP that is no more", "A=10 B=10 | x=1: A 20, B 90", "B=10 | x=1: B 90", "x: B"},
		// 0.85 of 4 would be 42 %; but what is on its way there is so much too much that it is given less for a while.
		{"a POP that would have too much gives it away", "A=10 B=10 | x=8: A 20, B 90", "A=4 B=10 | x=8: A 20, B 90", "x: B 84 A 16"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDesk(t, assign.Settings{})
			d.solve(tt.before)
			if got := text(d.solve(tt.after).Map); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// TestNewcomers checks that groups and POPs may come and go between steps, and nobody else moves for it.
func TestNewcomers(t *testing.T) {
	d := newDesk(t, assign.Settings{})
	d.solve("B=10 D=10 | m=1: B 1, D 9 | z=1: D 1, B 9")
	r := d.solve("A=10 B=10 C=10 D=10 | a=1: A 1, B 2 | m=1: B 1, D 9, C 20 | n=1: C 1, D 2 | z=1: D 1, B 9")
	if got, want := text(r.Map), "a: A (B) | m: B (D) | n: C (D) | z: D (B)"; got != want || r.Moved > 0.5 {
		t.Errorf("got %s, %.2f moved, want %s", got, r.Moved, want)
	}
	r = d.solve("B=10 C=10 D=10 | m=1: B 1, D 9, C 20 | n=1: C 1, D 2 | z=1: D 1, B 9")
	if got, want := text(r.Map), "m: B (D) | n: C (D) | z: D (B)"; got != want || r.Moved != 0 {
		t.Errorf("got %s, %.2f moved, want %s and 0", got, r.Moved, want)
	}
}

// TestRamps checks that a POP leaves and comes back by degrees.
func TestRamps(t *testing.T) {
	d := newDesk(t, assign.Settings{})
	const groups = " | x=2: A 1, B 50"
	d.solve("A=10 B=10" + groups)
	for range 6 { // half of the minute
		d.solve("A=10draining B=10" + groups)
	}
	if got := weight(d.solve("A=10draining B=10"+groups).Map, "A"); got < 40 || got > 60 {
		t.Errorf("in the middle of the drain A has %d %% of what it had, want half", got)
	}
	if r := d.solve("A=10draining B=10" + groups + " | y=1: A 1, B 9"); !strings.Contains(text(r.Map), "y: B") {
		t.Errorf("who comes during the drain does not go there: got %s", text(r.Map))
	}
	for range 6 {
		d.solve("A=10draining B=10" + groups)
	}
	if got := weight(d.solve("A=10draining B=10"+groups).Map, "A"); got != 0 {
		t.Errorf("after the drain A has %d %%, want 0", got)
	}
	d.solve("A=10down B=10" + groups)
	if got := weight(d.solve("A=10 B=10"+groups).Map, "A"); got > 42 { // a tenth of 10, and 0.85 of that
		t.Errorf("cold A has %d %% at once, want what fits into a tenth of it", got)
	}
	for range 13 {
		d.solve("A=10 B=10" + groups)
	}
	if got := weight(d.solve("A=10 B=10"+groups).Map, "A"); got != 100 {
		t.Errorf("after a minute A has %d %%, want 100", got)
	}
}

// TestFactor checks that a POP to which more comes than its groups' demand is given less, until it fits; and then again more.
func TestFactor(t *testing.T) {
	d := newDesk(t, assign.Settings{})
	in := assign.Input{Problem: *problem(t, "A=10 B=100 | x=8: A 20, B 90")}
	share := 1.0
	for range 60 {
		in.Load = []float64{1.5 * 8 * share / 10, math.NaN()} // it is really half as much again
		share = float64(weight(d.step(in).Map, "A")) / 100
	}
	if load := 1.5 * 8 * share / 10; load > 0.96 || load < 0.80 {
		t.Errorf("A's load settles at %.2f, want 0.85 to what may be given away too late: 0.92 and a dead-band", load)
	}
	for range 200 {
		in.Load[0] = 8 * share / 10
		share = float64(weight(d.step(in).Map, "A")) / 100
	}
	if share < 0.95 {
		t.Errorf("when it is no longer so A has %.2f, want all but a dead-band", share)
	}
}

func TestLoadThatCannotBe(t *testing.T) {
	d := newDesk(t, assign.Settings{})
	in := assign.Input{Problem: *problem(t, "A=10 B=10 | x=8: A 20, B 90")}
	for _, load := range []float64{-0.1, 21, math.Inf(1), math.Inf(-1)} {
		in.Load = []float64{load, 0.5}
		r := d.step(in)
		if len(r.Alarms) != 1 || !strings.Contains(r.Alarms[0], "POP A reports a load") {
			t.Errorf("load %v: alarms %q", load, r.Alarms)
		}
	}
	in.Load = []float64{0.5}
	if _, err := d.c.Step(d.now, in); err == nil {
		t.Error("a load of one POP of two was accepted")
	}
}

// TestGuards has what is not believed, and what is.
func TestGuards(t *testing.T) {
	const groups = " | u=1: A 1 | v=1: A 1 | w=1: B 1 | x=1: B 1"
	for _, tt := range []struct {
		name, before, after string
		frozen              string // a part of the reason
	}{
		{"one POP may always fail", "A=100 B=1 C=1" + groups, "A=100down B=1 C=1" + groups, ""},
		{"two of three may not", "A=10 B=10 C=10" + groups, "A=10down B=10down C=10" + groups, "2 of 3 POPs"},
		{"two of seven may", "A=1 B=1 C=1 D=1 E=1 F=1 G=1" + groups, "A=1down B=1down C=1 D=1 E=1 F=1 G=1" + groups, ""},
		{"unless they are large", "A=9 B=9 C=1 D=1 E=1 F=1 G=1" + groups, "A=9down B=9down C=1 D=1 E=1 F=1 G=1" + groups, "78 % of the capacity"},
		{"half may be left out", "A=1 B=1 C=1 D=1" + groups, "C=1 D=1 | u=1: C 1 | v=1: C 1 | w=1: C 1 | x=1: C 1", ""},
		{"two of the four that are left may not", "A=1 B=1 C=1 D=1 E=1" + groups, "B=1down C=1down D=1 E=1 | u=1: D 1 | v=1: D 1 | w=1: D 1 | x=1: D 1", "2 of 4 POPs"},
		{"less than half of the groups", "A=1 B=1" + groups, "A=1 B=1 | u=1: A 1", "1 groups where there were 4"},
		{"half of them may do", "A=1 B=1" + groups, "A=1 B=1 | u=1: A 1 | v=1: A 1", ""},
		{"less than half of the POPs", "A=1 B=1 C=1" + groups, "C=1 | u=1: C 1 | v=1: C 1 | w=1: C 1 | x=1: C 1", "1 POPs where there were 3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDesk(t, assign.Settings{})
			before := d.solve(tt.before)
			r := d.solve(tt.after)
			if (r.Frozen != "") != (tt.frozen != "") || !strings.Contains(r.Frozen, tt.frozen) {
				t.Fatalf("frozen: %q, want %q", r.Frozen, tt.frozen)
			}
			if tt.frozen == "" {
				return
			}
			if r.Map.Digest() != before.Map.Digest() || len(r.Alarms) == 0 {
				t.Errorf("the map is not the one from before, or nobody is told: %q", r.Alarms)
			}
			if r := d.solve(tt.after); r.Frozen == "" {
				t.Error("the same again was believed")
			}
			if r := d.solve(tt.before); r.Frozen != "" {
				t.Errorf("it is as before, and still frozen: %s", r.Frozen)
			}
			r = d.step(assign.Input{Problem: *problem(t, tt.after), Accept: true})
			if r.Frozen != "" || r.Map.Digest() == before.Map.Digest() {
				t.Errorf("somebody has looked and accepted it, and it is frozen: %q", r.Frozen)
			}
		})
	}
}

// TestCascade checks that POPs that go down one after the other are counted together for half a minute, and no longer.
func TestCascade(t *testing.T) {
	const fleet = "A=1%s B=1%s C=1%s D=1%s | x=1: E 1, F 1 | y=1: F 1"
	all := func(states ...any) string {
		return strings.Replace(fmt.Sprintf(fleet, states...), " |", " E=1 F=1 |", 1)
	}
	d := newDesk(t, assign.Settings{})
	d.solve(all("", "", "", ""))
	if r := d.solve(all("down", "", "", "")); r.Frozen != "" {
		t.Fatalf("the first: %s", r.Frozen)
	}
	if r := d.solve(all("down", "down", "", "")); r.Frozen == "" {
		t.Fatal("a second of six within 30 s was believed")
	}
	d.now = d.now.Add(time.Minute)
	if r := d.solve(all("down", "down", "", "")); r.Frozen != "" {
		t.Fatalf("a minute later it was still frozen: %s", r.Frozen)
	}
}

// TestRefused checks that an input that cannot be right leaves the controller as it was.
func TestRefused(t *testing.T) {
	d := newDesk(t, assign.Settings{})
	if _, err := d.c.Change(d.now, nil); err == nil {
		t.Error("a change before the first step was accepted")
	}
	before := d.solve("A=10 B=10 | x=1: A 20, B 90")
	bad := problem(t, "A=10 B=10down | x=1: A 20, B 90")
	bad.Groups[0].Demand = math.NaN()
	if _, err := d.c.Step(d.now, assign.Input{Problem: *bad}); err == nil {
		t.Error("NaN was accepted")
	}
	for _, ch := range []assign.POPChange{{POP: -1}, {POP: 2}, {POP: 0, State: 3}, {POP: 0, Capacity: -1}, {POP: 0, Capacity: 1e-300}, {POP: 0, Capacity: math.NaN()}} {
		if _, err := d.c.Change(d.now, []assign.POPChange{{POP: 1, State: assign.Down}, ch}); err == nil {
			t.Errorf("change %+v was accepted", ch)
		}
	}
	r, err := d.c.Change(d.now, nil)
	if err != nil || r.Map.Digest() != before.Map.Digest() {
		t.Errorf("after what was refused the map is another (%v): %s", err, text(r.Map))
	}
}

// TestLockstep checks that schedulers that know the same make the same maps, whatever the order in which they know it; and that a change between steps
// comes to what a step would, and a scheduler that is restored goes on as if it had always been there.
func TestLockstep(t *testing.T) {
	p := world(5, 400, 20, 8, 1.2)
	rnd := rand.New(rand.NewPCG(5, 5))
	now := time.Unix(1_800_000_000, 0)
	one, two := assign.NewController(assign.Settings{}), assign.NewController(assign.Settings{})
	for i := range 60 {
		now = now.Add(5 * time.Second)
		for g := range p.Groups {
			p.Groups[g].Demand *= math.Exp(0.1 * rnd.NormFloat64())
			for j := range p.Groups[g].Candidates {
				p.Groups[g].Candidates[j].Cost *= float32(math.Exp(0.05 * rnd.NormFloat64()))
			}
		}
		load := make([]float64, len(p.POPs))
		for j := range load {
			load[j] = rnd.Float64() * 1.2
		}
		in := assign.Input{Problem: *p, Load: load}
		compare(t, i, step(t, one, now, in), step(t, two, now, shuffleInput(in, uint64(i))))
		if i%10 == 5 { // the second is replaced by one that knows what the first knows
			state, err := one.AppendBinary(nil)
			if err != nil {
				t.Fatal(err)
			}
			if two, err = assign.Restore(assign.Settings{}, state); err != nil {
				t.Fatal(err)
			}
		}
		if i%7 != 3 {
			continue
		}
		later := now.Add(time.Second) // in the same slot
		pop := rnd.IntN(len(p.POPs))
		p.POPs[pop].State = assign.Down - p.POPs[pop].State
		r, err := one.Change(later, []assign.POPChange{{POP: pop, State: p.POPs[pop].State}})
		if err != nil || r.Frozen != "" {
			t.Fatal(err, r.Frozen)
		}
		compare(t, i, r, step(t, two, later, shuffleInput(in, 1)))
	}
}

func step(t *testing.T, c *assign.Controller, now time.Time, in assign.Input) assign.Result {
	t.Helper()
	r, err := c.Step(now, in)
	if err != nil || r.Frozen != "" {
		t.Fatal(err, r.Frozen)
	}
	return r
}

func shuffleInput(in assign.Input, seed uint64) assign.Input {
	q := assign.Input{Problem: *shuffle(&in.Problem, seed), Load: make([]float64, len(in.Load))}
	for i, to := range rand.New(rand.NewPCG(seed, 3)).Perm(len(in.POPs)) { // as shuffle does
		q.Load[to] = in.Load[i]
	}
	return q
}

func compare(t *testing.T, i int, one, two assign.Result) {
	t.Helper()
	if one.Map.Digest() == two.Map.Digest() {
		return
	}
	for g := range one.Map.Len() {
		if a, b := fmt.Sprint(one.Map.Shares(g)), fmt.Sprint(two.Map.Shares(g)); a != b {
			t.Fatalf("step %d: the maps differ, first at %s: %s and %s", i, one.Map.ID(g), a, b)
		}
	}
	t.Fatalf("step %d: the maps differ in their names", i)
}

// FuzzRestore checks that nothing makes Restore fail otherwise than by an error, and that what it has made is fit for use and writes what it was made of.
func FuzzRestore(f *testing.F) {
	var t testing.T
	c := assign.NewController(assign.Settings{})
	now := time.Unix(1_800_000_000, 0)
	if _, err := c.AppendBinary(nil); err == nil {
		f.Fatal("there was a state before the first step")
	}
	for _, s := range []string{"A=10 B=10 | x=15: A 1, B 2 | y=1!: B 3", "A=10down B=10draining | x=15: A 1, B 2 | y=1!: B 3"} {
		now = now.Add(5 * time.Second)
		if _, err := c.Step(now, assign.Input{Problem: *problem(&t, s), Load: []float64{0.5, math.NaN()}}); err != nil {
			f.Fatal(err)
		}
		b, err := c.AppendBinary(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)-1])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := assign.Restore(assign.Settings{}, b)
		if err != nil {
			return
		}
		if again, err := c.AppendBinary(nil); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("read %q, wrote %q (%v)", b, again, err)
		}
		if _, err := c.Change(now, []assign.POPChange{{POP: 0, State: assign.Down}}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Step(now.Add(time.Hour), assign.Input{Problem: *problem(t, "A=10 B=10 | x=1: A 1, B 2")}); err != nil {
			t.Fatal(err)
		}
	})
}
