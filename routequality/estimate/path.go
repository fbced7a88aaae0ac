package estimate

import (
	"math"
	"time"
)

const (
	millisecond = float64(time.Millisecond)
	shortest    = 0.01 // ms, of a round trip: less is what a coarse clock makes of it, and has no logarithm

	halfLife     = 10 * time.Minute // of the weight of samples
	lossHalfLife = 2 * time.Minute  // of what was lost or failed: faults come faster than routes change

	changeAfter = 5   // medians in a row on one side, and far off: the route has changed, what was before is over
	farOff      = 0.2 // of the logarithm: about 20 %
)

// Path estimates the way between a group of visitors and a POP. The zero value knows nothing. It takes 72 octets, since there are millions.
type Path struct {
	last   int64      // Unix nanoseconds of the newest sample, by our clock
	recent [3]float32 // the last samples, ln ms
	log    float32    // mean of their medians, ln ms
	dev    float32    // mean distance of the samples from log
	high   float32    // 90th percentile, ln ms
	weight float32    // of the samples at last, each 1 when it came
	count  uint8      // samples since the beginning or the last change; 255: that many or more
	run    int8       // medians in a row that were far above (positive) or below log
	loss   share      // packets lost
	failed share      // requests that failed
}

// Add takes a sample. One that cannot be true is refused with a [RefusedError], counted in refused, which may be nil, and changes nothing.
func (p *Path) Add(now time.Time, s Sample, refused *Refused) error {
	if reason := s.check(now); reason != 0 {
		return refused.refuse(reason)
	}
	x := float32(math.Log(max(float64(s.RTT)/millisecond, shortest)))
	since := p.advance(now)
	p.weight++
	p.recent[0], p.recent[1], p.recent[2] = p.recent[1], p.recent[2], x
	if p.count == 0 {
		p.recent = [3]float32{x, x, x}
		p.log, p.high, p.dev = x, x, 0
		p.count = 1
		return nil
	}
	if p.count < math.MaxUint8 {
		p.count++
	}
	m := p.median()
	if p.changed(m) {
		p.log, p.high, p.count, p.run = m, m+p.dev, 3, 0
		p.weight = min(p.weight, changeAfter)
		return nil
	}
	gain := float32(1 - math.Exp(-since.Seconds()/s.Source.timeConstant().Seconds()))
	if p.count < math.MaxUint8 { // few samples: a plain average of them
		gain = max(gain, 1/float32(p.count))
	}
	p.learn(x, m, gain)
	return nil
}

// learn moves the estimates towards a sample x and a median m.
func (p *Path) learn(x, m, gain float32) {
	p.log += gain * (m - p.log)
	p.dev += gain * (float32(math.Abs(float64(x-p.log))) - p.dev)
	// The percentile takes a step up nine times as long as the step down: it rests where one sample in ten is above it.
	step := gain * 3 * max(p.dev, 0.005)
	if x > p.high {
		p.high += step * 0.9
	} else {
		p.high -= step * 0.1
	}
	p.high = max(p.high, p.log)
}

// changed notes a median and reports whether so many in a row were far off on one side that the route must be another.
func (p *Path) changed(m float32) bool {
	bound := max(farOff, 3*p.dev)
	switch off := m - p.log; {
	case off > bound && p.run >= 0:
		p.run++
	case off < -bound && p.run <= 0:
		p.run--
	default:
		p.run = 0
	}
	return p.run >= changeAfter || p.run <= -changeAfter
}

// median returns the middle one of the last three samples.
func (p *Path) median() float32 {
	a, b, c := p.recent[0], p.recent[1], p.recent[2]
	return max(min(a, b), min(max(a, b), c))
}

// advance lets the weight of what is known decay until now and returns the time since the last sample; a clock that went back is a clock
// that stands.
func (p *Path) advance(now time.Time) time.Duration {
	at := now.UnixNano()
	since := time.Duration(0)
	if p.last != 0 && at > p.last {
		since = time.Duration(at - p.last)
	}
	p.weight *= float32(decay(since, halfLife))
	p.last = max(p.last, at)
	return since
}

// AddPackets takes counts of packets, of probes or of a visitor's connection, and how many of them were lost.
func (p *Path) AddPackets(now time.Time, sent, lost int, refused *Refused) error {
	return p.loss.add(now, sent, lost, refused)
}

// AddRequests takes counts of requests and how many of them failed: timed out, reset, or answered with an error of ours.
func (p *Path) AddRequests(now time.Time, asked, failed int, refused *Refused) error {
	return p.failed.add(now, asked, failed, refused)
}

// Packets returns what was lost of the path's packets, as [Path.Estimate] has it.
func (p *Path) Packets(now time.Time) Share { return p.loss.at(now) }

// Estimate returns what the path's own samples say. Without any it is the zero [Estimate], which [Estimate.Over] replaces by a prior.
func (p *Path) Estimate(now time.Time) Estimate {
	e := Estimate{Packets: p.loss.at(now), Requests: p.failed.at(now)}
	if p.count == 0 {
		return e
	}
	e.Age = max(0, now.Sub(time.Unix(0, p.last)))
	e.R50 = math.Exp(float64(p.log))
	high := p.high
	if p.count < 10 { // too few for a percentile: as if they were spread normally
		high = p.log + 1.6*p.dev
	}
	e.R90 = math.Exp(float64(max(high, p.log)))
	e.N = float64(p.weight) * decay(e.Age, halfLife)
	return e
}

// decay is what is left of 1 after a time in which a half of it goes each half-life.
func decay(since, half time.Duration) float64 {
	if since <= 0 {
		return 1
	}
	return math.Exp(-math.Ln2 * float64(since) / float64(half))
}
