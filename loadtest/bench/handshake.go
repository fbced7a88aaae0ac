package main

import (
	"context"
	"crypto/tls"
	"slices"
	"sync"
	"time"
)

// runHandshakes makes new connections for a while, with one request on each.
func runHandshakes(ctx context.Context, job clientJob, tell func(clientReport) error, proceed func() error) error {
	d := newDialer(job)
	caches := make([]tls.ClientSessionCache, workers)
	var first tally
	for i := range caches { // one for each worker, so that none waits for another's ticket
		if job.Resume {
			caches[i] = tls.NewLRUClientSessionCache(4)
		}
		d.handshake(ctx, caches[i], &first)
	}
	if err := tell(first.sum); err != nil {
		return err
	}
	if err := proceed(); err != nil {
		return err
	}
	var t tally
	start := time.Now()
	var done sync.WaitGroup
	for _, sessions := range caches {
		done.Go(func() {
			for time.Since(start) < job.Duration && ctx.Err() == nil {
				d.handshake(ctx, sessions, &t)
			}
		})
	}
	done.Wait()
	t.sum.Elapsed = time.Since(start)
	slices.Sort(t.took)
	t.sum.P50, t.sum.P99 = percentile(t.took, 50), percentile(t.took, 99)
	return tell(t.sum)
}

// handshake makes a connection, asks for the path and closes. In TLS 1.3 the ticket for the next connection comes
// before the response.
func (d *dialer) handshake(ctx context.Context, sessions tls.ClientSessionCache, t *tally) {
	start := time.Now()
	conn, err := d.dial(ctx, sessions)
	if err != nil {
		t.add(0, false, err)
		return
	}
	defer conn.Close() //nolint:errcheck // all was read
	err = d.request(conn)
	resumed := false
	if secure, ok := conn.(*tls.Conn); ok {
		resumed = secure.ConnectionState().DidResume
	}
	t.add(time.Since(start), resumed, err)
}
