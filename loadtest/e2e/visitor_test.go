package e2e_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"nearcast/loadtest/labtest"
)

// visitor asks for contents at random, one after the other, of the nodes that DNS names, and judges what it gets.
type visitor struct {
	lab    *labtest.Lab
	port   string
	rng    *rand.Rand
	subnet netip.Prefix
	client *http.Client
	crowd  *crowd
}

// crowd is what visitors have in common.
type crowd struct {
	forms    *forms
	contents []*content
	asked    atomic.Int64
	mortal   netip.Addr // the node that is killed: it may break off

	mu      sync.Mutex // guards the following
	tallies map[string]int
}

func (c *crowd) count(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tallies[what]++
}

// visit asks for one content and says what is wrong with the answer.
func (v *visitor) visit(ctx context.Context) error {
	c := v.crowd.contents[v.rng.IntN(len(v.crowd.contents))]
	size := int64(len(c.body))
	coding := c.codingOf(v.rng)
	known, ok := v.crowd.forms.find(c, coding)
	if ok && v.rng.IntN(2) == 0 {
		size = int64(len(known.body)) // ranges for the coded form, too
	}
	a := randomAsk(v.rng, size, v.crowd.forms.seen(c))
	if ok && coding != "" && v.rng.IntN(10) == 0 { // by chance alone there would be no several parts of a coded content in some runs
		coded := int64(len(known.body))
		a = ask{method: http.MethodGet, accept: accept{field: coding, weights: map[string]float64{coding: 1}}}
		a.ranges = []span{randomSpan(v.rng, coded, coded/16), randomSpan(v.rng, coded, coded/16)}
	}
	r, err := v.fetch(ctx, c, &a)
	if err != nil {
		return fmt.Errorf("%s%s, %s: %w", c.domain, c.path, &a, err)
	}
	whole := func(coding string) error { return v.whole(ctx, c, coding) }
	if err := a.judge(c, r, v.crowd.forms, whole); err != nil {
		return fmt.Errorf("%s%s (%d octets), %s:\n%w\nof %s %v", c.domain, c.path, len(c.body), &a, err, r.Status, r.Header)
	}
	v.crowd.asked.Add(1)
	v.crowd.count(describe(&a, r))
	return nil
}

// codingOf returns one of the codings that the content has.
func (c *content) codingOf(rng *rand.Rand) string {
	if len(c.codings) == 0 {
		return ""
	}
	return c.codings[rng.IntN(len(c.codings))]
}

// describe names the kind of an answer.
func describe(a *ask, r *reply) string {
	words := []string{a.method, fmt.Sprint(r.StatusCode)}
	if coding := r.Header.Get("Content-Encoding"); coding != "" {
		words = append(words, coding)
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
		words = append(words, "parts")
	}
	if a.ifRange != "" {
		words = append(words, "if-range")
	}
	return strings.Join(words, " ")
}

// whole fetches a content in a coding, or in none, and learns it.
func (v *visitor) whole(ctx context.Context, c *content, coding string) error {
	a := ask{method: http.MethodGet, accept: accept{field: coding, weights: map[string]float64{coding: 1}}}
	r, err := v.fetch(ctx, c, &a)
	if err != nil {
		return err
	}
	return a.judge(c, r, v.crowd.forms, func(string) error { return fmt.Errorf("it is not whole") })
}

// fetch asks a node that DNS names. If it was the one that is killed, another is asked, as browsers do.
func (v *visitor) fetch(ctx context.Context, c *content, a *ask) (*reply, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		addrs, err := v.lab.Resolve(c.domain, v.subnet)
		if err != nil {
			return nil, err
		}
		if len(addrs) == 0 {
			return nil, fmt.Errorf("DNS names no node")
		}
		addr := addrs[v.rng.IntN(len(addrs))]
		r, err := v.fetchFrom(ctx, addr, c, a)
		if err == nil || addr != v.crowd.mortal || ctx.Err() != nil {
			return r, err
		}
		v.crowd.count("interrupted by the death of a node")
	}
}

func (v *visitor) fetchFrom(ctx context.Context, addr netip.Addr, c *content, a *ask) (*reply, error) {
	req, err := http.NewRequestWithContext(ctx, a.method, "http://"+addr.String()+":"+v.port+c.path, nil)
	if err != nil {
		return nil, err
	}
	req.Host, req.Header = c.domain, a.header()
	resp, err := v.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("%s with %v broke off after %d octets: %w", resp.Status, resp.Header, len(body), err)
	}
	return &reply{resp, body}, nil
}

// report lists what was counted.
func (c *crowd) report() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var lines []string
	for what, n := range c.tallies {
		lines = append(lines, fmt.Sprintf("%6d %s", n, what))
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(b, a) })
	return strings.Join(lines, "\n")
}
