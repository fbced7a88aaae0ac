package votes

import (
	"fmt"
	"math/rand/v2"
	"time"

	"nearcast/cdn"
	"nearcast/loadtest/sim/trial"
	"nearcast/routequality/liveness"
)

// Options say what is simulated.
type Options struct {
	Loss     float64        // the share of packets that are lost, below 1
	Starving trial.Starving // of each voter, of the server and of each node, each for itself
}

const (
	voters     = 4 // the server and one of each of three POPs
	nodes      = 2
	leastDelay = 2 * time.Millisecond // one way between two places
	mostDelay  = 100 * time.Millisecond

	judgeEvery = liveness.ProbeEvery / 4
	// calmly is how often the server judges while everybody gets answers: then nothing can come of it but that the votes stay counted.
	calmly = time.Second

	watched cdn.POPName = "a"
	never               = time.Duration(1<<63 - 1)
)

// world is a POP and those who watch it.
type world struct {
	o           Options
	chance      *rand.Rand
	queue       queue
	voters      [voters]voter
	nodes       [nodes]machine
	toScheduler time.Duration
	killed      time.Duration // when the POP loses its power; never otherwise
	tracker     *liveness.Tracker
	doubting    int // voters that get no answer
	down        bool
	said        liveness.Report // is used again each time

	count Count
}

func newWorld(o Options, seed uint64) *world {
	w := &world{o: o, chance: rand.New(rand.NewPCG(seed, 0x707e)), killed: never, tracker: liveness.New("rq", nil)} //nolint:gosec // not a secret
	machines := uint64(0)
	machineOf := func() machine {
		machines++
		return machine{starving: o.Starving, chance: rand.New(rand.NewPCG(seed, machines))} //nolint:gosec // not a secret
	}
	delay := func() time.Duration {
		return leastDelay + time.Duration(w.chance.Int64N(int64(mostDelay-leastDelay)))
	}
	for i := range w.nodes {
		w.nodes[i] = machineOf()
	}
	fleet := fleetOf()
	w.tracker.SetFleet(fleet)
	for i := range w.voters {
		v := &w.voters[i]
		*v = voter{machine: machineOf(), pop: fleet.POPs[i].Name, node: fleet.Nodes[nodes*i].Name, toPOP: delay(), toServer: delay(), began: -1}
		who := uint8(i) //nolint:gosec // four
		w.queue.add(event{at: time.Duration(w.chance.Int64N(int64(probeEvery))), kind: ticks, who: who})
		if i > 0 {
			w.queue.add(event{at: time.Duration(w.chance.Int64N(int64(reportEvery))), kind: due, who: who})
		}
	}
	w.toScheduler = delay()
	w.queue.add(event{kind: judges})
	w.said.Votes = []liveness.Vote{{POP: watched}}
	return w
}

// fleetOf has the POP that is watched, in the place of the server's, and those of the voters.
func fleetOf() *cdn.Fleet {
	fleet := new(cdn.Fleet)
	for _, name := range [voters]cdn.POPName{watched, "b", "c", "d"} {
		fleet.POPs = append(fleet.POPs, cdn.POP{Name: name})
		for n := range nodes {
			fleet.Nodes = append(fleet.Nodes, cdn.Node{Name: cdn.NodeName(fmt.Sprint(name, n)), POP: name, Roles: []cdn.Role{cdn.RoleEdge}})
		}
	}
	return fleet
}

// clock is the time of day at a moment of the simulation.
func clock(at time.Duration) time.Time { return time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).Add(at) }

// until lets everything happen that happens before a time, or until stop says so after a step of the server.
func (w *world) until(end time.Duration, stop func() bool) (at time.Duration, err error) {
	for {
		e := w.queue.next()
		if e.at >= end {
			w.queue.add(e)
			return end, nil
		}
		if err := w.happen(e); err != nil {
			return e.at, err
		}
		if stop != nil && (e.kind == judges || e.kind == hastens) && stop() {
			return e.at, nil
		}
	}
}

func (w *world) happen(e event) error {
	switch v := &w.voters[e.who]; e.kind {
	case ticks:
		w.queue.add(event{at: e.at + probeEvery, kind: ticks, who: e.who})
		w.count.Probes++
		if end, up, counted := w.probe(v, e.at); counted {
			w.queue.add(event{at: end, kind: outcome, who: e.who, up: up})
		} else {
			w.count.Skipped++
		}
	case outcome:
		w.observe(e)
	case due:
		w.queue.add(event{at: e.at + reportEvery, kind: due, who: e.who})
		w.report(e.who, e.at)
	case urgent:
		w.report(e.who, e.at)
	case arrives:
		return w.hear(e)
	case judges:
		every := judgeEvery
		if w.doubting == 0 && !w.down {
			every = calmly
		}
		w.queue.add(event{at: w.voters[0].awake(e.at + every), kind: judges})
		w.judge(e.at)
	case hastens:
		w.judge(e.at)
	}
	return nil
}

// observe lets a voter take the outcome of a probe.
func (w *world) observe(e event) {
	v := &w.voters[e.who]
	if !e.up {
		w.count.Misses++
	}
	before, known := v.verdict.Up()
	changed := v.verdict.Observe(e.up)
	up, _ := v.verdict.Up()
	switch {
	case changed && !up:
		w.doubting++
		w.count.Doubts++
		w.count.MostDoubting = max(w.count.MostDoubting, w.doubting)
	case changed && known && !before:
		w.doubting--
	}
	if e.who > 0 {
		if changed {
			w.queue.add(event{at: e.at + coalesce, kind: urgent, who: e.who})
		}
		return
	}
	if up, known := v.verdict.Up(); known && w.tracker.Probed(clock(e.at), watched, up) {
		w.queue.add(event{at: w.voters[0].awake(e.at + coalesce), kind: hastens})
	}
}

// hear lets the server take a report.
func (w *world) hear(e event) error {
	v := &w.voters[e.who]
	w.said.From, w.said.POP = v.node, v.pop
	w.said.Version = liveness.Version{Incarnation: 1, Seq: e.seq}
	w.said.Votes[0].Up = e.up
	news, err := w.tracker.Report(clock(e.at), &w.said)
	if err != nil {
		return fmt.Errorf("report of %s: %w", v.node, err)
	}
	if news {
		w.queue.add(event{at: w.voters[0].awake(e.at + coalesce), kind: hastens})
	}
	return nil
}

// judge lets the server judge, and notes what comes of it.
func (w *world) judge(at time.Duration) {
	now := clock(at)
	if !w.tracker.Step(now, func(cdn.NodeName) cdn.NodeState { return cdn.StateUnknown }) {
		return
	}
	down := w.tracker.View(now).POPs[0].State == cdn.POPDown
	if down && !w.down {
		w.count.Removals++
	}
	w.down = down
}
