// Package route finds the site of a request's host, in a table that is compiled
// from a configuration snapshot and never changes.
//
// It is not for paths: which of a site's routes rules a request is
// [cdn.Site.RouteFor].
package route

import (
	"errors"
	"fmt"
	"strings"

	"nearcast/cdn"
)

// Table maps hosts to sites. It is immutable.
type Table struct {
	sites map[cdn.Domain]*cdn.Site
	zone  cdn.Domain // empty if there is none
	nodes map[cdn.NodeName]bool
	any   *cdn.Site // serves every host; nil if hosts matter
}

// Compile builds the table of a snapshot, which must not be changed afterwards. A
// domain that two sites claim is an error.
func Compile(s *cdn.Snapshot) (*Table, error) {
	t := &Table{sites: make(map[cdn.Domain]*cdn.Site), zone: s.Fleet.Zone, nodes: make(map[cdn.NodeName]bool)}
	for i := range s.Fleet.Nodes {
		t.nodes[s.Fleet.Nodes[i].Name] = true
	}
	var mistakes []error
	for i := range s.Sites {
		site := &s.Sites[i]
		for _, d := range site.Domains {
			if other := t.sites[d]; other != nil && other != site {
				mistakes = append(mistakes, fmt.Errorf("domain %s belongs to both site %s and site %s", d, other.Name, site.Name))
			}
			t.sites[d] = site
		}
	}
	if len(mistakes) > 0 {
		return nil, cdn.Errorf(cdn.Invalid, "edge/route.Compile", "%w", errors.Join(mistakes...))
	}
	return t, nil
}

// Single returns the table that has one site for every host.
func Single(site *cdn.Site) *Table { return &Table{any: site} }

// Names reports whether a host is a node's own name for a site, node.D.zone.
func (t *Table) Names(host cdn.Domain) bool {
	if t.any != nil || t.zone == "" || t.sites[host] != nil {
		return false
	}
	domain, ok := host.Within(t.zone)
	if !ok || t.sites[domain] != nil {
		return false
	}
	node, rest, _ := strings.Cut(string(domain), ".")
	return t.sites[cdn.Domain(rest)] != nil && t.nodes[cdn.NodeName(node)]
}

// Match returns the site that serves a host and the domain under which the site knows
// it. Beside a site's own domain D these are D.zone, the target of its CNAME, and
// node.D.zone, which names a node as well.
func (t *Table) Match(host cdn.Domain) (*cdn.Site, cdn.Domain, bool) {
	if t.any != nil {
		return t.any, host, true
	}
	if site := t.sites[host]; site != nil {
		return site, host, true
	}
	if t.zone == "" {
		return nil, "", false
	}
	domain, ok := host.Within(t.zone)
	if !ok {
		return nil, "", false
	}
	if site := t.sites[domain]; site != nil {
		return site, domain, true
	}
	node, rest, _ := strings.Cut(string(domain), ".")
	site := t.sites[cdn.Domain(rest)]
	if site == nil || !t.nodes[cdn.NodeName(node)] {
		return nil, "", false
	}
	return site, cdn.Domain(rest), true
}
