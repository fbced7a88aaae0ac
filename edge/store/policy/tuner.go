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
	rounds int // decisions so far
	moves  int64
	seen   noted
}

// trial is a shadow and how it did of late.
type trial struct {
	name    string
	setting setting
	shadow  *Shadow
	now     hits         // since the last decision
	past    [rounds]hits // before each of the last decisions, in no order
}

// hits are so many, and their octets.
type hits struct{ objects, octets float64 }

const (
	// maxWatched is how many entries a shadow has before the sample is halved. It bounds the tuner's memory and, since a large
	// cache has few of its hits watched, its time.
	maxWatched = 8192
	// decisions is how often there is one in the time in which the cache sees as many requests as it has entries, minWait the least number of
	// requests between two. So often, too, is the evidence taken: hits that come together, as when a scan comes back to what it
	// left, are one piece of it and not many.
	decisions, minWait = 4, 100
	// rounds is how many decisions a hit has a say in.
	rounds = 32
	// minGain is what another setting must have more of, objects and octets together, as a share of what the best rival has: a change
	// costs something.
	minGain = 0.005
	// certainty is how many standard deviations of chance a gain must exceed. It takes three times that were equally good, at least,
	// to be more than chance.
	certainty = 1.5
	// surplus is the worth of hits beyond those of the best rival: they must not be bought with what is lacking in the other measure.
	surplus = 0.1
)

// settings are all that are tried. The first is where it begins: with more ghosts than S3-FIFO as published, which costs
// little where favourites last, and finds far more where much comes round again after long.
func settings() []setting {
	return []setting{
		{share: 100, rounds: 3, uses: 1, ghosts: 2},
		{share: 300, rounds: 3, uses: 1},
		{share: 600, rounds: 3, uses: 1},
		{share: 900, rounds: 3, uses: 1},
		{share: 10, rounds: 3, uses: 1},
		{share: 100, rounds: 3, uses: 2},
		{share: 10, rounds: 1, uses: 1},
		{share: 100, rounds: 1, uses: 1},
		{share: 600, rounds: 1, uses: 1},
		{share: 0, rounds: 1, uses: 1},
		{share: 100, rounds: 3, uses: 1},
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
	for i := range t.trials {
		if hit := t.trials[i].access(hash, size, t.budget); i == t.best {
			known = hit
		}
	}
	for i := range t.rivals {
		t.rivals[i].access(hash, size, t.budget)
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
func (tr *trial) access(hash uint64, size, budget int64) bool {
	hit := tr.shadow.Access(hash, size)
	if hit {
		tr.now.objects++
		tr.now.octets += float64(min(size, budget/2))
	}
	return hit
}

// late is all of its hits of late.
func (tr *trial) late() (sum hits) {
	for _, h := range tr.past {
		sum.objects += h.objects
		sum.octets += h.octets
	}
	return sum
}

// apart is by how much two trials were apart: the squares of the differences, which are the variance of their sum if it were chance who is
// better each time.
func (tr *trial) apart(other *trial) (sum hits) {
	for i, h := range tr.past {
		objects, octets := h.objects-other.past[i].objects, h.octets-other.past[i].octets
		sum.objects += objects * objects
		sum.octets += octets * octets
	}
	return sum
}

// keep books what was counted since the last decision under the number of this one.
func (tr *trial) keep(round int) { tr.past[round%rounds], tr.now = tr.now, hits{} }

// halve makes what was counted half as much: half of the requests will be seen from now on.
func (tr *trial) halve() {
	tr.now.halve()
	for i := range tr.past {
		tr.past[i].halve()
	}
}

func (h *hits) halve() {
	h.objects /= 2
	h.octets /= 2
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
			list[i].halve()
		}
	}
}

// decide goes over to the setting that was best of late, if it is surely better than that of now.
func (t *tuner) decide() {
	t.wait = max(t.trials[t.best].shadow.slab.count/decisions, minWait)
	for _, list := range [...][]trial{t.trials, t.rivals} {
		for i := range list {
			list[i].keep(t.rounds)
		}
	}
	t.rounds++
	ref := t.reference()
	worthOf := func(h hits) float64 { return worth(h.objects/ref.objects) + worth(h.octets/ref.octets) }
	now := &t.trials[t.best]
	best, most := t.best, minGain
	for i := range t.trials {
		tr := &t.trials[i]
		apart := tr.apart(now)
		doubt := math.Sqrt(apart.objects/(ref.objects*ref.objects) + apart.octets/(ref.octets*ref.octets))
		if gain := worthOf(tr.late()) - worthOf(now.late()) - certainty*doubt; gain > most {
			best, most = i, gain
		}
	}
	if best != t.best {
		t.best = best
		t.moves++
	}
}

// reference is how many hits the best of plain S3-FIFO and the rivals has, of late.
func (t *tuner) reference() hits {
	ref := hits{1, 1}
	for _, list := range [...][]trial{t.trials, t.rivals} {
		for i := range list {
			if tr := &list[i]; tr.setting.plain() || tr.name != "" {
				h := tr.late()
				ref = hits{max(ref.objects, h.objects), max(ref.octets, h.octets)}
			}
		}
	}
	return ref
}

// worth is of so many times the hits of the best rival.
func worth(ratio float64) float64 { return min(ratio, 1) + surplus*max(ratio-1, 0) }

func (t *tuner) report() Report {
	set := t.setting()
	r := Report{
		Small: float64(set.share) / 1000, Rounds: int(set.rounds), Uses: int(set.uses), Ghosts: max(set.ghosts, 1),
		Moves: t.moves, Sample: int64(t.mask) + 1, Lost: t.seen.lost.Load(),
	}
	for i := range t.trials {
		if t.trials[i].setting.plain() {
			r.Rivals = append(r.Rivals, Rival{Name: "S3-FIFO", Stats: t.trials[i].shadow.Stats()})
			break
		}
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
