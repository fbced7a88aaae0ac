package api

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"

	"nearcast/cdn"
	"nearcast/control/compile"
	"nearcast/control/wire"
	"nearcast/internal/httpjson"
)

// maxPurgeURLs bounds one request; a purge of more is several.
const maxPurgeURLs = 1000

func (s *server) purge(r *http.Request) (result wire.PurgeResult, err error) {
	var req wire.PurgeRequest
	if err := httpjson.Read(r, &req); err != nil {
		return result, err
	}
	snap, err := s.current(r.Context())
	if err != nil {
		return result, err
	}
	targets, err := purgeTargets(snap, req.URLs)
	if err != nil {
		return result, err
	}
	p := cdn.Purge{ID: rand.Text(), Targets: targets, At: s.Now().UTC(), By: actor(r)}
	if result.Revision, err = s.Store.AppendPurge(r.Context(), p); err != nil {
		return result, err
	}
	result.ID = p.ID
	s.Log.InfoContext(r.Context(), "audit", "what", r.Method+" "+r.URL.Path, "by", p.By, "id", p.ID, "revision", result.Revision, "urls", len(req.URLs))
	if req.Wait {
		ctx, cancel := context.WithTimeout(r.Context(), purgeWait)
		defer cancel()
		result.Applied, result.Missing = s.Feed.Applied(ctx, result.Revision, cacheNodes(&snap.Fleet))
	}
	return result, nil
}

// purgeTargets parses the URLs and checks that each belongs to a site. A page is
// the same page by http and by https, so each URL is two targets.
func purgeTargets(snap *cdn.Snapshot, urls []string) ([]cdn.Target, error) {
	if n := len(urls); n == 0 || n > maxPurgeURLs {
		return nil, cdn.Errorf(cdn.Invalid, "", "a purge has 1 to %d URLs, not %d", maxPurgeURLs, n)
	}
	owned := make(map[cdn.Domain]bool)
	for i := range snap.Sites {
		for _, d := range snap.Sites[i].Domains {
			owned[d] = true
		}
	}
	var targets []cdn.Target
	var mistakes compile.Mistakes
	seen := make(map[cdn.Target]bool)
	for i, raw := range urls {
		t, err := cdn.ParseTarget(raw)
		if err == nil && !owned[t.Domain] {
			err = fmt.Errorf("no site has the domain %s", t.Domain)
		}
		if err != nil {
			mistakes = append(mistakes, compile.Mistake{Field: fmt.Sprintf("urls[%d]", i), Message: err.Error()})
			continue
		}
		for _, scheme := range []string{"http", "https"} {
			if t.Scheme = scheme; !seen[t] {
				seen[t] = true
				targets = append(targets, t)
			}
		}
	}
	return targets, mistakes.Err()
}

func (s *server) nodes(r *http.Request) ([]wire.Node, error) {
	snap, err := s.current(r.Context())
	if err != nil {
		return nil, err
	}
	health := s.Health()
	nodes := make([]wire.Node, 0, len(snap.Fleet.Nodes))
	for i := range snap.Fleet.Nodes {
		n := &snap.Fleet.Nodes[i]
		shown := wire.Node{
			Name: n.Name, POP: n.POP, Roles: n.Roles, Addresses: n.Addresses,
			State: health.State(n.Name),
		}
		for _, role := range n.Roles {
			if r := s.report(n.Name, role); r != nil {
				shown.Reports = append(shown.Reports, *r)
			}
		}
		if pop := snap.Fleet.POP(n.POP); pop != nil {
			shown.Region, shown.Tier = pop.Region, pop.Tier
		}
		nodes = append(nodes, shown)
	}
	return nodes, nil
}

func (s *server) report(node cdn.NodeName, role cdn.Role) *wire.Report {
	r, ok := s.Feed.Report(node, role)
	if !ok {
		return nil
	}
	return &wire.Report{
		Role: role, Generation: r.Generation, PurgeRevision: r.PurgeRevision,
		Rejected: r.Rejected, RejectedReason: r.RejectedReason,
		Version: r.Version, AgeSeconds: s.Now().Sub(r.Received).Seconds(),
	}
}

// staleReport is how old a report may be, in seconds, before a node counts as
// silent: a few times the distance of two reports.
const staleReport = 10

func (s *server) status(r *http.Request) (wire.Status, error) {
	snap, err := s.current(r.Context())
	if err != nil {
		return wire.Status{}, err
	}
	head, err := s.Store.Head(r.Context())
	if err != nil {
		return wire.Status{}, err
	}
	st := wire.Status{
		Generation: snap.Generation, At: snap.At, By: snap.By, Version: s.Version,
		Zone: snap.Fleet.Zone, Sites: len(snap.Sites), PurgeHead: cdn.Revision(head.Purges.Last),
	}
	if snap.Generation > 0 {
		st.Digest = snap.Digest()
	}
	health := s.Health()
	for _, node := range cacheNodes(&snap.Fleet) {
		st.Nodes.Total++
		report := s.report(node, cdn.RoleEdge)
		silent := report == nil || report.AgeSeconds > staleReport
		if !silent && health.State(node).Usable() {
			st.Nodes.Ready++
		}
		if silent || report.Generation < snap.Generation || report.PurgeRevision < st.PurgeHead {
			st.Nodes.Lagging++
		}
	}
	return st, nil
}

func (s *server) explain(r *http.Request) (wire.Explanation, error) {
	target, err := cdn.ParseTarget(r.URL.Query().Get("url"))
	if err != nil {
		return wire.Explanation{}, err
	}
	snap, err := s.current(r.Context())
	if err != nil {
		return wire.Explanation{}, err
	}
	header, err := parseFields(r.URL.Query()["header"])
	if err != nil {
		return wire.Explanation{}, err
	}
	e := wire.Explanation{URL: target.String(), Nodes: []wire.NodeExplanation{}}
	if site := snap.SiteOf(target.Domain); site != nil {
		e.Site, e.Key, e.Route = site.Name, target.Key(site.Name), "unknown"
		e.CNAME = target.Domain.Under(snap.Fleet.Zone)
	}
	ctx, cancel := context.WithTimeout(r.Context(), explainWait)
	defer cancel()
	answers, err := s.Feed.Explain(ctx, cdn.Question{Target: target, Header: header}, cacheNodes(&snap.Fleet))
	if err != nil {
		return wire.Explanation{}, err
	}
	for _, a := range answers {
		n := wire.NodeExplanation{Node: a.Node}
		if a.Err != nil {
			n.Error = a.Err.Error()
		} else {
			n.Explanation = &a.Explanation
			if a.Explanation.Site == e.Site { // the nodes know the routes
				e.Key, e.Route = a.Explanation.Key, a.Explanation.Route
			}
		}
		e.Nodes = append(e.Nodes, n)
	}
	return e, nil
}

// parseFields parses header fields of the form "Name: value".
func parseFields(lines []string) (http.Header, error) {
	h := make(http.Header)
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !ok || name == "" || strings.ContainsAny(name, " \t\r\n") {
			return nil, cdn.Errorf(cdn.Invalid, "", `header %q is not of the form "Name: value"`, line)
		}
		h.Add(name, strings.TrimSpace(value))
	}
	return h, nil
}
