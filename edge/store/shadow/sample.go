package shadow

import (
	"math"
	"time"
)

// The memory of all shadows: a hundredth of the RAM, but no more than maxMemory, and no less than minMemory, with which they have some thousand
// objects.
const (
	memoryShare = 100
	minMemory   = 8 << 20
	maxMemory   = 32 << 20
	entryMemory = 80 // octets of an entry: itself, and in many models a ghost, each in a slab and in an index
)

// roomFor is how many entries all models together may have. What has been used once stays theirs: for that there is half as much again.
func roomFor(ram int64) int64 {
	return min(max(ram/memoryShare, minMemory), maxMemory) / entryMemory * 2 / 3
}

const (
	// usualShift is of the sample of a large cache: 1 in 64. It is larger in a smaller cache, of which that would be too few objects to tell
	// anything, and smaller in a huge one, of which it would take too much memory.
	usualShift = 6
	maxShift   = keyBits - 4
	// fewEntries is what the real policy's model should have at least, if the memory for all allows it.
	fewEntries = 4096
	// maxLoad is how many requests of the sample there may be in a second: a few hundredths of a processor.
	maxLoad = 20_000
)

// load is how fast requests of the sample come.
type load struct {
	since time.Time
	taken int64 // since then
}

// fit makes the sample smaller if the models have too many entries. Large caches have few requests of the sample.
func (c *Caches) fit() {
	entries, memory := c.entries()
	if entries > c.room || c.shift < usualShift && c.models[0].shadow.Stats().Entries > 2*fewEntries {
		c.resample(c.shift + 1)
	}
	if memory > c.room*3/2 {
		for _, m := range c.models {
			m.renew(c.cfg.RAM, c.shift)
		}
	}
}

// bear makes the sample smaller if there are too many requests of it, and larger again if the cache has fewer objects than once and there is
// time for more.
func (c *Caches) bear(now time.Time) {
	elapsed := now.Sub(c.load.since).Seconds()
	if elapsed < 1 {
		return
	}
	perSecond := float64(c.load.taken) / elapsed
	c.load = load{since: now}
	model := c.models[0].shadow.Stats()
	entries, _ := c.entries()
	switch {
	case perSecond > maxLoad:
		c.resample(c.shift + 1)
	case c.shift > 0 && perSecond < maxLoad/4 && model.Entries < fewEntries/2 && model.Bytes > c.models[0].budget(c.cfg.RAM, c.shift)/8*7 && entries < c.room/4:
		c.resample(c.shift - 1)
	}
}

// entries counts those that there are, and those that there is memory for.
func (c *Caches) entries() (now, memory int64) {
	for _, m := range c.models {
		n := m.shadow.Stats().Entries
		now += n * m.weight
		memory += max(n, m.peak) * m.weight
	}
	return now, memory
}

// resample goes over to a sample of 1 in 1 << shift.
func (c *Caches) resample(shift uint) {
	if shift > maxShift {
		return
	}
	for _, m := range c.models {
		m.resample(c.cfg.RAM, shift)
	}
	c.age(math.Exp2(float64(c.shift) - float64(shift))) // as if the sample had been of that size before
	c.shift = shift
	c.mask.Store(maskOf(shift))
}
