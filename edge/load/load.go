// Package load measures how busy a node is.
//
// What it measures is the node's process, not its machine. A node can give away only what it does itself: if others use the machine,
// turning visitors away does not make them stop, and where several nodes share one machine each would answer for the work of all. So the
// processor time is that of the process over the cores that it may use (see [Cores]), and
// the time for which a disk is busy is taken in proportion to the octets that the process moves. What others do shows all the same, as soon as
// visitors notice: in their round trips and failures.
//
// A reading that fails is unknown, which is zero, and counted.
//
// It is not for deciding what follows from that: see package shed.
package load

import (
	"math"
	"sync"
	"time"

	"nearcast/cdn"
)

const (
	// settling is the time constant of the moving averages.
	settling = time.Second
	// window is how far hit ratio and errors look back.
	window = 10 * time.Second
	// mostCounts bounds how many moments of the window are remembered, however often Tick is called.
	mostCounts = 64
)

// Counts are what a node has counted since its start, and what it has now.
type Counts struct {
	Requests, Hits, Errors uint64 // Hits were answered from what is stored, Errors by the node's own fault
	Octets                 uint64 // sent to visitors
	Connections, Fills     int    // now
}

// Limits are what a node has. Zero means unknown.
type Limits struct {
	Cores       float64
	Memory      uint64 // octets
	Connections int
	Egress      float64 // octets a second
	Fills       int
}

// Config is what a Meter is made from.
type Config struct {
	// Counts returns the node's counts. Required.
	Counts func() Counts
	// Limits returns what the node has now. Required.
	Limits func() Limits
	// Machine is what the operating system knows. Nil means that of this process.
	Machine Machine
}

// Machine is what the operating system knows of the process.
type Machine interface {
	// CPU returns the processor time that the process has had.
	CPU() (time.Duration, error)
	// Memory returns its resident memory in octets.
	Memory() (uint64, error)
	// Disks returns for each of its disks how long that was busy on behalf of the process, since some moment. Those of which that cannot be
	// known are left out.
	Disks() ([]time.Duration, error)
}

// Meter measures. It is safe for concurrent use.
type Meter struct {
	cfg Config

	mu      sync.Mutex // guards what follows
	begun   bool
	last    reading
	history []moment // the window, oldest first
	load    cdn.NodeLoad
	failed  uint64
}

// reading is what was there at a moment.
type reading struct {
	at     time.Time
	counts Counts
	cpu    time.Duration
	disks  []time.Duration
	hasCPU bool
}

// moment is what had been counted by a moment.
type moment struct {
	at                     time.Time
	requests, hits, errors uint64
}

// New returns a Meter that has measured nothing yet.
func New(cfg Config) *Meter {
	if cfg.Machine == nil {
		cfg.Machine = NewProcess()
	}
	return &Meter{cfg: cfg}
}

// Load returns what was measured last. Its Shedding is zero.
func (m *Meter) Load() cdn.NodeLoad {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.load
}

// Failed returns how many readings have failed.
func (m *Meter) Failed() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.failed
}

// Tick measures what was used since the last Tick. It should be called once a second. Shares and rates are averages with a time constant of
// a second. The first Tick can tell only what does not need another.
func (m *Meter) Tick(now time.Time) cdn.NodeLoad {
	m.mu.Lock()
	defer m.mu.Unlock()
	dt := now.Sub(m.last.at)
	if m.begun && dt == 0 {
		return m.load
	}
	memory, next := m.read(now)
	lim := m.cfg.Limits()
	if m.begun && dt < 0 { // the clock was set back: begin anew
		m.last, m.history = next, nil
		return m.load
	}
	is := cdn.NodeLoad{
		Memory: share(float64(memory), float64(lim.Memory)), Connections: share(float64(next.counts.Connections), float64(lim.Connections)),
		Fills: share(float64(next.counts.Fills), float64(lim.Fills)),
	}
	weight := 1.0
	if m.begun {
		m.rates(&is, &next, &lim, dt.Seconds())
		weight = 1 - math.Exp(-float64(dt)/float64(settling))
	}
	m.begun, m.last = true, next
	m.blend(&is, weight)
	m.remember(&next)
	return m.load
}

// read reads everything. What it cannot read is as it was.
func (m *Meter) read(now time.Time) (memory uint64, r reading) {
	r = reading{at: now, counts: m.cfg.Counts()}
	var err error
	if r.cpu, err = m.cfg.Machine.CPU(); err != nil {
		m.failed++
	}
	r.hasCPU = err == nil
	if memory, err = m.cfg.Machine.Memory(); err != nil {
		m.failed++
		memory = 0
	}
	if r.disks, err = m.cfg.Machine.Disks(); err != nil {
		m.failed++
		r.disks = nil
	}
	return memory, r
}

// rates adds what is known of the time between two readings.
func (m *Meter) rates(is *cdn.NodeLoad, next *reading, lim *Limits, seconds float64) {
	last := &m.last
	if next.hasCPU && last.hasCPU {
		is.CPU = share((next.cpu - last.cpu).Seconds(), seconds*lim.Cores)
	}
	is.Requests = float64(grown(last.counts.Requests, next.counts.Requests)) / seconds
	is.Octets = float64(grown(last.counts.Octets, next.counts.Octets)) / seconds
	is.Egress = share(is.Octets, lim.Egress)
	if len(next.disks) != len(last.disks) { // one has come or gone
		return
	}
	for i := range next.disks {
		is.Disk = max(is.Disk, min(share((next.disks[i]-last.disks[i]).Seconds(), seconds), 1))
	}
}

// blend moves the averages.
func (m *Meter) blend(is *cdn.NodeLoad, weight float64) {
	l := &m.load
	for _, v := range [...]struct {
		average *float64
		now     float64
	}{
		{&l.CPU, is.CPU},
		{&l.Memory, is.Memory},
		{&l.Connections, is.Connections},
		{&l.Egress, is.Egress},
		{&l.Disk, is.Disk},
		{&l.Fills, is.Fills},
		{&l.Requests, is.Requests},
		{&l.Octets, is.Octets},
	} {
		*v.average += weight * (v.now - *v.average)
	}
}

// remember keeps the counts of the window, and works out its ratios.
func (m *Meter) remember(r *reading) {
	next := moment{at: r.at, requests: r.counts.Requests, hits: r.counts.Hits, errors: r.counts.Errors}
	m.history = append(m.history, next)
	old := 0 // the last moment that is not in the window any more is where it begins
	for old+1 < len(m.history) && (r.at.Sub(m.history[old+1].at) >= window || len(m.history)-old > mostCounts) {
		old++
	}
	m.history = append(m.history[:0], m.history[old:]...)
	first := &m.history[0]
	requests := float64(grown(first.requests, next.requests))
	m.load.HitRatio = share(float64(grown(first.hits, next.hits)), requests)
	m.load.Errors = share(float64(grown(first.errors, next.errors)), requests)
}

// share is the part that used is of all; zero where all is unknown.
func share(used, all float64) float64 {
	if all <= 0 || used <= 0 {
		return 0
	}
	return used / all
}

// grown is by how much a counter has grown; a counter never falls, but two that are read one after the other may look like it.
func grown(before, after uint64) uint64 {
	if after < before {
		return 0
	}
	return after - before
}
