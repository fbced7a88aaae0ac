package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"nearcast/loadtest/rig"
)

// clientCommand is the hidden subcommand by which the program is a load generator: a process of its own, so that it has a
// core, a limit of open files and a bill of its own.
//
// It gets a [clientJob] as a line of JSON, answers with a [clientReport] when it is ready, and does its work between the
// next line that it gets and a second report.
const clientCommand = "client"

// clientJob is what a load generator is to do.
type clientJob struct {
	Addr     string        `json:"addr"`
	Path     string        `json:"path"`
	TLS      bool          `json:"tls"`
	Resume   bool          `json:"resume"`
	Idle     int           `json:"idle"` // connections to hold; 0 means to make new ones again and again
	Duration time.Duration `json:"duration"`
	Refresh  time.Duration `json:"refresh"` // how often an idle connection asks for something, lest it be closed
}

// clientReport is what it did.
type clientReport struct {
	Connections int64         `json:"connections"` // made, or alive
	Resumed     int64         `json:"resumed"`
	Failed      int64         `json:"failed"`
	Elapsed     time.Duration `json:"elapsed"`
	P50         time.Duration `json:"p50"`
	P99         time.Duration `json:"p99"`
	Error       string        `json:"error"` // the first
}

// client is a running load generator.
type client struct {
	*rig.Process
	replies *bufio.Reader
}

// startClient starts a load generator and waits until it is ready.
func startClient(ctx context.Context, o options, job clientJob) (*client, clientReport, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, clientReport{}, err
	}
	p, err := rig.Start(ctx, rig.Command{
		Name: "client", Path: self, Args: []string{clientCommand}, Core: o.loadCore, Pipes: true, Output: o.dir + "/client.log",
	})
	if err != nil {
		return nil, clientReport{}, err
	}
	c := &client{Process: p, replies: bufio.NewReader(p.Out)}
	line, err := json.Marshal(job)
	if err == nil {
		_, err = p.In.Write(append(line, '\n'))
	}
	if err == nil {
		var ready clientReport
		if ready, err = c.reply(); err == nil {
			return c, ready, nil
		}
	}
	c.Stop()
	return nil, clientReport{}, fmt.Errorf("load generator: %w", err)
}

// work lets it work and returns what it did.
func (c *client) work() (clientReport, error) {
	if _, err := c.In.Write([]byte("go\n")); err != nil {
		return clientReport{}, fmt.Errorf("load generator: %w", err)
	}
	return c.reply()
}

func (c *client) reply() (clientReport, error) {
	var r clientReport
	line, err := c.replies.ReadBytes('\n')
	if err != nil {
		return r, fmt.Errorf("load generator: %w", err)
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return r, fmt.Errorf("load generator: %w", err)
	}
	return r, nil
}

// runClient is the load generator.
func runClient(ctx context.Context, in io.Reader, out io.Writer) error {
	lines := bufio.NewReader(in)
	line, err := lines.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("reading the job: %w", err)
	}
	var job clientJob
	if err := json.Unmarshal(line, &job); err != nil {
		return fmt.Errorf("reading the job: %w", err)
	}
	tell := func(r clientReport) error { return json.NewEncoder(out).Encode(r) }
	proceed := func() error {
		_, err := lines.ReadBytes('\n')
		return err
	}
	run := runHandshakes
	if job.Idle > 0 {
		run = runIdle
	}
	err = run(ctx, job, tell, proceed)
	if errors.Is(err, io.EOF) {
		return nil // who asked has gone
	}
	return err
}
