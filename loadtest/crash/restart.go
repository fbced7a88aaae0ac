package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"nearcast/loadtest/rig"
)

// playRestart fills a disk with small objects, kills the edge, and looks when it serves and when it knows them all.
func playRestart(ctx context.Context, s *stage) error {
	count := s.o.objects
	if s.o.short {
		count = min(count, 20_000)
	}
	n := s.newNode(s.dir, "64MiB", "4GiB")
	defer n.kill()
	if err := n.start(ctx); err != nil {
		return err
	}
	began := time.Now()
	if err := s.fillTiny(ctx, n.Plain, count); err != nil {
		return err
	}
	took := time.Since(began)
	s.out.note("%d objects of %d octets stored in %s: %.0f/s; %d MiB resident", count, tinySize, took.Round(time.Millisecond), float64(count)/took.Seconds(), n.RSS()>>20)
	if err := rig.Pause(ctx, writeTime); err != nil {
		return err
	}
	for round := range s.out.Rounds {
		n.lives("before it was killed")
		n.kill()
		if err := s.restart(ctx, n, count, round); err != nil {
			return err
		}
	}
	return nil
}

// restart starts the edge and watches it become warm.
func (s *stage) restart(ctx context.Context, n *node, count, round int) error {
	began := time.Now()
	if err := n.start(ctx); err != nil {
		return err
	}
	client := newClient()
	defer client.CloseIdleConnections()
	asked := make(map[int]bool)
	hit := func() bool { // asks for one that was not asked for before: a miss is stored again
		at := rand.IntN(count)
		for asked[at] {
			at = (at + 1) % count
		}
		asked[at] = true
		return s.judge.try(ctx, client, "http://"+n.Plain, ask{method: http.MethodGet, path: fmt.Sprintf("/tiny/%d", at)}, nil).hit
	}
	var first, lastMiss time.Duration
	misses, row := 0, 0
	for row < 1000 && len(asked) < min(count, 20_000) && ctx.Err() == nil {
		if !hit() {
			lastMiss, row = time.Since(began), 0
			misses++
			continue
		}
		if row++; first == 0 {
			first = time.Since(began)
		}
	}
	s.out.Asked, s.out.Kept = s.out.Asked+1000, s.out.Kept+row
	s.out.note("restart %d: ready after %s, first hit after %s, last of %d misses after %s, then %d hits in a row; %d MiB resident",
		round+1, n.ready.Round(time.Millisecond), first.Round(time.Millisecond), misses, lastMiss.Round(time.Millisecond), row, n.RSS()>>20)
	if row < 1000 {
		s.out.fault("after %d requests there were still misses", len(asked))
	}
	if limit := 2 * s.o.maxStart; lastMiss > limit {
		s.out.fault("warm after %s, want %s", lastMiss.Round(time.Millisecond), limit)
	}
	return ctx.Err()
}

const (
	fillers = 32
	depth   = 16 // requests that a filler has under way
)

// fillTiny asks for the first count tiny objects, over connections that have several requests under way.
func (s *stage) fillTiny(ctx context.Context, addr string, count int) error {
	var next atomic.Int64
	var working sync.WaitGroup
	errs := make(chan error, fillers)
	for range fillers {
		working.Go(func() {
			if err := s.fillSome(ctx, addr, &next, count); err != nil {
				errs <- err
			}
		})
	}
	working.Wait()
	select {
	case err := <-errs:
		return fmt.Errorf("filling the cache: %w", err)
	default:
		return ctx.Err()
	}
}

func (s *stage) fillSome(ctx context.Context, addr string, next *atomic.Int64, count int) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // its errors are those of its use
	in, out := bufio.NewReaderSize(conn, 64<<10), bufio.NewWriter(conn)
	for ctx.Err() == nil {
		end := int(next.Add(depth))
		first := end - depth
		end = min(end, count)
		if first >= end {
			return nil
		}
		for i := first; i < end; i++ {
			fmt.Fprintf(out, "GET /tiny/%d HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", i)
		}
		if err := out.Flush(); err != nil {
			return err
		}
		for i := first; i < end; i++ {
			if err := s.readTiny(in, fmt.Sprintf("/tiny/%d", i)); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// readTiny reads a response and judges it.
func (s *stage) readTiny(in *bufio.Reader, path string) error {
	a := ask{method: http.MethodGet, path: path}
	t := s.judge.begin(a)
	resp, err := http.ReadResponse(in, nil) //nolint:bodyclose // read to its end, and the connection is used on
	if err != nil {
		return err
	}
	f, err := s.judge.head(a, t, resp)
	if err == nil {
		err = s.judge.body(a, f, resp)
	}
	s.judge.end(a, t, view{}, err, false)
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
