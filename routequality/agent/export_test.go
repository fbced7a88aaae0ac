package agent

import (
	"net/http"

	"nearcast/cdn"
	"nearcast/routequality/report"
)

// SetTransport makes the agent speak to its servers through rt.
func (a *Agent) SetTransport(rt http.RoundTripper) {
	for _, s := range a.servers {
		s.http.Transport = rt
	}
}

// Bounds of what waits for a server.
const (
	MaxKept    = maxKept
	MaxBatches = maxBatches
	MaxPosted  = maxPosted
)

// Add gives a report to the first server; its rows that wait are returned, and how many reports they are in.
func (a *Agent) Add(n *report.Node) (rows, reports int) {
	s := a.servers[0]
	s.add(n)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept, len(s.visitors)
}

// AddProbe gives a probe to the first server and returns how many wait.
func (a *Agent) AddProbe(p report.Probe) int {
	s := a.servers[0]
	s.probed(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.probes)
}

// Take returns what the first server would be told next.
func (a *Agent) Take() *report.POP {
	p := a.popReport()
	a.servers[0].take(p)
	return p
}

// Shortlist returns the origins that are probed.
func (a *Agent) Shortlist(sites []cdn.Site) []string { return a.shortlist(sites) }

// Split divides a batch.
func Split(b *cdn.VisitorBatch) []*cdn.VisitorBatch { return split(b) }

// HostOf returns "name:port" of an origin.
func HostOf(origin string) string { return hostOf(origin) }
