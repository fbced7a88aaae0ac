package agent

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"nearcast/cdn"
	"nearcast/internal/httpjson"
	"nearcast/routequality/report"
)

const (
	// postTimeout bounds the telling of a server.
	postTimeout = 2 * time.Second
	// coalesce is how long news waits for more.
	coalesce = 20 * time.Millisecond
	// maxPosted bounds the rows about visitors (networks and sites) in one report, so that it has less than [report.MaxBody] octets whatever they are.
	maxPosted = 3 * report.MaxSamples
	// maxKept bounds the rows that wait for a server that does not answer: about 10 MB.
	maxKept = 16 * report.MaxSamples
	// maxBatches bounds the reports that they are in.
	maxBatches = 1024
)

// server is a route-quality server, and what is to be told to it.
type server struct {
	agent *Agent
	name  string // host and port, for people
	url   string
	http  *http.Client
	due   chan struct{} // capacity 1: a second is over
	news  chan struct{} // capacity 1: there is something that must not wait for it
	bad   bool          // the last report was not taken; of run only

	mu       sync.Mutex // guards the following
	loads    map[cdn.NodeName]*report.Node
	visitors []*report.Node // the oldest first
	kept     int            // rows in visitors
	probes   []report.Probe // the oldest first
}

func newServer(a *Agent, base *url.URL) *server {
	s := &server{
		agent: a,
		name:  base.Host,
		url:   base.JoinPath("/v1/report").String(),
		http: &http.Client{
			Transport:     &http.Transport{MaxIdleConns: 1, MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute, DisableCompression: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // it would lose the token, or tell it to somebody
		},
		due:   make(chan struct{}, 1),
		news:  make(chan struct{}, 1),
		loads: make(map[cdn.NodeName]*report.Node),
	}
	a.metrics.start(s.name)
	return s
}

// urgent tells all servers at once.
func (a *Agent) urgent() {
	for _, s := range a.servers {
		kick(s.news)
	}
}

// add takes a report of a node. It is not changed any more.
func (s *server) add(n *report.Node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.Visitors != nil {
		s.visitors = append(s.visitors, n)
		s.kept += rows(n)
		s.trimLocked()
		return
	}
	if _, known := s.loads[n.Node]; !known && len(s.loads) == report.MaxMembers {
		s.agent.drop(kindLoad, 1)
		return
	}
	s.loads[n.Node] = n
}

// trimLocked drops the oldest rows about visitors until there is room for the others.
func (s *server) trimLocked() {
	for s.kept > maxKept || len(s.visitors) > maxBatches {
		s.kept -= rows(s.visitors[0])
		s.agent.drop(kindVisitors, max(1, rows(s.visitors[0])))
		s.visitors = s.visitors[1:]
	}
}

// probed takes a probe.
func (s *server) probed(p report.Probe) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.probes) == report.MaxProbes {
		s.probes = s.probes[1:]
		s.agent.drop(kindProbe, 1)
	}
	s.probes = append(s.probes, p)
}

// clear forgets everything: this node is no aggregator any more.
func (s *server) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.agent.drop(kindVisitors, s.kept)
	s.agent.drop(kindProbe, len(s.probes))
	clear(s.loads)
	s.visitors, s.kept, s.probes = nil, 0, nil
}

// take moves what is to be told next into a report.
func (s *server) take(p *report.POP) {
	s.mu.Lock()
	defer s.mu.Unlock()
	loads := slices.SortedFunc(maps.Values(s.loads), func(x, y *report.Node) int { return cmp.Compare(x.Node, y.Node) })
	clear(s.loads)
	for _, n := range loads {
		p.Nodes = append(p.Nodes, *n)
	}
	room := maxPosted
	for len(s.visitors) > 0 && len(p.Nodes) < report.MaxNodes && rows(s.visitors[0]) <= room {
		room -= rows(s.visitors[0])
		s.kept -= rows(s.visitors[0])
		p.Nodes = append(p.Nodes, *s.visitors[0])
		s.visitors = s.visitors[1:]
	}
	p.Probes, s.probes = s.probes, nil
}

