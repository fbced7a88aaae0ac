package http2

import "time"

// What a client may send that costs something and brings nothing, for each connection: so many at once, and
// so many each second. Each is a multiple of what the busiest honest clients do.
const (
	settingsBurst, settingsRate = 32, 1
	pingBurst, pingRate         = 128, 16
	priorityBurst, priorityRate = 512, 32
	emptyBurst, emptyRate       = 128, 16
	updateBurst, updateRate     = 1024, 64
	otherBurst, otherRate       = 128, 16
	octetsPerUpdate             = 512         // sent earn another WINDOW_UPDATE
	updatesPerStream            = 2           // earned by each stream, and as many changes of its priority
	maxReplies                  = 1000        // and answers without content, that wait to be sent
	maxWaiting                  = 1 << 20     // octets that do, whatever they are
	minResets                   = 100         // allowed whatever the number of streams
	resetSpan                   = time.Minute // over which they are counted
	framesPerTurn               = 256         // that are handled before others get the processor
	bombFactor                  = 4           // times the largest field section is one that nobody means
	decodeStep                  = 2 << 10     // octets of a header block between two looks at how large it has become
)

// budgets are what is left. The read loop owns them, but for updates and resets, which conn.mu guards.
type budgets struct {
	settings, pings, priorities, empties, updates, others bucket
	resets                                                resets
}

func newBudgets(now time.Time) budgets {
	full := func(burst, rate float64) bucket { return bucket{burst: burst, rate: rate, level: burst, at: now} }
	return budgets{
		settings:   full(settingsBurst, settingsRate),
		pings:      full(pingBurst, pingRate),
		priorities: full(priorityBurst, priorityRate),
		empties:    full(emptyBurst, emptyRate),
		updates:    full(updateBurst, updateRate),
		others:     full(otherBurst, otherRate),
		resets:     resets{since: now},
	}
}

// bucket is a budget that fills up with time.
type bucket struct {
	burst, rate, level float64
	at                 time.Time
}

// take takes one, and reports whether there was one.
func (b *bucket) take(now time.Time) bool {
	if passed := now.Sub(b.at); passed > 0 {
		b.grant(passed.Seconds() * b.rate)
		b.at = now
	}
	if b.level < 1 {
		return false
	}
	b.level--
	return true
}

// grant adds n.
func (b *bucket) grant(n float64) { b.level = min(b.level+n, b.burst) }

// resets counts the streams that were opened, and those that came to nothing: whether the client has given them up
// (CVE-2023-44487) or made us do so (CVE-2025-8671), the work was in vain. They are counted for two
// halves of resetSpan, the current one first.
type resets struct {
	since          time.Time
	opened, failed [2]int
}

func (r *resets) turn(now time.Time) {
	for range len(r.opened) {
		if now.Sub(r.since) < resetSpan/2 {
			return
		}
		r.opened, r.failed = [2]int{0, r.opened[0]}, [2]int{0, r.failed[0]}
		r.since = r.since.Add(resetSpan / 2)
	}
	if now.Sub(r.since) >= resetSpan/2 {
		r.since = now // nothing happened for longer than we count
	}
}

func (r *resets) open(now time.Time) {
	r.turn(now)
	r.opened[0]++
}

// fail counts a stream that came to nothing, and reports whether that is still acceptable.
func (r *resets) fail(now time.Time) bool {
	r.turn(now)
	r.failed[0]++
	return r.failed[0]+r.failed[1] <= max(minResets, (r.opened[0]+r.opened[1])/2)
}
