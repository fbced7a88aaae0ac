package api

import (
	"context"
	"net/http"
	"strings"

	"nearcast/cdn"
	"nearcast/control/wire"
)

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
		Drains: names(snap.Drains), FleetRefused: s.Fleet.Refused(),
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
