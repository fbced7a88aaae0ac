package agent

import (
	"cmp"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"nearcast/cdn"
	"nearcast/internal/ring"
	"nearcast/routequality/probe"
	"nearcast/routequality/report"
)

// How often, and how patiently, things are probed.
const (
	voteEvery     = 500 * time.Millisecond
	voteTimeout   = time.Second
	popEvery      = 10 * time.Second
	originEvery   = 30 * time.Second
	pathTimeout   = 3 * time.Second // of POPs and origins whose quality is measured
	maxOrigins    = 64
	votePrefix    = "vote "
	popPrefix     = "pop "
	originPrefix  = "origin "
	httpPort      = "80"
	httpsPort     = "443"
	kindLoad      = "load"
	kindVisitors  = "visitors"
	kindNews      = "news"
	kindProbe     = "probe"
	outcomeLost   = "lost"
	outcomeAnswer = "answered"
)

// retarget gives the prober what an aggregator probes, or nothing, and forgets what it thought of POPs that are not voted on any more.
func (a *Agent) retarget() {
	a.targetsMu.Lock()
	defer a.targetsMu.Unlock()
	a.mu.Lock()
	snapshot, on := a.snapshot, a.duty.on
	a.mu.Unlock()
	var targets []probe.Target
	voted := make(map[cdn.POPName]bool)
	if on && snapshot != nil {
		targets, voted = a.targets(snapshot)
	}
	a.mu.Lock()
	for pop := range a.votes {
		if !voted[pop] {
			delete(a.votes, pop)
		}
	}
	for pop := range voted {
		if a.votes[pop] == nil {
			a.votes[pop] = new(probe.Verdict)
		}
	}
	a.mu.Unlock()
	a.prober.Set(targets)
}

// targets returns what an aggregator probes, and the POPs of which it has a vote.
func (a *Agent) targets(s *cdn.Snapshot) (targets []probe.Target, voted map[cdn.POPName]bool) {
	addrs := s.Fleet.Serving()
	var pops []cdn.POPName
	for i := range s.Fleet.POPs {
		if pop := s.Fleet.POPs[i].Name; len(addrs[pop]) > 0 {
			pops = append(pops, pop)
		}
	}
	voted = make(map[cdn.POPName]bool)
	for _, pop := range pops {
		if pop == a.cfg.POP {
			continue
		}
		targets = append(targets, probe.Target{Name: popPrefix + string(pop), Addrs: addrs[pop], Ask: true, Every: popEvery, Timeout: pathTimeout})
		if len(voted) < report.MaxVotes && slices.Contains(report.Voters(pop, pops), a.cfg.POP) {
			voted[pop] = true
			targets = append(targets, probe.Target{Name: votePrefix + string(pop), Addrs: addrs[pop], Ask: true, Every: voteEvery, Timeout: voteTimeout})
		}
	}
	for _, origin := range a.shortlist(s.Sites) {
		if host := hostOf(origin); host != "" {
			targets = append(targets, probe.Target{Name: originPrefix + origin, Host: host, Every: originEvery, Timeout: pathTimeout})
		}
	}
	return targets, voted
}

// shortlist returns the origins of the sites, each once; if they are too many, other ones in each POP, so that somebody probes each.
func (a *Agent) shortlist(sites []cdn.Site) []string {
	var all []string
	for i := range sites {
		for _, raw := range sites[i].Origin.URLs {
			if u, err := cdn.ParseOriginURL(raw); err == nil {
				all = append(all, u)
			}
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if len(all) > maxOrigins {
		all = ring.Rank("origins "+string(a.cfg.POP), all)[:maxOrigins]
	}
	return all
}

// hostOf returns "name:port" of an origin, or nothing.
func hostOf(origin string) string {
	u, err := url.Parse(origin)
	if err != nil || u.Hostname() == "" {
		return ""
	}
	port := httpPort
	if u.Scheme == "https" {
		port = httpsPort
	}
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port))
}

// probed takes a result of the prober.
func (a *Agent) probed(r probe.Result) {
	kind, name, _ := strings.Cut(r.Target, " ")
	outcome := outcomeAnswer
	if r.Err != nil {
		outcome = outcomeLost
	}
	a.metrics.probes.WithLabelValues(kind, outcome).Inc()
	if kind+" " == votePrefix {
		a.vote(cdn.POPName(name), r.Err == nil)
		return
	}
	p := report.Probe{To: name, RTT: report.Lost, At: r.At}
	if r.Err == nil {
		p.RTT = float64(r.RTT.Round(time.Microsecond)) / float64(time.Millisecond)
	}
	for _, s := range a.servers {
		s.probed(p)
	}
}

// vote takes a result for a vote, and tells at once if the vote has changed.
func (a *Agent) vote(pop cdn.POPName, answered bool) {
	a.mu.Lock()
	v := a.votes[pop]
	changed := v != nil && v.Observe(answered)
	a.mu.Unlock()
	if changed {
		a.urgent()
	}
}

// popReport begins the next report about the POP.
func (a *Agent) popReport() *report.POP {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := &report.POP{
		POP:         a.cfg.POP,
		From:        a.cfg.Node,
		Incarnation: a.incarnation,
		Seq:         a.popSeq.Add(1),
		At:          a.cfg.Now(),
		Members:     a.members,
		Dropped:     a.dropped.Load(),
	}
	for pop, v := range a.votes {
		if up, known := v.Up(); known {
			p.Votes = append(p.Votes, report.Vote{POP: pop, Up: up})
		}
	}
	slices.SortFunc(p.Votes, func(x, y report.Vote) int { return cmp.Compare(x.POP, y.POP) })
	return p
}
