package votes

import (
	"time"

	"nearcast/cdn"
	"nearcast/routequality/probe"
)

// As in routequality/agent and routequality.
const (
	probeEvery  = 500 * time.Millisecond
	timeout     = time.Second
	stalled     = timeout / 4
	reportEvery = time.Second
	postTimeout = 2 * time.Second
	coalesce    = 20 * time.Millisecond
	resend      = 200 * time.Millisecond // a kernel's shortest time until it sends again, beside the round trip
)

// voter is a machine that probes the POP. The first is the route-quality server.
type voter struct {
	machine
	pop             cdn.POPName
	node            cdn.NodeName
	toPOP, toServer time.Duration // one way
	verdict         probe.Verdict
	seq             uint64
	free            time.Duration // when the last report has been answered
	waits           bool          // a report waits for that
	began           time.Duration // the last probe
}

// probe returns when a probe that is due ends and whether somebody answered; not counted if it says nothing of the POP.
func (w *world) probe(v *voter, tick time.Duration) (end time.Duration, answered, counted bool) {
	began := v.awake(tick)
	if began == v.began {
		return 0, false, false // a ticker has one tick for all that were missed
	}
	v.began = began
	deadline := began + timeout
	for i := range w.nodes {
		there, back := w.lost(), w.lost()
		if there || back {
			continue
		}
		replied := w.nodes[i].awake(began + w.jittered(v.toPOP))
		if replied >= w.killed {
			continue
		}
		if seen := v.awake(replied + w.jittered(v.toPOP)); seen <= deadline && (!answered || seen < end) {
			end, answered = seen, true
		}
	}
	if answered {
		return end, true, true
	}
	end = v.awake(deadline)
	return end, false, end-began <= timeout+stalled
}

func (w *world) lost() bool { return w.chance.Float64() < w.o.Loss }

// jittered returns a delay with up to a tenth more.
func (w *world) jittered(d time.Duration) time.Duration {
	return d + time.Duration(0.1*w.chance.Float64()*float64(d))
}

// carried returns how long a message takes over a connection on which lost packets are sent again.
func (w *world) carried(d time.Duration) time.Duration {
	total, again := w.jittered(d), resend+2*d
	for w.lost() {
		total += again
		again *= 2
	}
	return total
}

// report sends what a voter has to say, unless the last report is still under way: then it follows that one.
func (w *world) report(who uint8, now time.Duration) {
	v := &w.voters[who]
	now = v.awake(now)
	if now < v.free {
		if !v.waits {
			v.waits = true
			w.queue.add(event{at: v.free, kind: urgent, who: who})
		}
		return
	}
	v.waits = false
	up, known := v.verdict.Up()
	if !known {
		return
	}
	v.seq++
	there := w.carried(v.toServer)
	v.free = now + min(postTimeout, there+w.jittered(v.toServer))
	if there < postTimeout {
		w.queue.add(event{at: w.voters[0].awake(now + there), kind: arrives, who: who, up: up, seq: v.seq})
	}
}
