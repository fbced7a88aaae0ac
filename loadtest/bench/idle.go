package main

import (
	"context"
	"net"
	"sync"
	"time"
)

// runIdle holds connections on which nothing happens but a request now and then, and counts in the end those that live.
func runIdle(ctx context.Context, job clientJob, tell func(clientReport) error, proceed func() error) error {
	d := newDialer(job)
	conns := make([]net.Conn, job.Idle)
	defer func() {
		for _, conn := range conns {
			if conn != nil {
				conn.Close() //nolint:errcheck // held only
			}
		}
	}()
	opened := d.each(conns, func(conn *net.Conn) (err error) {
		if *conn, err = d.dial(ctx, nil); err != nil {
			return err
		}
		return d.request(*conn)
	})
	if err := tell(opened); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var refreshing sync.WaitGroup
	refreshing.Go(func() { d.refresh(ctx, conns) })
	err := proceed()
	cancel()
	refreshing.Wait()
	if err != nil {
		return err
	}
	return tell(d.ask(conns))
}

// refresh asks on every connection each job.Refresh until ctx ends.
func (d *dialer) refresh(ctx context.Context, conns []net.Conn) {
	tick := time.NewTicker(d.job.Refresh)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			d.ask(conns)
		case <-ctx.Done():
			return
		}
	}
}

// ask makes a request on each connection.
func (d *dialer) ask(conns []net.Conn) clientReport {
	return d.each(conns, func(conn *net.Conn) error {
		if *conn == nil {
			return net.ErrClosed
		}
		return d.request(*conn)
	})
}

// each does something with every connection, and counts those with which it could.
func (d *dialer) each(conns []net.Conn, do func(*net.Conn) error) clientReport {
	var t tally
	var done sync.WaitGroup
	for w := range workers {
		done.Go(func() {
			for i := w; i < len(conns); i += workers {
				t.add(0, false, do(&conns[i]))
			}
		})
	}
	done.Wait()
	return t.sum
}
