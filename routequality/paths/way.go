package paths

import (
	"math"
	"time"

	"nearcast/cdn"
	"nearcast/routequality/estimate"
)

// way is from some visitors to a POP: how good it is, and what they ask for over it.
type way struct {
	path estimate.Path
	flow flow
	pop  uint16
	// pending is where the round trips of this slot are, plus one.
	pending uint32
}

// maxWays bounds the POPs that one network, place or carrier is known from; the one that was silent longest makes room.
const maxWays = 64

// ways are those of some visitors.
type ways []way

// find returns the way to a POP, or nil.
func (w ways) find(pop uint16) *way {
	for i := range w {
		if w[i].pop == pop {
			return &w[i]
		}
	}
	return nil
}

// at returns the way to a POP, made if it is new.
func (w *ways) at(now time.Time, pop uint16) (found *way, made bool) {
	if found := w.find(pop); found != nil {
		return found, false
	}
	if len(*w) < maxWays {
		*w = append(*w, way{pop: pop})
		return &(*w)[len(*w)-1], true
	}
	oldest, age := 0, time.Duration(-1)
	for i := range *w {
		if e := (*w)[i].path.Estimate(now); e.N == 0 || e.Age > age {
			oldest, age = i, e.Age
			if e.N == 0 {
				break
			}
		}
	}
	(*w)[oldest] = way{pop: pop}
	return &(*w)[oldest], true
}

// drop takes the ways to POPs away that are gone.
func (w *ways) drop(gone func(pop uint16) bool) {
	kept := (*w)[:0]
	for _, x := range *w {
		if !gone(x.pop) {
			kept = append(kept, x)
		}
	}
	*w = kept
}

// flow is what is asked for, and sent.
type flow struct {
	octets, requests float32 // that were told and are not in rate yet
	rate             Demand  // each second
	slots            uint8   // that are in it, 255: that many or more
	left             uint8   // slots over which octets and requests are spread
}

// maxSpread bounds the slots over which a report is spread.
const maxSpread = 12

const (
	// late is how old what was asked for may be: an aggregator that nobody heard for a while tells all of it at once then.
	late = 12 * time.Second
	// over is the interval of what is older: it is no demand any more.
	over = time.Duration(-1)
)

// add takes what was asked for during an interval. It is spread over as many slots, or the demand of whoever reports each ten seconds would
// go up and down.
func (f *flow) add(octets, requests float32, interval time.Duration) {
	if interval == over {
		return
	}
	if interval > maxSpread*cdn.SlotTime { // only so much of it is told of as if it were now
		part := float32(maxSpread*cdn.SlotTime) / float32(interval)
		octets, requests = octets*part, requests*part
	}
	f.octets += octets
	f.requests += requests
	slots := (interval + cdn.SlotTime - 1) / cdn.SlotTime
	f.left = max(f.left, uint8(min(max(slots, 1), maxSpread))) //nolint:gosec // bounded
}

// Demand is what visitors ask for in a second.
type Demand struct {
	Octets, Requests float32
}

const (
	perSlot      = 0.2  // what a slot counts in the average
	leastOctets  = 1    // a second: below this and the next
	leastRequest = 1e-3 // a demand is none
)

// gainOf returns what so many seconds count in the average.
func gainOf(seconds float64) float64 { return 1 - math.Pow(1-perSlot, seconds/cdn.SlotTime.Seconds()) }

// plain is for how many slots a flow is averaged plainly.
const plain = 1 / perSlot

// slots returns for how long anything has been asked for over any of the ways.
func (w ways) slots() (most uint8) {
	for i := range w {
		most = max(most, w[i].flow.slots)
	}
	return most
}

// fold takes the end of a slot of so many seconds, which count as much as gain says, into the average. The first slots are averaged plainly,
// unless over other ways the same visitors have been asking for longer, namely so many slots: they come to one POP as they leave another, and what is
// believed of the one must not rise faster than what is believed of the other falls, or they count twice meanwhile.
func (f *flow) fold(seconds, gain float64, others uint8) {
	if f.octets == 0 && f.requests == 0 && f.slots == 0 {
		return
	}
	if f.slots == 0 && others >= plain {
		f.slots = others
	}
	if f.slots < math.MaxUint8 {
		f.slots++
	}
	g, part := float32(max(gain, 1/float64(f.slots))), float32(1)
	if f.left > 1 {
		part = 1 / float32(f.left)
		f.left--
	}
	octets, requests := f.octets*part, f.requests*part
	f.rate.Octets += g * (octets/float32(seconds) - f.rate.Octets)
	f.rate.Requests += g * (requests/float32(seconds) - f.rate.Requests)
	f.octets, f.requests = f.octets-octets, f.requests-requests
	if f.rate.Octets < leastOctets && f.rate.Requests < leastRequest && f.octets == 0 {
		f.rate, f.slots = Demand{}, 0
	}
}

func (d *Demand) add(e Demand) {
	d.Octets += e.Octets
	d.Requests += e.Requests
}

func (d Demand) less(e Demand) Demand {
	return Demand{max(0, d.Octets-e.Octets), max(0, d.Requests-e.Requests)}
}
