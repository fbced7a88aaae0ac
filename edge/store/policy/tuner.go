package policy

import (
	"fmt"
	"math"
	"sync/atomic"
)

// tuner finds the setting under which S3-FIFO does best on the requests of late. It runs them through a shadow for each setting that it
// knows.
//
// Of a large cache it looks at some hashes only, and its shadows are smaller by as much: what matters is who asks for what how soon again,
// and that a sample by hash keeps (Waldspurger et al., "Cache modeling and optimization using miniature simulations", ATC 2017).
type tuner struct {
	budget int64
	mask   uint64 // of the mixed hashes, those are sampled that have zeros here
	trials []trial
	rivals []trial
	best   int
	wait   int // requests until the next decision
	seen   noted
}

type trial struct {
	setting         setting
	shadow          *Shadow
	objects, octets float64 // hits, the old ones for less
	vo, vb          float64
}

// maxSampled is the number of entries of a shadow beyond which the sample is halved.
const maxSampled = 4096

var Knobs = struct {
	HalfLife, Hyst, Min float64
	Period              int
	OW, Over, Lin, Z    float64
	RefAll              bool
	Clamp               int64
	Large               int64
}{16, 0.002, 2000, 4, 1, 1, 0.2, 0.5, false, 8, 100}

// settings are all that are tried; the first is the best known for most.
func settings() []setting {
	return []setting{
		{share: 100, rounds: 3, uses: 1}, {share: 300, rounds: 3, uses: 1}, {share: 10, rounds: 3, uses: 1}, {share: 600, rounds: 3, uses: 1}, {share: 900, rounds: 3, uses: 1}, {share: 100, rounds: 3, uses: 2},
		{share: 100, rounds: 1, uses: 1}, {share: 10, rounds: 1, uses: 1}, {share: 300, rounds: 1, uses: 1}, {share: 600, rounds: 1, uses: 1}, {share: 900, rounds: 1, uses: 1}, {share: 0, rounds: 1, uses: 1}, {share: 0, rounds: 3, uses: 1},
	}
}

func Trials(budget int64) (names []string, cs []Cache) {
	for _, set := range settings() {
		names = append(names, fmt.Sprintf("%d/%d/%d", set.share, set.rounds, set.uses))
		cs = append(cs, newTrial(budget, set))
	}
	return
}

func newTuner(budget int64) *tuner {
	t := &tuner{budget: budget, wait: 1}
	for _, set := range settings() {
		t.trials = append(t.trials, trial{setting: set, shadow: newTrial(budget, set)})
	}
	for _, s := range []*Shadow{NewLRU(budget), NewSIEVE(budget), NewWTinyLFU(budget, 10, false)} {
		t.rivals = append(t.rivals, trial{shadow: s})
	}
	return t
}

func (t *tuner) setting() setting { return t.trials[t.best].setting }

func (t *tuner) samples(hash uint64) bool { return mix(hash)&t.mask == 0 }

func (t *tuner) access(hash uint64, size int64) {
	first := false
	weight := float64(min(size, t.budget/Knobs.Clamp))
	for _, list := range [][]trial{t.trials, t.rivals} {
		for i := range list {
			tr := &list[i]
			hit := tr.shadow.Access(hash, size)
			if hit {
				tr.objects++
				tr.octets += weight
			}
			if tr == &t.trials[0] {
				first = hit
			} else if hit != first {
				tr.vo++
				tr.vb += weight * weight
			}
		}
	}
	if t.wait--; t.wait <= 0 {
		t.decide()
	}
}

func (t *tuner) decide() {
	entries := t.trials[t.best].shadow.slab.count
	t.wait = max(entries/Knobs.Period, 32)
	half := max(Knobs.HalfLife*float64(entries), Knobs.Min)
	keep := 1 - 0.693*float64(t.wait)/half
	objects, octets := 1.0, 1.0
	for _, list := range [][]trial{t.trials, t.rivals} {
		for i := range list {
			tr := &list[i]
			tr.objects *= keep
			tr.octets *= keep
			tr.vo *= keep
			tr.vb *= keep
			if tr.setting.share == 0 || tr.setting.share == 100 && tr.setting.rounds == 3 || Knobs.RefAll {
				objects, octets = max(objects, tr.objects), max(octets, tr.octets)
			}
		}
	}
	f := func(r float64) float64 {
		if r > Knobs.Over {
			return Knobs.Over + Knobs.Lin*(r-Knobs.Over)
		}
		return r
	}
	score := func(i int) float64 {
		return f(t.trials[i].objects/objects) + Knobs.OW*f(t.trials[i].octets/octets)
	}
	best, gain := t.best, 0.0
	cur := &t.trials[t.best]
	for i := range t.trials {
		tr := &t.trials[i]
		g := score(i) - score(t.best)
		g -= Knobs.Z * math.Sqrt((tr.vo+cur.vo)/objects/objects+(tr.vb+cur.vb)/octets/octets*Knobs.OW*Knobs.OW)
		if g > gain {
			best, gain = i, g
		}
	}
	if gain > Knobs.Hyst {
		if Trace != nil {
			a, b := t.trials[t.best], t.trials[best]
			Trace("e %d n %d: %v -> %v: obj %.0f -> %.0f of %.0f, oct %.4g -> %.4g of %.4g\n", entries, t.trials[0].shadow.stats.Requests, a.setting, b.setting, a.objects, b.objects, objects, a.octets, b.octets, octets)
		}
		t.best = best
	}
}

// noted are nodes that were hit, in a place without a lock. What finds no room is lost, which makes the sample smaller.
type noted struct {
	count atomic.Uint32
	nodes [1024]atomic.Uint32
}

func (s *noted) add(n uint32) {
	if i := s.count.Add(1) - 1; i < uint32(len(s.nodes)) {
		s.nodes[i].Store(n)
	}
}

func (s *noted) drain(take func(n uint32)) {
	if s.count.Load() == 0 {
		return
	}
	for i := range min(s.count.Swap(0), uint32(len(s.nodes))) {
		if n := s.nodes[i].Swap(none); n != none {
			take(n)
		}
	}
}

var Trace func(s string, a ...any)
