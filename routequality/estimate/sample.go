package estimate

import (
	"fmt"
	"time"
)

// Source says how a round trip was measured, and so how fast newer ones replace it.
type Source uint8

// Sources of samples.
const (
	Active  Source = iota // a probe: rare and regular, an estimate of 10 minutes
	Passive               // a visitor's connection: plenty, an estimate of one minute
)

// timeConstant is the time after which a sample has lost all but 1/e of its say.
func (s Source) timeConstant() time.Duration {
	if s == Passive {
		return time.Minute
	}
	return 10 * time.Minute
}

// Limits of what is believed.
const (
	MaxRTT   = 30 * time.Second // no round trip takes longer: whoever waited would have given up
	MaxAhead = 2 * time.Second  // how far the measurer's clock may be ahead of ours
	MaxAge   = 10 * time.Minute // older samples say nothing of now
)

// Sample is one measured round trip.
type Sample struct {
	RTT    time.Duration // 0 to [MaxRTT]
	At     time.Time     // when, by the clock of whoever measured
	Source Source
}

// RefusedError is the reason for which a sample is not believed.
type RefusedError uint8

// Refusals.
const (
	ErrNegative   RefusedError = iota + 1 // a round trip below zero
	ErrTooLong                            // above [MaxRTT]
	ErrFuture                             // more than [MaxAhead] ahead of our clock
	ErrStale                              // more than [MaxAge] behind our clock
	ErrImpossible                         // counts that contradict each other, or a number that is none
	refusals
)

// Error tells what is wrong with the sample, and what to look at.
func (r RefusedError) Error() string {
	switch r {
	case ErrNegative:
		return "the round trip is negative: the measurer's clock was set while it measured"
	case ErrTooLong:
		return fmt.Sprintf("the round trip is above %v: that is a failure, not a round trip", MaxRTT)
	case ErrFuture:
		return fmt.Sprintf("the sample is more than %v from the future: set the measurer's clock", MaxAhead)
	case ErrStale:
		return fmt.Sprintf("the sample is older than %v: it was held up, or the measurer's clock is late", MaxAge)
	case ErrImpossible, refusals:
	}
	return "the numbers contradict each other"
}

// Refused counts the samples that were not believed, by reason.
type Refused [refusals]uint64

// Of returns how many were refused for a reason.
func (r *Refused) Of(reason RefusedError) uint64 { return r[reason] }

// Total returns how many were refused.
func (r *Refused) Total() (n uint64) {
	for _, c := range r {
		n += c
	}
	return n
}

// refuse counts a refusal and returns it.
func (r *Refused) refuse(reason RefusedError) error {
	if r != nil {
		r[reason]++
	}
	return reason
}

// check returns why the sample is not believed, or 0.
func (s Sample) check(now time.Time) RefusedError {
	switch {
	case s.RTT < 0:
		return ErrNegative
	case s.RTT > MaxRTT:
		return ErrTooLong
	case s.At.Sub(now) > MaxAhead:
		return ErrFuture
	case now.Sub(s.At) > MaxAge:
		return ErrStale
	}
	return 0
}
