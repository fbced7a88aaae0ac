// Package shed is what a node stops doing when it has more to do than it can: a ladder of steps by its utilisation (the share
// of its scarcest resource, see [cdn.NodeLoad.Utilisation]), each of which gives up something that matters more than what the
// one below did.
//
//	above 0.88  Background  nothing is done that can wait
//	above 0.90  Admission   nothing new is taken to disk
//	above 0.92  Spill       large contents are sent by another node of the POP
//	above 0.95  Divert      or by another POP, with a probability that grows to one at 1.00
//	above 1.00  Refuse      requests of low priority are refused
//
// The ladder begins above 0.85 because that is what the map plans POPs to: a POP that is as full as it is meant to be, for hours, must renew what
// it has and keep what it fetches, or its hit ratio falls and what it has left undone comes back as fetches that visitors wait for. The map
// corrects its plan from 0.92 on, where visitors begin to notice.
//
// It is local and immediate: the map takes the cause away some seconds later. Nobody is sent on twice.
//
// It is not for measuring the utilisation, which is package load's, nor for answering requests.
package shed

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Step is a step of the ladder. In force are also all below it.
type Step int32

// The steps.
const (
	None       Step = iota
	Background      // no revalidation in the background, and no verification of the disks
	Admission       // no new objects to disk
	Spill           // large contents to the least loaded other node of the POP
	Divert          // large contents to the POP that the map has second
	Refuse          // 503 for requests of low priority
)

// Steps are all but None.
func Steps() []Step { return []Step{Background, Admission, Spill, Divert, Refuse} }

// String names the step, for metrics.
func (s Step) String() string {
	switch s {
	case None:
		return "none"
	case Background:
		return "background"
	case Admission:
		return "admission"
	case Spill:
		return "spill"
	case Divert:
		return "divert"
	case Refuse:
		return "refuse"
	}
	return strconv.Itoa(int(s))
}

// above is the utilisation above which each step is taken. That of Refuse is 1 to two decimals: a processor that is used up measures a
// little less.
var above = [...]float64{Background: 0.88, Admission: 0.90, Spill: 0.92, Divert: 0.95, Refuse: 0.995} //nolint:gochecknoglobals // constants

// A step is left when the utilisation has been this much below where it is taken, for so long. What was shed would come
// back otherwise as soon as it helps to shed it.
const (
	band = 0.03
	hold = 3 * time.Second
)

// Ladder is where a node stands. Its zero value stands at [None]. [Ladder.Step] and [Ladder.Utilisation] are for any goroutine and cost an atomic
// load; so do the chances.
type Ladder struct {
	step        atomic.Int32
	utilisation atomic.Uint64 // in millionths

	mu    sync.Mutex            // guards what follows
	since [len(above)]time.Time // since when the utilisation is below what keeps each step, zero if it is not
}

// Step returns the highest step in force.
func (l *Ladder) Step() Step { return Step(l.step.Load()) }

// Utilisation returns what Climb was told last.
func (l *Ladder) Utilisation() float64 { return float64(l.utilisation.Load()) / 1e6 }

// Climb goes up as far as the utilisation demands, at once, or down as far as it has allowed for three seconds. It returns the highest step
// that is in force then.
func (l *Ladder) Climb(now time.Time, utilisation float64) Step {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !(utilisation >= 0) { // NaN too
		utilisation = 0
	}
	l.utilisation.Store(uint64(min(utilisation, 1000) * 1e6))
	before, step := Step(l.step.Load()), None
	for _, s := range Steps() {
		switch {
		case utilisation > above[s]:
			l.since[s] = time.Time{}
			step = s
		case before < s:
		case utilisation > above[s]-band:
			l.since[s] = time.Time{}
			step = s
		case l.since[s].IsZero():
			l.since[s] = now
			step = s
		case now.Sub(l.since[s]).Abs() < hold: // a clock that was set back does not hold it for hours
			step = s
		}
	}
	l.step.Store(int32(step))
	return step
}

// SpillChance is the part of large contents that goes to another node of the POP: half at first and all where Divert begins, so that a
// node that is only just too busy does not give away everything at once.
func (l *Ladder) SpillChance() float64 {
	if l.Step() < Spill {
		return 0
	}
	return ramp(l.Utilisation(), above[Spill]-band, above[Divert])
}

// DivertChance is the part of large contents that goes to another POP.
func (l *Ladder) DivertChance() float64 {
	if l.Step() < Divert {
		return 0
	}
	return ramp(l.Utilisation(), above[Divert], 1)
}

// ramp grows from zero at from to one at to.
func ramp(u, from, to float64) float64 { return min(max((u-from)/(to-from), 0), 1) }
