package api

import (
	"cmp"
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"nearcast/cdn"
	"nearcast/control/wire"
)

// Schedulers are asked where visitors are sent. Package schedulers has it.
type Schedulers interface {
	// Route says why a visitor is sent where it is, as one scheduler sees it, or if that is empty, any.
	Route(ctx context.Context, name cdn.Domain, visitor netip.Addr, scheduler cdn.NodeName) (*cdn.RouteExplanation, error)
	// Maps returns what each of them answers from.
	Maps(ctx context.Context) ([]wire.SchedulerMap, error)
	// Accept tells each of them that what it does not believe is true.
	Accept(ctx context.Context) ([]wire.SchedulerAcceptance, error)
}

func (s *server) route(r *http.Request) (*cdn.RouteExplanation, error) {
	q := r.URL.Query()
	name, err := cdn.ParseDomain(q.Get("name"))
	if err != nil {
		return nil, err
	}
	visitor, err := netip.ParseAddr(q.Get("client"))
	if err != nil || visitor.Zone() != "" {
		return nil, cdn.Errorf(cdn.Invalid, "", "client %q: want the IP address of a visitor", q.Get("client"))
	}
	var scheduler cdn.NodeName
	if text := q.Get("scheduler"); text != "" {
		if scheduler, err = cdn.ParseNodeName(text); err != nil {
			return nil, err
		}
	}
	return s.Schedulers.Route(r.Context(), name, visitor.Unmap(), scheduler)
}

func (s *server) maps(r *http.Request) ([]wire.SchedulerMap, error) {
	return s.Schedulers.Maps(r.Context())
}

// acceptMap is an operator's word that what schedulers do not believe is true.
func (s *server) acceptMap(r *http.Request) ([]wire.SchedulerAcceptance, error) {
	s.Log.InfoContext(r.Context(), "audit", "what", r.Method+" "+r.URL.Path, "by", actor(r))
	return s.Schedulers.Accept(r.Context())
}

func (s *server) table(r *http.Request) (wire.Table, error) {
	query, err := tableQuery(r)
	if err != nil {
		return wire.Table{}, err
	}
	table := s.Health()
	if table == nil {
		return wire.Table{}, cdn.Errorf(cdn.Unavailable, "", "control has no route table: it follows none (--routequality URL), or the service has not answered yet")
	}
	return partOf(table, query), nil
}

func tableQuery(r *http.Request) (q wire.TableQuery, err error) {
	values := r.URL.Query()
	q.Only, q.Group = values.Get("only"), values.Get("group")
	if !slices.Contains([]string{"", "groups", "links", "health"}, q.Only) {
		return q, cdn.Errorf(cdn.Invalid, "", "parameter only: %q is not one of groups, links, health", q.Only)
	}
	if text := values.Get("limit"); text != "" {
		if q.Limit, err = strconv.Atoi(text); err != nil || q.Limit < 0 {
			return q, cdn.Errorf(cdn.Invalid, "", "parameter limit: %q is not a whole number from 0", text)
		}
	}
	return q, nil
}

// partOf returns what of a table is wanted. The table stays as it is.
func partOf(whole *cdn.RouteTable, q wire.TableQuery) wire.Table {
	t := *whole
	if q.Only == "links" || q.Only == "health" {
		t.Groups = nil
	}
	if q.Only == "groups" || q.Only == "health" {
		t.Links = nil
	}
	if q.Only == "groups" || q.Only == "links" {
		t.Nodes, t.POPs, t.Sites = []cdn.NodeHealth{}, nil, nil
	}
	if part := strings.ToLower(q.Group); part != "" {
		t.Groups = slices.DeleteFunc(slices.Clone(t.Groups), func(g *cdn.VisitorGroup) bool {
			return !strings.Contains(strings.ToLower(string(g.Name)), part)
		})
	}
	answer := wire.Table{Groups: len(t.Groups), Links: len(t.Links), Table: &t}
	if q.Limit > 0 {
		t.Groups = slices.SortedStableFunc(slices.Values(t.Groups), func(a, b *cdn.VisitorGroup) int {
			return cmp.Or(cmp.Compare(b.Octets, a.Octets), cmp.Compare(b.Requests, a.Requests))
		})
		t.Groups, t.Links = t.Groups[:min(len(t.Groups), q.Limit)], t.Links[:min(len(t.Links), q.Limit)]
	}
	return answer
}
