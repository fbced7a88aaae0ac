package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"nearcast/loadtest/rig"
)

// outcome is what became of a scenario.
type outcome struct {
	Scenario string `json:"scenario"`
	Rounds   int    `json:"rounds"`
	tally
	// Asked of what had been stored for a while before the crash, and Kept, which were hits after it.
	Asked int `json:"asked"`
	Kept  int `json:"kept"`
	// Slowest is the longest start, from the program's to the first 200 of /readyz.
	Slowest time.Duration `json:"slowest_start"`
	// Notes are figures and remarks.
	Notes []string `json:"notes,omitempty"`
	// Faults are what must not have happened.
	Faults []string `json:"faults,omitempty"`
	// LeftOut is why it was not played.
	LeftOut string `json:"left_out,omitempty"`
}

func (o *outcome) note(format string, args ...any) {
	o.Notes = append(o.Notes, fmt.Sprintf(format, args...))
}

func (o *outcome) fault(format string, args ...any) {
	o.Faults = append(o.Faults, fmt.Sprintf(format, args...))
}

// stage is where a scenario is played: an origin, a judge, and a directory.
type stage struct {
	o      options
	dir    string
	cert   rig.Certificate
	origin *webOrigin
	judge  *judge
	out    outcome
	missed int // of what was to be kept
	bulk   int // contents of /bulk/ that were asked for
}

// scenario is a way to do harm.
type scenario struct {
	name, what  string
	long, short int // rounds
	play        func(ctx context.Context, s *stage) error
}

func scenarios() []scenario {
	return []scenario{
		{"kill", "kill -9 under load", 200, 3, playKill},
		{"kill-full", "kill -9 under load that has filled the disk", 50, 1, playKillFull},
		{"power", "power cuts under load: ext4 loses what was not synced", 50, 2, playPower},
		{"inject", "system calls that fail", len(injections()), 4, playInject},
		{"full", "a file system without room, and then with room again", 3, 1, playFull},
		{"rot", "damaged segment files, of a running node and of a stopped one", 20, 2, playRot},
		{"two-disks", "one of two disks fails", 5, 1, playTwoDisks},
		{"restart", "kill -9 and start with many small objects", 1, 1, playRestart},
	}
}

// stage plays a scenario on a stage of its own.
func (sc scenario) stage(ctx context.Context, o options, dir string, cert rig.Certificate) (outcome, error) {
	s := &stage{o: o, dir: filepath.Join(dir, sc.name), cert: cert}
	s.out = outcome{Scenario: sc.name, Rounds: sc.long}
	if o.short {
		s.out.Rounds = sc.short
	}
	if o.rounds > 0 {
		s.out.Rounds = o.rounds
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return s.out, err
	}
	var err error
	if s.origin, err = startOrigin(ctx); err != nil {
		return s.out, err
	}
	defer s.origin.stop()
	s.judge = newJudge(s.origin)
	err = sc.play(ctx, s)
	if errors.Is(err, errLacking) {
		s.out.LeftOut, err = err.Error(), nil
	}
	s.weigh()
	if text, e := os.ReadFile(filepath.Join(s.dir, "edge.log")); e == nil && (err != nil || len(s.out.Faults) > 0) {
		s.out.note("what the edge says last:\n%s", telling(string(text)))
	}
	return s.out, err
}

// telling returns the part of a log that tells most: the beginning of a crash of the program, or else its last lines.
func telling(log string) string {
	const most = 2000
	for _, word := range []string{"\npanic: ", "\nfatal error: ", "\nSIG"} {
		if at := strings.Index(log, word); at >= 0 {
			return log[at+1 : min(len(log), at+most)]
		}
	}
	return log[max(0, len(log)-most):]
}

// weigh makes faults of what the judge has seen.
func (s *stage) weigh() {
	var complaints []string
	s.out.tally, complaints = s.judge.take()
	text := strings.Join(complaints, "\n")
	switch o := &s.out; {
	case o.Wrong > 0 || o.Failed > 0 || o.Undone > 0:
		o.fault("%d wrong answers, %d undone invalidations, %d failures:\n%s", o.Wrong, o.Undone, o.Failed, text)
	case o.Requests == 0 && o.LeftOut == "":
		o.fault("nobody has asked for anything")
	}
}

// node is an edge that is started again and again on the same disks.
type node struct {
	*rig.Edge
	s     *stage
	ram   string
	dir   string // of its state
	disks []string
	ready time.Duration // what the last start took
}

// newNode makes a node with disks of the given size below dir. It is not started.
func (s *stage) newNode(dir, ram string, sizes ...string) *node {
	n := &node{s: s, ram: ram, dir: filepath.Join(dir, "state")}
	for i, size := range sizes {
		n.disks = append(n.disks, filepath.Join(dir, fmt.Sprintf("disk%d", i))+":"+size)
	}
	return n
}

// paths are the directories of the disks.
func (n *node) paths() []string {
	var paths []string
	for _, d := range n.disks {
		paths = append(paths, d[:strings.LastIndexByte(d, ':')])
	}
	return paths
}

