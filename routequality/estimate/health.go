package estimate

import (
	"math"
	"time"
)

// Flap damping after RFC 2439, and a slow start.
const (
	missesToDown = 3 // probes in a row
	hitsToUp     = 5 // probes in a row

	flapPenalty  = 1000
	suppressOver = 2500
	reuseUnder   = 800
	penaltyHalf  = 5 * time.Minute
	maxHold      = 20 * time.Minute

	rampFrom = 0.1
	rampTime = time.Minute
)

// State is what visitors may get of a POP or a node.
type State uint8

// States.
const (
	Up         State = iota // all of it
	Ramping                 // it came back: its caches are cold, so a share that grows
	Down                    // nothing: it does not answer
	Suppressed              // nothing: it answers, but has come and gone too often
)

// String returns the state's name, in lower case.
func (s State) String() string {
	switch s {
	case Up:
		return "up"
	case Ramping:
		return "ramping"
	case Down:
		return "down"
	case Suppressed:
		return "suppressed"
	}
	return "unknown"
}

// Health follows one POP or node by its probes. The zero value is up, so that a prober that starts does not take the world down.
type Health struct {
	misses, hits int
	down         bool
	suppressed   bool
	penalty      float64
	penaltyAt    time.Time // when penalty was what it is
	upAt         time.Time // when the ramp began; zero: it never was down
}

// Observe takes the outcome of a probe. Three misses in a row take it down; five answers in a row bring it back, over a ramp of a minute
// from a tenth, unless it has come and gone too often: each fall costs 1000, which halves in 5 minutes. Above 2500 it is suppressed until it
// has come below 800, which takes 20 minutes at most.
func (h *Health) Observe(now time.Time, answered bool) {
	h.release(now)
	if !answered {
		h.hits = 0
		h.misses++
		if h.misses >= missesToDown {
			h.fall(now)
		}
		return
	}
	h.misses = 0
	if !h.down {
		return
	}
	h.hits++
	if h.hits >= hitsToUp {
		h.down, h.hits = false, 0
		h.upAt = now
	}
}

// Fall takes it down at once: it said so itself, or others have agreed on it.
func (h *Health) Fall(now time.Time) {
	h.release(now)
	h.hits, h.misses = 0, 0
	h.fall(now)
}

func (h *Health) fall(now time.Time) {
	if h.down {
		return
	}
	h.down = true
	ceiling := reuseUnder * math.Exp2(float64(maxHold)/float64(penaltyHalf))
	h.penalty = min(h.Penalty(now)+flapPenalty, ceiling)
	h.penaltyAt = now
	if h.penalty > suppressOver {
		h.suppressed = true
	}
}

// release ends a suppression whose time is over. The ramp begins then if it is up.
func (h *Health) release(now time.Time) {
	if !h.suppressed || h.Penalty(now) >= reuseUnder {
		return
	}
	h.suppressed = false
	if free := h.reusable(); h.upAt.Before(free) {
		h.upAt = free
	}
}

// reusable returns when the penalty reaches the bound below which a suppression ends.
func (h *Health) reusable() time.Time {
	halves := math.Log2(h.penalty / reuseUnder)
	return h.penaltyAt.Add(time.Duration(halves * float64(penaltyHalf)))
}

// Penalty returns what its falls have cost so far, 0 to 12,800.
func (h *Health) Penalty(now time.Time) float64 {
	return h.penalty * decay(max(0, now.Sub(h.penaltyAt)), penaltyHalf)
}

// State returns the state, and the share of its capacity that visitors may get, 0 to 1.
func (h *Health) State(now time.Time) (State, float64) {
	h.release(now)
	switch {
	case h.down:
		return Down, 0
	case h.suppressed:
		return Suppressed, 0
	case h.upAt.IsZero():
		return Up, 1
	}
	done := float64(now.Sub(h.upAt)) / float64(rampTime)
	if done >= 1 {
		return Up, 1
	}
	return Ramping, rampFrom + (1-rampFrom)*max(0, done)
}
