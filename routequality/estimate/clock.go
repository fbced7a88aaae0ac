package estimate

import "time"

// Clock learns how far the clock of whoever measures is from ours, so that a clock that is set wrong does not make all of its samples be refused.
// What arrives was measured before, never after: the least delay with which anything has arrived lately is what the clocks differ by, but for
// the time that the fastest report took. The zero value has heard nothing.
type Clock struct {
	least, before time.Duration // delay: in this window, in the one before
	began         time.Time     // this window; zero: nothing was heard
}

// clockWindow is how long a least delay counts, once or twice: so long it takes to believe a clock that was set back.
const clockWindow = time.Minute

// Hear takes the time that a report bears, and when it arrived.
func (c *Clock) Hear(now, bears time.Time) {
	delay := now.Sub(bears)
	switch since := now.Sub(c.began); {
	case c.began.IsZero() || since >= 2*clockWindow:
		*c = Clock{least: delay, before: delay, began: now}
	case since >= clockWindow:
		*c = Clock{least: delay, before: c.least, began: now}
	}
	c.least = min(c.least, delay)
}

// Offset is what has to be added to the other's times to have ours: below zero if its clock is ahead. Above [MaxAhead], either way, somebody should
// set that clock.
func (c *Clock) Offset() time.Duration { return min(c.least, c.before) }

// Right returns when by our clock something happened that bears a time of the other's.
func (c *Clock) Right(bears time.Time) time.Time { return bears.Add(c.Offset()) }

// Wrong reports whether the clock is so far off that somebody should set it.
func (c *Clock) Wrong() bool { return c.Offset() > MaxAhead || c.Offset() < -MaxAhead }
