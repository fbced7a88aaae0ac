package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
)

// stuff asks for bulk contents of 1 MiB, each twice, from number first on, and returns the number after the last.
func stuff(ctx context.Context, j *judge, addr string, first, n int) int {
	var next atomic.Int64
	next.Store(int64(first))
	var working sync.WaitGroup
	for range 4 {
		working.Go(func() {
			client := newClient()
			defer client.CloseIdleConnections()
			for ctx.Err() == nil {
				at := int(next.Add(1)) - 1
				if at >= first+n {
					return
				}
				twice(ctx, j, client, "http://"+addr, at, nil)
			}
		})
	}
	working.Wait()
	return first + n
}

// stuff does so beside the crowd until that is dismissed, and returns the number after the last.
func (c *crowd) stuff(ctx context.Context, next int) int {
	client := newClient()
	defer client.CloseIdleConnections()
	for ; ctx.Err() == nil && !c.gone.Load(); next++ {
		c.quiet.RLock()
		twice(context.WithoutCancel(ctx), c.judge, client, c.base, next, c.gone.Load)
		c.quiet.RUnlock()
	}
	return next
}

func twice(ctx context.Context, j *judge, client *http.Client, base string, number int, gone func() bool) {
	for range 2 { // the second proves that it is wanted
		j.try(ctx, client, base, ask{method: http.MethodGet, path: fmt.Sprintf("/bulk/%d", number)}, gone)
	}
}
