package load_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/edge/load"
)

// machine is what a test says that the operating system knows.
type machine struct {
	cpu    time.Duration
	memory uint64
	disks  []time.Duration
	err    error
}

func (m *machine) CPU() (time.Duration, error)     { return m.cpu, m.err }
func (m *machine) Memory() (uint64, error)         { return m.memory, m.err }
func (m *machine) Disks() ([]time.Duration, error) { return m.disks, m.err }

// rig is a meter and what it reads.
type rig struct {
	machine machine
	counts  load.Counts
	limits  load.Limits
	now     time.Time
	meter   *load.Meter
}

func newRig() *rig {
	r := &rig{now: time.Unix(1_000_000, 0), limits: load.Limits{Cores: 2, Memory: 1000, Connections: 100, Egress: 1e6, Fills: 10}}
	r.meter = load.New(load.Config{
		Counts: func() load.Counts { return r.counts }, Limits: func() load.Limits { return r.limits }, Machine: &r.machine,
	})
	return r
}

// seconds ticks every second; each is what happens in a second before.
func (r *rig) seconds(n int, each func()) (l cdn.NodeLoad) {
	for range n {
		r.now = r.now.Add(time.Second)
		each()
		l = r.meter.Tick(r.now)
	}
	return l
}

func near(a, b float64) bool { return math.Abs(a-b) < 0.01 }

// Steady use is measured as what it is.
func TestSteady(t *testing.T) {
	r := newRig()
	r.machine.disks = []time.Duration{0, 0}
	r.meter.Tick(r.now)
	l := r.seconds(12, func() {
		r.machine.cpu += 500 * time.Millisecond
		r.machine.memory = 400
		r.machine.disks = []time.Duration{r.machine.disks[0] + 100*time.Millisecond, r.machine.disks[1] + 300*time.Millisecond}
		r.counts.Requests += 100
		r.counts.Hits += 90
		r.counts.Errors += 5
		r.counts.Octets += 800_000
		r.counts.Connections, r.counts.Fills = 20, 1
	})
	for _, test := range []struct {
		name      string
		got, want float64
	}{
		{"half a second of two cores", l.CPU, 0.25},
		{"memory", l.Memory, 0.4},
		{"the busier of two disks", l.Disk, 0.3},
		{"connections", l.Connections, 0.2},
		{"fills", l.Fills, 0.1},
		{"egress", l.Egress, 0.8},
		{"octets", l.Octets / 1e6, 0.8},
		{"requests", l.Requests / 100, 1},
		{"hit ratio", l.HitRatio, 0.9},
		{"errors", l.Errors, 0.05},
		{"utilisation", l.Utilisation(), 0.8},
	} {
		if !near(test.got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, test.got, test.want)
		}
	}
	if r.meter.Failed() != 0 || r.meter.Load() != l {
		t.Errorf("%d readings failed; the load is %v, and Tick said %v", r.meter.Failed(), r.meter.Load(), l)
	}
}

// A jump shows to 63 % after one second, and to 95 % after three.
func TestSettles(t *testing.T) {
	r := newRig()
	r.meter.Tick(r.now)
	for _, want := range []float64{0.632, 0.865, 0.950, 0.982} {
		if l := r.seconds(1, func() { r.counts.Octets += 1e6 }); !near(l.Egress, want) {
			t.Errorf("egress %v, want %v", l.Egress, want)
		}
	}
}

// Ratios look back ten seconds, and no further.
func TestWindow(t *testing.T) {
	r := newRig()
	r.meter.Tick(r.now)
	r.seconds(5, func() { r.counts.Requests, r.counts.Errors = r.counts.Requests+10, r.counts.Errors+10 })
	if l := r.seconds(5, func() { r.counts.Requests, r.counts.Hits = r.counts.Requests+10, r.counts.Hits+10 }); !near(l.Errors, 0.5) || !near(l.HitRatio, 0.5) {
		t.Errorf("errors %v and hits %v, want half of each", l.Errors, l.HitRatio)
	}
	if l := r.seconds(5, func() { r.counts.Requests, r.counts.Hits = r.counts.Requests+10, r.counts.Hits+10 }); l.Errors != 0 || !near(l.HitRatio, 1) {
		t.Errorf("errors %v and hits %v ten seconds later", l.Errors, l.HitRatio)
	}
	if l := r.seconds(11, func() {}); l.Errors != 0 || l.HitRatio != 0 {
		t.Errorf("errors %v and hits %v without requests", l.Errors, l.HitRatio)
	}
}

