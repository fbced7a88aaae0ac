package main

import (
	"context"
	"fmt"
	"time"

	"nearcast/loadtest/rig"
)

const (
	// idleRefresh keeps idle connections from being closed: the edge's own limit is 75 s.
	idleRefresh = 30 * time.Second
	// settle is how long a server that collects no garbage gets before its memory is read.
	settle = 3 * time.Second
)

// idles measures the memory of idle connections, with one freshly started server at a time: what a server has used and
// kept for other work would hide it.
func (b *bench) idles(ctx context.Context) error {
	for _, s := range idleScenarios() {
		if b.o.idle == 0 || !b.o.wants(s.id) {
			continue
		}
		var results []result
		for _, v := range b.servers {
			if s.tls && v.tls == "" {
				continue
			}
			m, err := b.idle(ctx, v, s)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", s.id, v.name, err)
			}
			fmt.Fprintf(b.errs, "%s  %-8s  %8.1f KiB  %s\n", s.id, v.name, m.cost, m.remark)
			results = append(results, result{Server: v.name})
			results[len(results)-1].add(m)
		}
		if len(results) > 0 {
			b.report.addIdle(s, b.o.idle, results)
		}
	}
	return nil
}

// idle measures one server.
func (b *bench) idle(ctx context.Context, v *server, s idleScenario) (measured, error) {
	if err := v.run(ctx); err != nil {
		return measured{}, err
	}
	defer func() {
		v.Stop()
		v.Process = nil
	}()
	if err := b.warm(ctx, v, scenario{tls: s.tls, path: "/1k.bin"}); err != nil {
		return measured{}, err
	}
	addr, wait := v.plain, settle
	if s.tls {
		addr = v.tls
	}
	if v.name == edgeName {
		wait = b.o.idleWait
	}
	if err := rig.Pause(ctx, settle); err != nil {
		return measured{}, err
	}
	n := b.o.idle
	if v.most > 0 {
		n = min(n, v.most)
	}
	before := v.RSS()
	c, opened, err := startClient(ctx, b.o, clientJob{Addr: addr, Path: "/1k.bin", TLS: s.tls, Idle: n, Refresh: idleRefresh})
	if err != nil {
		return measured{}, err
	}
	defer c.Stop()
	if opened.Connections == 0 {
		return measured{}, fmt.Errorf("no connection: %s", opened.Error)
	}
	if err := rig.Pause(ctx, wait); err != nil {
		return measured{}, err
	}
	after := v.RSS()
	alive, err := c.work()
	if err != nil {
		return measured{}, err
	}
	m := measured{load: load{done: alive.Connections}, cost: float64(after-before) / 1024 / float64(max(1, opened.Connections))}
	switch {
	case alive.Connections < int64(n):
		m.remark = fmt.Sprintf("%d of %d connections were opened and %d lived to the end: %s%s", opened.Connections, n, alive.Connections, opened.Error, alive.Error)
	case n < b.o.idle:
		m.remark = fmt.Sprintf("%d connections: the limit of open files allows no more", n)
	}
	return m, nil
}
