package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"nearcast/loadtest/flood/attack"
	"nearcast/loadtest/rig"
)

const (
	// victimPause is the time between two requests of one victim.
	victimPause = 20 * time.Millisecond
	// victimPatience is how long a victim waits for an answer.
	victimPatience = 5 * time.Second
	smallObject    = "/1k.bin"
	smallSize      = 1 << 10
	largeObject    = "/1m.bin"
)

// victim is a visitor with one connection.
type victim struct {
	url    string
	major  int // of HTTP/major
	client *http.Client
}

// newVictims returns visitors in every protocol that the target has.
func newVictims(t attack.Target) []*victim {
	var victims []*victim
	for range 2 {
		victims = append(victims, newVictim("http://"+t.Plain, 1))
		if t.TLS != "" {
			victims = append(victims, newVictim("https://"+t.TLS, 1), newVictim("https://"+t.TLS, 2))
		}
	}
	return victims
}

func newVictim(base string, major int) *victim {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(major == 1)
	protocols.SetHTTP2(major == 2)
	return &victim{url: base + smallObject, major: major, client: &http.Client{Timeout: victimPatience, Transport: &http.Transport{
		MaxConnsPerHost: 1, Protocols: protocols, DisableCompression: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"},
	}}}
}

// ask makes a request and reads the answer.
func (v *victim) ask(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.url, http.NoBody)
	if err != nil {
		return err
	}
	req.Host = "localhost"
	resp, err := v.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	n, err := io.Copy(io.Discard, resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode != http.StatusOK || n != smallSize:
		return fmt.Errorf("%s and %d octets", resp.Status, n)
	case resp.ProtoMajor != v.major:
		return fmt.Errorf("over %s", resp.Proto)
	}
	return nil
}

// goodput is how the victims fare for a while.
type goodput struct {
	Asked  int           `json:"asked"`
	Failed int           `json:"failed"`
	P50    time.Duration `json:"p50"`
	P99    time.Duration `json:"p99"`
	Error  string        `json:"error"` // the first
}

// share is the part of the requests that succeeded.
func (g goodput) share() float64 {
	if g.Asked == 0 {
		return 0
	}
	return 1 - float64(g.Failed)/float64(g.Asked)
}

// visit lets all victims ask for a while.
func visit(ctx context.Context, victims []*victim, d time.Duration) goodput {
	var mu sync.Mutex // guards the following
	var g goodput
	var took []time.Duration
	var visiting sync.WaitGroup
	for i, v := range victims {
		offset := victimPause * time.Duration(i) / time.Duration(len(victims))
		visiting.Go(func() {
			v.visit(ctx, offset, d, func(late time.Duration, err error) {
				mu.Lock()
				defer mu.Unlock()
				g.Asked++
				if err != nil {
					g.Failed++
					if g.Error == "" {
						g.Error = err.Error()
					}
					return
				}
				took = append(took, late)
			})
		})
	}
	visiting.Wait()
	slices.Sort(took)
	g.P50, g.P99 = percentile(took, 50), percentile(took, 99)
	return g
}

// visit asks whenever a request is due, and counts from then.
func (v *victim) visit(ctx context.Context, offset, d time.Duration, done func(time.Duration, error)) {
	start := time.Now().Add(offset)
	for due := start; due.Before(start.Add(d)); due = due.Add(victimPause) {
		if time.Since(start) > d+victimPatience {
			done(0, errNeverSent)
			continue
		}
		if rig.Pause(ctx, time.Until(due)) != nil {
			return
		}
		err := v.ask(ctx)
		done(time.Since(due), err)
	}
}

var errNeverSent = errors.New("not sent: those before took too long")

func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)*p/100, len(sorted)-1)]
}
