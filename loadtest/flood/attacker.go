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
// It gets an [attackerJob] as JSON and attacks until its input ends; then it writes its tally.
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
	replies := json.NewDecoder(in)
	if err := replies.Decode(&job); err != nil {
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
	tally, err := a.Run(ctx, job.Target, job.Connections)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(tally)
}

// startAttacker starts the attackers' process.
func startAttacker(ctx context.Context, o options, dir string, job attackerJob) (*rig.Process, error) {
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
	return p, nil
}

// callOff ends the attack and returns what became of it.
func callOff(p *rig.Process) (attack.Tally, error) {
	var tally attack.Tally
	p.In.Close() //nolint:errcheck // a pipe
	if err := json.NewDecoder(p.Out).Decode(&tally); err != nil {
		return tally, fmt.Errorf("reading the attackers' tally: %w", err)
	}
	return tally, p.Wait()
}
