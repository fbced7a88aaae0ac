package policy

import (
	"math"
	"sync/atomic"
)

// tuner finds the setting under which S3-FIFO does best on the requests of late: it has a shadow for each setting that it knows, and
// some for rivals that say how good good is.
//
// Of a large cache it looks at some hashes only, and its shadows are smaller by as much: what matters is who is asked for how soon
// again, and a sample by hash keeps that (Waldspurger et al., "Cache modeling and optimization using miniature simulations", ATC 2017).
type tuner struct {
	budget int64 // of each shadow
	mask   uint64
	trials []trial
	rivals []trial
	best   int // of trials
	wait   int // requests until the next decision
	moves  int64
	seen   noted
}

// trial is a shadow and how it did of late.
type trial struct {
	name            string
	setting         setting
	shadow          *Shadow
	objects, octets float64 // hits, old ones for less
	// doubt of each: hits that the first of the trials has and this one has not or the other way round, octets squared
	objectDoubt, octetDoubt float64
}

const (
	// maxWatched is how many entries a shadow has before the sample is halved. It bounds the tuner's memory and, since a large
	// cache has few of its hits watched, its time.
	maxWatched = 8192
	// memory is after how many requests for each entry of a shadow a hit counts half, minMemory the least number of requests.
	memory, minMemory = 32, 8000
	// decisions is how often there is one in the time in which the cache sees as many requests as it has entries.
	decisions, minWait = 4, 32
	// minGain is what another setting must have more of, objects and octets together, as a share of what the best rival has. Below it
	// a change costs more than it brings.
	minGain = 0.06
	// certainty is how many standard deviations of chance a gain must exceed.
	certainty = 0.5
	// surplus is the worth of hits beyond those of the best rival: they must not be bought with what is lacking in the other measure.
	surplus = 0.1
)

// settings are all that are tried. The first is where it begins.
func settings() []setting {
	return []setting{
		{share: 100, rounds: 3, uses: 1},
		{share: 300, rounds: 3, uses: 1},
		{share: 600, rounds: 3, uses: 1},
		{share: 900, rounds: 3, uses: 1},
		{share: 10, rounds: 3, uses: 1},
		{share: 100, rounds: 3, uses: 2},
		{share: 10, rounds: 1, uses: 1},
		{share: 100, rounds: 1, uses: 1},
		{share: 600, rounds: 1, uses: 1},
		{share: 0, rounds: 1, uses: 1},
		{share: 100, rounds: 3, uses: 1, ghosts: 2},
		{share: 100, rounds: 3, uses: 1, ghosts: 4},
		{share: 10, rounds: 3, uses: 1, ghosts: 2},
	}
}

func newTuner(budget int64) *tuner {
	t := &tuner{budget: budget, wait: minWait}
	for _, set := range settings() {
		t.trials = append(t.trials, trial{setting: set, shadow: newShadow(budget, newS3FIFO(set))})
	}
	t.rivals = []trial{
		{name: "LRU", shadow: NewLRU(budget)},
		{name: "SIEVE", shadow: NewSIEVE(budget)},
		{name: "W-TinyLFU", shadow: NewWTinyLFU(budget, 10, false)},
	}
	return t
}

func (t *tuner) setting() setting { return t.trials[t.best].setting }

func (t *tuner) samples(hash uint64) bool { return mix(hash)&t.mask == 0 }

// access shows a request for a sampled hash to all shadows. It reports whether that with the setting of now has what is asked for.
func (t *tuner) access(hash uint64, size int64) (known bool) {
	first := t.trials[0].access(hash, size, t.budget, nil)
	known = first
	for i := range t.trials[1:] {
		if hit := t.trials[1+i].access(hash, size, t.budget, &first); 1+i == t.best {
			known = hit
		}
	}
	for i := range t.rivals {
		t.rivals[i].access(hash, size, t.budget, &first)
	}
	if t.trials[0].shadow.slab.count > maxWatched {
		t.halve()
	}
	if t.wait--; t.wait <= 0 {
		t.decide()
	}
	return known
}

