package decide

import (
	"math/rand/v2"
	"testing"
)

// The short way finds the lowest claim that there is.
func TestBelow(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		want, lowest := -1, 0.0
		got, score := -1, 0.0
		for i := range 1 + r.IntN(60) {
			h, weight := r.Uint64(), 1+1e9*r.Float64()
			if s := claim(h, weight); want < 0 || s < lowest {
				want, lowest = i, s
			}
			if s, ok := below(score, h, weight); got < 0 || ok {
				got, score = i, s
			}
		}
		if got != want || score != lowest {
			t.Fatalf("claim %d with %v, want %d with %v", got, score, want, lowest)
		}
	}
}
