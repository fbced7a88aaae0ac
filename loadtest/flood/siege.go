package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"nearcast/loadtest/flood/attack"
	"nearcast/loadtest/rig"
)

// outcome is what an attack has done.
type outcome struct {
	Attack string `json:"attack"`
	// Attackers is how many there were at a time.
	Attackers int `json:"attackers"`

	Tally  attack.Tally  `json:"tally"`
	Quiet  goodput       `json:"quiet"`
	Under  goodput       `json:"under"`
	Before footprint     `json:"before"`
	Peak   footprint     `json:"peak"`
	After  footprint     `json:"after"`
	Says   evidence      `json:"says"`
	Origin int64         `json:"origin_requests"`
	Took   time.Duration `json:"took"`
	Broken []string      `json:"broken"` // limits
}

// limits are what an attack must not do.
type limits struct {
	share  float64
	slower float64 // 0: not looked at
	memory int64   // MiB
	each   int64   // KiB more for each attacker
	named  bool
}

const mebi = 1 << 20

// check returns the limits that an outcome breaks.
func (l limits) check(o outcome, abuse, ours bool) []string {
	var broken []string
	say := func(format string, args ...any) { broken = append(broken, fmt.Sprintf(format, args...)) }
	if got := o.Under.share(); got < l.share {
		say("%.1f %% of the victims' requests succeeded: %s", 100*got, o.Under.Error)
	}
	if l.slower > 0 && float64(o.Under.P99) > l.slower*float64(o.Quiet.P99) {
		say("the victims' p99 is %s, it was %s", round(o.Under.P99), round(o.Quiet.P99))
	}
	if o.Tally.Connections == 0 {
		say("no attacker has come through: %s", strings.Join(o.Tally.Words(), ", "))
	}
	if !ours {
		return broken
	}
	if grown := (o.Peak.RSS - o.Before.RSS) / mebi; grown > l.memory+l.each*int64(o.Attackers)/1024 {
		say("the edge's memory has grown by %d MiB", grown)
	}
	if l.named && (abuse || o.Tally.Cut > 0) && o.Says.Lines == 0 && len(o.Says.Metrics) == 0 {
		say("neither log nor metrics tell of the attackers, of whom %d were cut off", o.Tally.Cut)
	}
	if o.Says.Panics > 0 {
		say("the edge's log speaks of a panic")
	}
	return broken
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

// siege makes the attacks, one after the other.
func siege(ctx context.Context, o options, attacks []attack.Attack, errs io.Writer) ([]outcome, error) {
	rig.RaiseFiles(4*o.slowConnections + 4096) // the edge may need two for each, and one of our origin's is at the other end
	setNice(niceVictims)
	origin, err := rig.StartOrigin(ctx)
	if err != nil {
		return nil, err
	}
	defer origin.Stop()
	dir, err := os.MkdirTemp("", "nearcast-flood-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // logs
	cert, err := rig.NewCertificate(dir)
	if err != nil {
		return nil, err
	}
	f := &field{o: o, origin: origin, cert: cert}
	var outcomes []outcome
	for _, a := range attacks {
		f.dir = fmt.Sprintf("%s/%s", dir, a.Name)
		if err := os.Mkdir(f.dir, 0o755); err != nil {
			return outcomes, err
		}
		got, err := f.battle(ctx, a)
		if errors.Is(err, errNoTLS) {
			fmt.Fprintf(errs, "%s: %v\n", a.Name, err)
			continue
		}
		if err != nil {
			return outcomes, fmt.Errorf("%s: %w", a.Name, err)
		}
		outcomes = append(outcomes, got)
		fmt.Fprintf(errs, "%s: %s\n", a.Name, cmp.Or(strings.Join(got.Broken, "; "), "ok"))
	}
	return outcomes, nil
}

const (
	niceVictims   = -15
	niceAttackers = 0
)

// setNice asks the system to let the victims, which are in this process, and the edge run before the attackers and whatever else
// there is: a visitor's machine does not wait for an attacker's. Linux has a priority for each thread; those to come inherit it, and so
// do processes. Without the privilege it stays as it is.
func setNice(nice int) {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	for _, t := range threads {
		if id, err := strconv.Atoi(t.Name()); err == nil {
			syscall.Setpriority(syscall.PRIO_PROCESS, id, nice) //nolint:errcheck // see above
		}
	}
}

var errNoTLS = errors.New("left out: the edge has no TLS port")

// field is where battles are fought.
type field struct {
	o      options
	origin *rig.Origin
	cert   rig.Certificate
	dir    string
}

// battle starts an edge, lets victims and attackers at it, and stops it.
func (f *field) battle(ctx context.Context, a attack.Attack) (outcome, error) {
	target := attack.Target{Plain: f.o.edge, TLS: f.o.tls, Small: smallObject, Large: largeObject, Drip: f.o.drip}
	var e *rig.Edge
	if f.o.edge == "" {
		var err error
		e, err = rig.StartEdge(ctx, rig.EdgeConfig{Program: f.o.program, Dir: f.dir, Origin: f.origin.Addr, Certificate: f.cert, Core: f.o.serverCore})
		if err != nil {
			return outcome{}, err
		}
		defer e.Stop()
		target.Plain, target.TLS = e.Plain, e.TLS
	}
	if target.TLS == "" && !a.Plain {
		return outcome{}, errNoTLS
	}
	victims := newVictims(target)
	for _, v := range victims {
		defer v.client.CloseIdleConnections()
		large := *v
		large.url = strings.Replace(v.url, smallObject, largeObject, 1)
		large.ask(ctx) //nolint:errcheck // it fills the cache, and complains of the length
		if err := v.ask(ctx); err != nil {
			return outcome{}, fmt.Errorf("a visitor before anything has begun: %w", err)
		}
	}
	return f.fight(ctx, a, target, victims, e)
}

// fight watches the victims without and with the attack.
func (f *field) fight(ctx context.Context, a attack.Attack, target attack.Target, victims []*victim, e *rig.Edge) (outcome, error) {
	got := outcome{Attack: a.Name, Quiet: visit(ctx, victims, f.o.quiet)}
	n := f.o.connections
	if a.Slow {
		n = f.o.slowConnections
	}
	got.Attackers = n
	var metrics map[string]float64
	if e != nil {
		got.Before = look(ctx, e, true)
		metrics, _ = e.Metrics(ctx) // without them, all have grown
	}
	asked, start := f.origin.Requests(), time.Now()
	attackers, err := startAttackers(ctx, f.o, f.dir, attackerJob{Attack: a.Name, Target: target, Connections: n, Longest: f.o.duration + time.Minute})
	if err != nil {
		return got, err
	}
	defer attackers.Stop()
	attackers.approach(ctx)
	watching, stop := context.WithCancel(ctx)
	peak := make(chan footprint, 1)
	go func() {
		if e == nil {
			peak <- footprint{}
			return
		}
		peak <- watch(watching, e)
	}()
	got.Under = visit(ctx, victims, f.o.duration)
	stop()
	got.Peak = <-peak
	if got.Tally, err = attackers.callOff(); err != nil {
		return got, err
	}
	got.Took, got.Origin = time.Since(start), f.origin.Requests()-asked
	if e != nil {
		got.After = settle(ctx, e, got.Before, 10*time.Second)
		now, _ := e.Metrics(ctx) // without them, none has grown
		if got.Says, err = investigate(e.Log, metrics, now); err != nil {
			return got, err
		}
		select {
		case <-e.Ended():
			return got, errors.New("the edge has ended")
		default:
		}
	}
	got.Broken = f.o.limits.check(got, a.Abuse, e != nil)
	return got, ctx.Err()
}

// writeTable prints the outcomes.
func writeTable(out io.Writer, outcomes []outcome) {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "attack\tconnections\tcut\tunits\tlast words\tvictims ok\tp50 quiet/under\tp99 quiet/under\tratio\tRSS MiB before/peak/after\tgoroutines\tfiles\torigin\tlog lines\tbroken")
	for _, o := range outcomes {
		said := ""
		if words := o.Tally.Words(); len(words) > 0 {
			said = fmt.Sprintf("%s (%d)", words[0], o.Tally.Said[words[0]])
		}
		ratio := float64(o.Under.P99) / float64(max(1, o.Quiet.P99))
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\t%.1f %%\t%s/%s\t%s/%s\t%.1f\t%d/%d/%d\t%d/%d/%d\t%d/%d/%d\t%d\t%d\t%s\n",
			o.Attack, o.Tally.Connections, o.Tally.Cut, o.Tally.Units, said, 100*o.Under.share(),
			round(o.Quiet.P50), round(o.Under.P50), round(o.Quiet.P99), round(o.Under.P99), ratio,
			o.Before.RSS/mebi, o.Peak.RSS/mebi, o.After.RSS/mebi, o.Before.Goroutines, o.Peak.Goroutines, o.After.Goroutines,
			o.Before.Files, o.Peak.Files, o.After.Files, o.Origin, o.Says.Lines, strings.Join(o.Broken, "; "))
	}
	w.Flush() //nolint:errcheck // a terminal or a buffer
	for _, o := range outcomes {
		if o.Says.Example != "" {
			fmt.Fprintf(out, "%s: %s\n", o.Attack, o.Says.Example)
		}
		for name, grown := range o.Says.Metrics {
			fmt.Fprintf(out, "%s: %s +%g\n", o.Attack, name, grown)
		}
	}
}

// verdict is an error if any limit was broken.
func verdict(outcomes []outcome) error {
	var all []string
	for _, o := range outcomes {
		for _, b := range o.Broken {
			all = append(all, o.Attack+": "+b)
		}
	}
	if len(all) > 0 {
		return fmt.Errorf("%d limits are broken:\n%s", len(all), strings.Join(all, "\n"))
	}
	return nil
}