// access reports whether it was a hit. Octets of an object that alone is most of the cache count for less: whether it is there is luck.
func (tr *trial) access(hash uint64, size, budget int64, first *bool) bool {
	hit := tr.shadow.Access(hash, size)
	octets := float64(min(size, budget/2))
	if hit {
		tr.objects++
		tr.octets += octets
	}
	if first != nil && hit != *first {
		tr.objectDoubt++
		tr.octetDoubt += octets * octets
	}
	return hit
}

func (tr *trial) age(keep float64) {
	tr.objects *= keep
	tr.octets *= keep
	tr.objectDoubt *= keep
	tr.octetDoubt *= keep
}

func (t *tuner) remove(hash uint64) {
	for _, list := range [...][]trial{t.trials, t.rivals} {
		for i := range list {
			list[i].shadow.Remove(hash)
		}
	}
}

// halve looks at every second of the hashes from now on.
func (t *tuner) halve() {
	t.mask = t.mask<<1 | 1
	t.budget /= 2
	for _, list := range [...][]trial{t.trials, t.rivals} {
		for i := range list {
			list[i].shadow.halve(t.samples)
			list[i].age(0.5)
		}
	}
}

// decide goes over to the setting that was best of late, if it is surely better than that of now.
func (t *tuner) decide() {
	entries := t.trials[t.best].shadow.slab.count
	t.wait = max(entries/decisions, minWait)
	keep := math.Exp2(-float64(t.wait) / float64(max(entries*memory, minMemory)))
	for _, list := range [...][]trial{t.trials, t.rivals} {
		for i := range list {
			list[i].age(keep)
		}
	}
	objects, octets := t.reference()
	now := &t.trials[t.best]
	best, most := t.best, minGain
	for i := range t.trials {
		tr := &t.trials[i]
		gain := worth(tr.objects/objects) + worth(tr.octets/octets) - worth(now.objects/objects) - worth(now.octets/octets)
		doubt := (tr.objectDoubt+now.objectDoubt)/(objects*objects) + (tr.octetDoubt+now.octetDoubt)/(octets*octets)
		if gain -= certainty * math.Sqrt(doubt); gain > most {
			best, most = i, gain
		}
	}
	if best != t.best {
		t.best = best
		t.moves++
	}
}

// reference is how many hits the best of plain S3-FIFO and the rivals has.
func (t *tuner) reference() (objects, octets float64) {
	objects, octets = 1, 1
	for _, list := range [...][]trial{t.trials, t.rivals} {
		for _, tr := range list {
			if tr.setting.plain() || tr.name != "" {
				objects, octets = max(objects, tr.objects), max(octets, tr.octets)
			}
		}
	}
	return objects, octets
}

// worth is of so many times the hits of the best rival.
func worth(ratio float64) float64 { return min(ratio, 1) + surplus*max(ratio-1, 0) }

func (t *tuner) report() Report {
	set := t.setting()
	r := Report{
		Small: float64(set.share) / 1000, Rounds: int(set.rounds), Uses: int(set.uses), Ghosts: max(set.ghosts, 1),
		Moves: t.moves, Sample: int64(t.mask) + 1, Lost: t.seen.lost.Load(),
		Rivals: []Rival{{Name: "S3-FIFO", Stats: t.trials[0].shadow.Stats()}},
	}
	for _, rival := range t.rivals {
		r.Rivals = append(r.Rivals, Rival{Name: rival.name, Stats: rival.shadow.Stats()})
	}
	return r
}

// noted are nodes that were used, in a place that needs no lock. What finds no room is lost, which makes the sample smaller.
type noted struct {
	lost  atomic.Int64
	count atomic.Uint32
	nodes [1024]atomic.Uint32
}

func (s *noted) add(n uint32) {
	if s.count.Load() >= uint32(len(s.nodes)) {
		s.lost.Add(1)
		return
	}
	if i := s.count.Add(1) - 1; i < uint32(len(s.nodes)) {
		s.nodes[i].Store(n)
	}
}

// drain hands over what was noted, in order. A note that is being written is found the next time, or never.
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