// start starts it and waits until it is ready.
func (n *node) start(ctx context.Context) error {
	args := []string{"--ram", n.ram, "--dir", n.dir}
	for _, d := range n.disks {
		args = append(args, "--disk", d)
	}
	os.Remove(filepath.Join(n.s.dir, "access.ndjson")) //nolint:errcheck // it may not be there; nobody reads it
	began := time.Now()
	e, err := rig.StartEdge(ctx, rig.EdgeConfig{
		Program: n.s.o.program, Dir: n.s.dir, Origin: n.s.origin.addr, Certificate: n.s.cert, Core: rig.AnyCore, Args: args,
	})
	if err != nil {
		return err
	}
	n.Edge, n.ready = e, time.Since(began)
	n.s.out.Slowest = max(n.s.out.Slowest, n.ready)
	if n.ready > n.s.o.maxStart {
		n.s.out.fault("a start has taken %s", n.ready.Round(time.Millisecond))
	}
	return nil
}

// kill ends it as kill -9 does. It may have been killed.
func (n *node) kill() {
	if n.Edge != nil {
		n.Kill()
		n.Edge = nil
	}
}

// lives says that it is wrong if the process has ended.
func (n *node) lives(when string) {
	select {
	case <-n.Ended():
		n.s.out.fault("the edge has ended %s", when)
	default:
	}
}

// wipe removes everything that it has stored.
func (n *node) wipe() error {
	var errs []error
	for _, p := range append(n.paths(), n.dir) {
		errs = append(errs, os.RemoveAll(p))
	}
	n.s.judge.forget()
	return errors.Join(errs...)
}

// metric adds up the samples of a metric. It is 0 if the node does not answer.
func (n *node) metric(ctx context.Context, name string) float64 {
	all, err := n.Metrics(ctx)
	if err != nil {
		return 0
	}
	sum := 0.0
	for sample, value := range all {
		if sample == name || strings.HasPrefix(sample, name+"{") {
			sum += value
		}
	}
	return sum
}

// reaches waits until a metric is at least as high as wanted, and says that it is wrong if that does not happen soon.
func (n *node) reaches(ctx context.Context, name string, want float64, why string) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(n.s.o.patience)
	for got := n.metric(ctx, name); got < want; got = n.metric(ctx, name) {
		if time.Now().After(deadline) || ctx.Err() != nil {
			n.s.out.fault("%s: %s is %g, want %g", why, name, got, want)
			return
		}
		<-tick.C
	}
}

// The metrics that tell of disks.
const (
	metricWritten = "nearcast_edge_disk_written_bytes_total"
	metricErrors  = "nearcast_edge_disk_errors_total"
	metricFailed  = "nearcast_edge_disks_failed"
	metricWarm    = "nearcast_edge_disk_warm"
	metricDamaged = "nearcast_edge_disk_damaged_total"
)

// writeTime is how long something may be in the cache before a crash must not take it away.
const writeTime = 2 * time.Second

// count asks for some of what was stored some time before the crash and takes down how much is still there, once the edge knows what there is.
func (s *stage) count(ctx context.Context, n *node, crash time.Time, most int) {
	n.reaches(ctx, metricWarm, 1, "what is on disk is not known")
	client := newClient()
	defer client.CloseIdleConnections()
	for spot, since := range s.judge.known(crash.Add(-writeTime)) { // in no order
		if most--; most < 0 {
			return
		}
		a := ask{method: http.MethodGet, path: spot.path, kind: spot.kind}
		v := s.judge.try(ctx, client, "http://"+n.Plain, a, nil)
		s.out.Asked++
		if v.hit {
			s.out.Kept++
		} else if s.missed++; s.missed <= 5 {
			s.out.note("not kept: %s, stored %s before the crash: %s", a, crash.Sub(since).Round(time.Millisecond), v.status)
		}
	}
}

// mustKeep says that it is wrong if a crash has taken away more than a share.
func (s *stage) mustKeep(share float64) {
	switch {
	case s.out.Asked == 0:
		s.out.fault("nothing was stored for %s before a crash", writeTime)
	case float64(s.out.Kept) < share*float64(s.out.Asked):
		s.out.fault("%d of %d objects that were stored were hits after a crash, want %.1f %%", s.out.Kept, s.out.Asked, 100*share)
	}
}

// summary is a line about a scenario.
func (o *outcome) summary() string {
	switch {
	case o.LeftOut != "":
		return o.LeftOut
	case len(o.Faults) > 0:
		return fmt.Sprintf("%d faults", len(o.Faults))
	}
	return "ok"
}

// tell prints notes and faults.
func (o *outcome) tell(w io.Writer) {
	for _, f := range o.Faults {
		fmt.Fprintf(w, "%s: FAULT: %s\n", o.Scenario, f)
	}
	for _, n := range o.Notes {
		fmt.Fprintf(w, "%s: %s\n", o.Scenario, n)
	}
}