// What cannot be read is unknown, and comes back.
func TestFailures(t *testing.T) {
	r := newRig()
	work := func() {
		r.machine.cpu, r.counts.Octets, r.machine.memory = r.machine.cpu+time.Second, r.counts.Octets+5e5, 500
	}
	r.meter.Tick(r.now)
	r.seconds(10, work)
	r.machine.err = errors.New("no such file")
	if l := r.seconds(10, work); l.CPU > 0.01 || l.Memory > 0.01 || !near(l.Egress, 0.5) {
		t.Errorf("%+v, want no processor and memory, and the egress", l)
	}
	if n := r.meter.Failed(); n != 30 {
		t.Errorf("%d readings failed, want 30", n)
	}
	r.machine.err = nil
	if l := r.seconds(10, work); !near(l.CPU, 0.5) || !near(l.Memory, 0.5) {
		t.Errorf("%+v, want half of the processor and the memory again", l)
	}
}

// Nothing that can go wrong makes a load that is none.
func TestAlwaysSane(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(*rig)
	}{
		{"no limits", func(r *rig) { r.limits = load.Limits{} }},
		{"the clock stands", func(r *rig) { r.now = r.now.Add(-time.Second) }},
		{"the clock goes back", func(r *rig) { r.now = r.now.Add(-time.Hour) }},
		{"the clock jumps", func(r *rig) { r.now = r.now.Add(100 * time.Hour) }},
		{"counters fall", func(r *rig) { r.counts = load.Counts{} }},
		{"processor time falls", func(r *rig) { r.machine.cpu = -time.Hour }},
		{"a disk goes", func(r *rig) { r.machine.disks = nil }},
		{"a disk comes", func(r *rig) { r.machine.disks = make([]time.Duration, 3) }},
		{"a disk is busier than time passes", func(r *rig) { r.machine.disks = []time.Duration{time.Hour} }},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig()
			r.machine.disks = []time.Duration{0}
			work := func() { r.machine.cpu, r.counts.Requests = r.machine.cpu+time.Second, r.counts.Requests+1 }
			r.meter.Tick(r.now)
			r.seconds(3, work)
			for range 3 {
				l := r.seconds(1, func() { work(); test.do(r) })
				for _, v := range []float64{l.CPU, l.Memory, l.Connections, l.Egress, l.Disk, l.Fills, l.HitRatio, l.Errors, l.Requests, l.Octets} {
					if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 || v > 1e9 {
						t.Fatalf("%+v", l)
					}
				}
				if l.Disk > 1 {
					t.Errorf("a disk is busy for %v of the time", l.Disk)
				}
			}
		})
	}
}

// However often a meter ticks, what it remembers is bounded, and the rates are right.
func TestOften(t *testing.T) {
	r := newRig()
	r.meter.Tick(r.now)
	var l cdn.NodeLoad
	for range 5000 {
		r.now = r.now.Add(time.Millisecond)
		r.counts.Octets += 500
		r.counts.Requests++
		r.counts.Hits++
		l = r.meter.Tick(r.now)
	}
	if !near(l.Egress, 0.5) || !near(l.HitRatio, 1) {
		t.Errorf("%+v", l)
	}
}

// A burst that takes a machine's only core for two seconds is not overload: the ladder of package shed begins above 0.88.
func TestBurst(t *testing.T) {
	r := newRig()
	r.limits.Cores = 1
	r.meter.Tick(r.now)
	r.seconds(5, func() {})
	busy := func() { r.machine.cpu += time.Second }
	if l := r.seconds(2, busy); l.Utilisation() > 0.88 {
		t.Errorf("after two seconds: %v", l.Utilisation())
	}
	if l := r.seconds(3, busy); l.Utilisation() < 0.95 {
		t.Errorf("after five seconds: %v", l.Utilisation())
	}
}
