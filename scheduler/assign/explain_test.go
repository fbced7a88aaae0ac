package assign_test

import (
	"fmt"
	"strings"
	"testing"

	"nearcast/scheduler/assign"
)

func TestExplain(t *testing.T) {
	d := newDesk(t, assign.Settings{})
	if _, ok := d.c.Explain("x"); ok {
		t.Error("something was explained before the first step")
	}
	d.solve("A=10 B=10down C=10 D=20 E=10 | x=10: A 1, B 2, C 3, D 4, E 5 | y=9!: A 1 | z=9: E 2 | v=1: D 1, C 2")
	for id, want := range map[string]string{
		"v": "D 1 ms: first choice 100; C 2 ms: stand-by",
		"x": "A 1 ms: full; B 2 ms: down; C 3 ms: others are full 85; D 4 ms: others are full 15; E 5 ms: costs more",
		"y": "A 1 ms: first choice 100",
		"z": "E 2 ms: first choice 94; D 102 ms: others are full 6; C 202 ms: stand-by",
	} {
		list, ok := d.c.Explain(id)
		if !ok {
			t.Fatalf("nothing on %s", id)
		}
		var got []string
		for _, c := range list {
			line := fmt.Sprintf("%s %v ms: %s", c.POP, c.Cost, c.Reason)
			if c.Weight > 0 {
				line += fmt.Sprintf(" %.0f", 100*float64(c.Weight)/assign.Whole)
			}
			got = append(got, line)
		}
		if text := strings.Join(got, "; "); text != want {
			t.Errorf("%s:\n got %s\nwant %s", id, text, want)
		}
	}
	if _, ok := d.c.Explain("nobody"); ok {
		t.Error("a group that is not there was explained")
	}
}
