package paths

import (
	"time"

	"nearcast/routequality/estimate"
)

// pending are round trips of one slot over a way of a place or a carrier, which many networks share. An estimate gives each sample a say by
// the time since the one before, so of those that come in one report the first would have all of it, always the same network's. They
// are added at the end of the slot instead, spread over it.
type pending struct {
	of   *ways
	in   *group // nil: a carrier's
	pop  uint16
	seen uint32
	rtts [mostPending]float32 // of those that were seen, chosen by chance
}

const mostPending = 8

// wait keeps the round trips of a sample until the slot ends.
func (b *Book) wait(of *ways, in *group, w *way, rtts []float32) {
	if len(rtts) == 0 {
		return
	}
	if w.pending == 0 {
		b.pending = append(b.pending, pending{of: of, in: in, pop: w.pop})
		w.pending = uint32(len(b.pending)) //nolint:gosec // fewer than there are ways
	}
	p := &b.pending[w.pending-1]
	for _, ms := range rtts {
		if p.seen < mostPending {
			p.rtts[p.seen] = ms
		} else if i := b.dice(p.seen + 1); i < mostPending {
			p.rtts[i] = ms
		}
		p.seen++
	}
}

// dice returns a number below n, of a fixed sequence: equal reports give equal estimates.
func (b *Book) dice(n uint32) uint32 {
	b.seed = b.seed*6364136223846793005 + 1442695040888963407
	return uint32((b.seed >> 33) * uint64(n) >> 31) //nolint:gosec // below n
}

// flush adds what has waited.
func (b *Book) flush(now time.Time) {
	from := b.began
	if from.IsZero() || now.Sub(from) > time.Minute {
		from = now.Add(-time.Minute)
	}
	for i := range b.pending {
		p := &b.pending[i]
		w := p.of.find(p.pop)
		if w == nil || w.pending != uint32(i+1) { //nolint:gosec // as above
			continue // it had to make room
		}
		w.pending = 0
		first := p.in != nil && w.path.Estimate(now).N == 0
		n := min(p.seen, mostPending)
		for k, ms := range p.rtts[:n] {
			at := from.Add(now.Sub(from) * time.Duration(k+1) / time.Duration(n))
			w.path.Add(at, estimate.Sample{RTT: duration(float64(ms)), At: at, Source: estimate.Passive}, nil) //nolint:errcheck // it was believed before
		}
		if first {
			p.in.listed = time.Time{} // it may be worth a place on the list
		}
	}
	b.pending = b.pending[:0]
}
