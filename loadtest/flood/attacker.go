package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"nearcast/loadtest/flood/attack"
	"nearcast/loadtest/rig"
)

// attackerCommand is the hidden subcommand by which the program is the attackers: a process of its own, on a core of its own.
// It gets an [attackerJob] as JSON and attacks until its input ends. It writes true when the first attacker has come through, and its
// tally at the end.
const attackerCommand = "attacker"

type attackerJob struct {
	Attack      string        `json:"attack"`
	Target      attack.Target `json:"target"`
	Connections int           `json:"connections"`
	// Longest ends it whatever becomes of who started it.
	Longest time.Duration `json:"longest"`
}

// runAttacker is the process.
func runAttacker(ctx context.Context, in io.Reader, out io.Writer) error {
	setNice(niceAttackers)
	var job attackerJob
	if err := json.NewDecoder(in).Decode(&job); err != nil {
		return fmt.Errorf("reading the job: %w", err)
	}
	a, err := attack.ByName(job.Attack) //nolint:contextcheck // a session has the context of its attack
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, job.Longest)
	defer cancel()
	go func() { // ends with the input, which the end of the process ends at the latest
		io.Copy(io.Discard, in) //nolint:errcheck // any end is one
		cancel()
	}()
	replies := json.NewEncoder(out)
	tally, err := a.Run(ctx, job.Target, job.Connections, func() {
		replies.Encode(true) //nolint:errcheck // nobody listens: the tally's error will say
	})
	if err != nil {
		return err
	}
	return replies.Encode(tally)
}

// attackers are the attackers' process, seen from the siege.
type attackers struct {
	*rig.Process
	begun chan struct{} // closed when the first of them has come through, or when none can any more
	tally attack.Tally  // valid once ended is closed, as is err
	err   error
	ended chan struct{}
}

// startAttackers starts the attackers' process.
func startAttackers(ctx context.Context, o options, dir string, job attackerJob) (*attackers, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p, err := rig.Start(ctx, rig.Command{
		Name: "attacker", Path: self, Args: []string{attackerCommand}, Core: o.loadCore, Pipes: true, Output: dir + "/attacker.log",
	})
	if err != nil {
		return nil, err
	}
	if err := json.NewEncoder(p.In).Encode(job); err != nil {
		p.Stop()
		return nil, fmt.Errorf("starting the attackers: %w", err)
	}
	a := &attackers{Process: p, begun: make(chan struct{}), ended: make(chan struct{})}
	go a.listen() // ends with the process
	return a, nil
}

// listen reads what the process says.
func (a *attackers) listen() {
	defer close(a.ended)
	replies := json.NewDecoder(a.Out)
	var first json.RawMessage
	a.err = replies.Decode(&first)
	close(a.begun)
	switch {
	case a.err != nil:
	case string(first) == "true":
		a.err = replies.Decode(&a.tally)
	default: // none has come through
		a.err = json.Unmarshal(first, &a.tally)
	}
}

// longestApproach is how long attackers may take until the first has come through.
const longestApproach = 10 * time.Second

// approach waits until the first attacker has come through: on a busy machine, hundreds of handshakes take longer than a short attack.
func (a *attackers) approach(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, longestApproach)
	defer cancel()
	select {
	case <-a.begun:
	case <-ctx.Done():
	}
}

// callOff ends the attack and returns what became of it.
func (a *attackers) callOff() (attack.Tally, error) {
	a.In.Close() //nolint:errcheck // a pipe
	<-a.ended
	if a.err != nil {
		return a.tally, fmt.Errorf("reading the attackers' tally: %w", a.err)
	}
	return a.tally, a.Wait()
}