// giveBack takes what was not told: visitors wait for the next report, all else has been overtaken by then.
func (s *server) giveBack(p *report.POP, keep bool) {
	s.agent.drop(kindProbe, len(p.Probes))
	keep = keep && s.agent.onDuty()
	var back []*report.Node
	kept := 0
	for i := range p.Nodes {
		switch n := &p.Nodes[i]; {
		case n.Visitors == nil:
			s.agent.drop(kindLoad, 1)
		case !keep:
			s.agent.drop(kindVisitors, max(1, rows(n)))
		default:
			back = append(back, n)
			kept += rows(n)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.visitors = append(back, s.visitors...)
	s.kept += kept
	s.trimLocked()
}

// run tells the server until ctx ends.
func (s *server) run(ctx context.Context) {
	defer s.http.CloseIdleConnections()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return
		case <-s.due:
		case <-s.news:
			sleep(ctx, coalesce)
		}
		for _, word := range [...]chan struct{}{s.due, s.news} {
			select {
			case <-word: // it is part of this report
			default:
			}
		}
		if s.agent.onDuty() && ctx.Err() == nil {
			s.post(ctx)
		}
	}
}

// post tells the server what there is.
func (s *server) post(ctx context.Context) {
	p := s.agent.popReport()
	s.take(p)
	body, err := p.Encode()
	if err != nil { // the bounds of the parts make it fit; this node's life must be told all the same
		s.giveBack(p, false)
		s.agent.cfg.Log.WarnContext(ctx, "a report is told without what was measured", "error", err)
		p.Nodes, p.Probes = nil, nil
		if body, err = p.Encode(); err != nil {
			s.note(ctx, "impossible", err)
			return
		}
	}
	began := time.Now()
	status, err := s.send(ctx, body)
	if ctx.Err() != nil {
		return // the node ends; nobody counts any more
	}
	s.agent.metrics.posted(s.name, len(body), time.Since(began))
	switch {
	case err == nil:
		s.note(ctx, "ok", nil)
	case status == http.StatusConflict: // it knows better already, or has this one
		s.giveBack(p, false)
		s.note(ctx, "old", err)
	case status >= 400 && status < 500 && status != http.StatusUnauthorized && status != http.StatusNotFound && status != http.StatusTooManyRequests:
		s.giveBack(p, false) // it would refuse them again
		s.note(ctx, "refused", err)
	default:
		s.giveBack(p, true)
		s.note(ctx, "failed", err)
	}
}

// note counts an outcome, and logs when trouble begins and ends.
func (s *server) note(ctx context.Context, outcome string, err error) {
	s.agent.metrics.posts.WithLabelValues(s.name, outcome).Inc()
	switch {
	case err != nil && !s.bad:
		s.agent.cfg.Log.WarnContext(ctx, "a route-quality server does not take reports; trying again each second", "server", s.name, "error", err)
	case err == nil && s.bad:
		s.agent.cfg.Log.InfoContext(ctx, "a route-quality server takes reports again", "server", s.name)
	}
	s.bad = err != nil
}

// send returns the status of the answer, zero if there is none, and an error unless it is a success.
func (s *server) send(ctx context.Context, body []byte) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("reporting: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+s.agent.cfg.Token)
	req.Header.Set("Content-Type", "application/json")
	if coding := report.Encoding(body); coding != "" {
		req.Header.Set("Content-Encoding", coding)
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return 0, fmt.Errorf("reporting: %w", err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return resp.StatusCode, fmt.Errorf("reporting: %w", httpjson.ReadError(resp))
	}
	said, err := report.DecodeAnswer(resp.Body)
	switch {
	case err != nil: // the report was taken all the same
		s.agent.cfg.Log.DebugContext(ctx, "the answer to a report cannot be used", "server", s.name, "error", err)
	case said != nil:
		s.agent.learn(s.name, said)
	}
	return resp.StatusCode, nil
}
