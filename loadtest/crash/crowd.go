package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// ask is a request.
type ask struct {
	method string
	path   string
	kind   int    // of the variant, 0 if the path has none
	tag    string // for If-None-Match; "" without
	ranges []span
}

// span is a range: octets first to last, to the end if last is negative, the last ones if first is.
type span struct{ first, last int64 }

// of returns the octets that it stands for in a content of size octets; none if from is not below to.
func (s span) of(size int64) (from, to int64) {
	switch {
	case s.first < 0:
		return max(0, size+s.first), size
	case s.last < 0:
		return s.first, size
	}
	return s.first, min(s.last+1, size)
}

func (s span) String() string {
	switch {
	case s.first < 0:
		return strconv.FormatInt(s.first, 10)
	case s.last < 0:
		return fmt.Sprintf("%d-", s.first)
	}
	return fmt.Sprintf("%d-%d", s.first, s.last)
}

func (a ask) rangeField() string {
	var words []string
	for _, r := range a.ranges {
		words = append(words, r.String())
	}
	return "bytes=" + strings.Join(words, ",")
}

func (a ask) String() string {
	s := a.method + " " + a.path
	if a.kind > 0 {
		s += fmt.Sprintf(" kind %d", a.kind)
	}
	if a.ranges != nil {
		s += " " + a.rangeField()
	}
	return s + a.tag
}

func (a ask) request(ctx context.Context, base string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, a.method, base+a.path, nil)
	if err != nil {
		return nil, err
	}
	if a.kind > 0 {
		req.Header.Set(kindField, strconv.Itoa(a.kind))
	}
	if a.tag != "" {
		req.Header.Set("If-None-Match", a.tag)
	}
	if a.ranges != nil {
		req.Header.Set("Range", a.rangeField())
	}
	return req, nil
}

// visitor asks one thing after the other, by chance.
type visitor struct {
	client *http.Client
	chance *rand.Rand
	lot    []class
	tags   map[spot]string // the last seen
}

func newVisitor(seed uint64) *visitor {
	v := &visitor{client: newClient(), chance: rand.New(rand.NewPCG(seed, 1)), tags: make(map[spot]string)}
	for _, c := range classes() {
		for range c.weight {
			v.lot = append(v.lot, c)
		}
	}
	return v
}

func newClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 1}, Timeout: 20 * time.Second}
}

// next draws a request. Some URLs are asked for more than others.
func (v *visitor) next() ask {
	c := v.lot[v.chance.IntN(len(v.lot))]
	n := min(v.chance.IntN(c.urls), v.chance.IntN(c.urls))
	a := ask{method: http.MethodGet, path: fmt.Sprintf("/%s/%d", c.name, n)}
	if c.kinds > 0 {
		a.kind = 1 + v.chance.IntN(c.kinds)
	}
	switch d := v.chance.IntN(100); {
	case d < 4:
		a.method = http.MethodPost
	case d < 9:
		a.method = http.MethodHead
	case d < 19 && c.tagged:
		a.tag = v.tags[spot{a.path, a.kind}]
	case d < 34:
		a.ranges = []span{v.span(c.max)}
	case d < 37:
		a.ranges = []span{v.span(c.max), v.span(c.max)}
	}
	return a
}

// span draws a range, which may lie outside.
func (v *visitor) span(longest int64) span {
	first := v.chance.Int64N(longest + 1)
	switch v.chance.IntN(4) {
	case 0:
		return span{first: -1 - first, last: -1}
	case 1:
		return span{first: first, last: -1}
	}
	return span{first: first, last: first + v.chance.Int64N(longest-first+1)}
}

// crowd are visitors at work.
type crowd struct {
	judge   *judge
	base    string
	cancel  context.CancelFunc
	working sync.WaitGroup
	gone    atomic.Bool  // the edge is dying: errors are to be expected
	quiet   sync.RWMutex // held for reading by each request
}

// gather lets n visitors loose on an edge, until they are dismissed.
func gather(ctx context.Context, j *judge, addr string, n int, seed uint64) *crowd {
	c := &crowd{judge: j, base: "http://" + addr}
	ctx, c.cancel = context.WithCancel(ctx)
	for i := range n {
		c.working.Go(func() { c.visit(ctx, newVisitor(seed*1000+uint64(i))) })
	}
	return c
}

func (c *crowd) visit(ctx context.Context, v *visitor) {
	defer v.client.CloseIdleConnections()
	for ctx.Err() == nil && !c.gone.Load() {
		a := v.next()
		if a.tag != "" && v.chance.IntN(3) == 0 && strings.HasPrefix(a.path, "/brief/") {
			c.judge.origin.change(a.path) // without a word to the cache
		}
		c.quiet.RLock()
		// Not ctx: a request ends well, or because the edge does.
		got := c.judge.try(context.WithoutCancel(ctx), v.client, c.base, a, c.gone.Load)
		c.quiet.RUnlock()
		if got.tag != "" {
			v.tags[spot{a.path, a.kind}] = got.tag
		}
	}
}

// expectEnd tells the crowd that the edge is going to die.
func (c *crowd) expectEnd() { c.gone.Store(true) }

// dismiss ends the crowd and returns when all have gone.
func (c *crowd) dismiss() {
	c.cancel()
	c.working.Wait()
}

// pause calls f while nobody asks.
func (c *crowd) pause(f func() error) error {
	c.quiet.Lock()
	defer c.quiet.Unlock()
	return f()
}
