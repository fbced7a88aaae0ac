package api

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/control/compile"
	"nearcast/control/feed"
	"nearcast/control/store"
	"nearcast/control/wire"
	"nearcast/internal/httpjson"
)

const (
	purgeWait   = 5 * time.Second
	explainWait = time.Second
	// casAttempts is how often a change is tried again when another one was
	// faster.
	casAttempts = 5
)

// Config says what an API works on.
type Config struct {
	// Token is the bearer token. Empty lets nobody in.
	Token string
	// Store has the logs. Required.
	Store *store.Store
	// Feed has the nodes. Required.
	Feed *feed.Feed
	// Health returns the route-quality system's view of the nodes. Nil, or a nil
	// table, means that nothing is known.
	Health func() *cdn.RouteTable
	// ZoneSecrets returns what keys of zones are sealed with, the one in use first. Nil, or none, lets no key be made.
	ZoneSecrets func() [][]byte
	// Schedulers are asked where visitors are sent. Required.
	Schedulers Schedulers
	// Version is the program's version.
	Version string
	// Now is the clock. Required.
	Now func() time.Time
	// Fleet is the fleet file. Required.
	Fleet FleetFile
	// Changed is called with a version that was appended. Nil if nobody cares.
	Changed func(*cdn.Snapshot)
	// Log gets the audit trail. Required.
	Log *slog.Logger
	// Registry gets the metrics. Required.
	Registry prometheus.Registerer
}

// FleetFile is the fleet that the control plane was started with.
type FleetFile interface {
	// Refused says why it is not in force; empty if nothing was refused.
	Refused() string
	// Accept puts it into force although it leaves little of what there was, and returns the version; by is who says so.
	Accept(ctx context.Context, by string) (cdn.Generation, error)
}

type server struct {
	Config
	requests *prometheus.CounterVec // :: route, status
}

// New returns the API's handler.
func New(cfg Config) http.Handler {
	s := &server{Config: cfg, requests: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "nearcast_control_api_requests_total", Help: "API requests with a valid token, by route and kind of error.",
	}, []string{"route", "result"})}
	if s.Health == nil {
		s.Health = func() *cdn.RouteTable { return nil }
	}
	if s.ZoneSecrets == nil {
		s.ZoneSecrets = func() [][]byte { return nil }
	}
	if s.Changed == nil {
		s.Changed = func(*cdn.Snapshot) {}
	}
	cfg.Registry.MustRegister(s.requests)
	mux := http.NewServeMux()
	handle(s, mux, "POST /v1/apply", http.StatusOK, s.apply)
	handle(s, mux, "POST /v1/diff", http.StatusOK, s.diff)
	handle(s, mux, "GET /v1/sites", http.StatusOK, s.sites)
	handle(s, mux, "GET /v1/sites/{name}", http.StatusOK, s.site)
	handle(s, mux, "DELETE /v1/sites/{name}", http.StatusOK, s.deleteSite)
	handle(s, mux, "GET /v1/versions", http.StatusOK, s.versions)
	handle(s, mux, "POST /v1/rollback", http.StatusOK, s.rollback)
	handle(s, mux, "POST /v1/fleet/accept", http.StatusOK, s.acceptFleet)
	handle(s, mux, "GET /v1/drains", http.StatusOK, s.drains)
	handle(s, mux, "POST /v1/drains", http.StatusOK, s.startDrain)
	handle(s, mux, "DELETE /v1/drains/{kind}/{name}", http.StatusOK, s.endDrain)
	handle(s, mux, "GET /v1/dnssec", http.StatusOK, s.dnssec)
	handle(s, mux, "POST /v1/dnssec/roll", http.StatusOK, s.rollKey)
	handle(s, mux, "POST /v1/dnssec/confirm", http.StatusOK, s.confirmKey)
	handle(s, mux, "POST /v1/purge", http.StatusAccepted, s.purge)
	handle(s, mux, "GET /v1/nodes", http.StatusOK, s.nodes)
	handle(s, mux, "GET /v1/status", http.StatusOK, s.status)
	handle(s, mux, "GET /v1/explain", http.StatusOK, s.explain)
	handle(s, mux, "GET /v1/route", http.StatusOK, s.route)
	handle(s, mux, "GET /v1/map", http.StatusOK, s.maps)
	handle(s, mux, "POST /v1/map/accept", http.StatusOK, s.acceptMap)
	handle(s, mux, "GET /v1/table", http.StatusOK, s.table)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		httpjson.WriteError(w, cdn.Errorf(cdn.NotFound, "", "there is no %s %s", r.Method, r.URL.Path))
	})
	return httpjson.RequireBearer(cfg.Token, mux)
}

// handle registers one operation: its answer is JSON with the status, or a
// problem by the error's kind.
func handle[T any](s *server, mux *http.ServeMux, route string, status int, operation func(*http.Request) (T, error)) {
	mux.HandleFunc(route, func(w http.ResponseWriter, r *http.Request) {
		answer, err := operation(r)
		if err != nil {
			s.requests.WithLabelValues(route, cdn.KindOf(err).String()).Inc()
			if cdn.KindOf(err) == cdn.Other {
				s.Log.ErrorContext(r.Context(), "an API request failed", "route", route, "error", err)
			}
			httpjson.WriteError(w, err)
			return
		}
		s.requests.WithLabelValues(route, "ok").Inc()
		httpjson.Write(w, status, answer)
	})
}

// actor says who asks, for the audit trail: a claim and the address it came from.
func actor(r *http.Request) string {
	claim := strings.Map(func(c rune) rune {
		if c <= ' ' || c >= 0x7f {
			return '_'
		}
		return c
	}, r.Header.Get(wire.HeaderActor))
	if claim == "" {
		claim = "api"
	}
	return claim[:min(len(claim), 64)] + " from " + r.RemoteAddr
}

// current returns the newest version; an empty one, generation zero, if there
// is none yet.
func (s *server) current(ctx context.Context) (*cdn.Snapshot, error) {
	snap, err := s.Store.Latest(ctx)
	if cdn.KindOf(err) == cdn.NotFound {
		return &cdn.Snapshot{}, nil
	}
	return snap, err
}

// shrunk asks for an explicit yes to a change that leaves too little.
func shrunk(old, next *cdn.Snapshot, force bool) error {
	if force {
		return nil
	}
	if err := compile.Shrunk(old, next); err != nil {
		return cdn.Errorf(cdn.Invalid, "", `%w; if that is meant, say so with --force ("force": true in a request)`, err)
	}
	return nil
}

// change appends what edit makes of the newest version, and again from the start
// when somebody else was faster. If edit returns nil, nothing is appended and the
// newest version is the result. What leaves too little needs force.
func (s *server) change(r *http.Request, force bool, edit func(*cdn.Snapshot) (*cdn.Snapshot, error)) (gen cdn.Generation, err error) {
	for range casAttempts {
		old, err := s.current(r.Context())
		if err != nil {
			return 0, err
		}
		if old.Generation == 0 {
			return 0, cdn.Errorf(cdn.Unavailable, "", "there is no fleet yet; start the control plane with a fleet file")
		}
		next, err := edit(old)
		if err != nil || next == nil {
			return old.Generation, err
		}
		if err := shrunk(old, next, force); err != nil {
			return old.Generation, err
		}
		next.At, next.By = s.Now().UTC(), actor(r)
		gen, err = s.Store.Append(r.Context(), old.Generation, next)
		if cdn.KindOf(err) == cdn.Conflict {
			continue
		}
		if err != nil {
			return 0, err
		}
		next.Generation = gen
		s.Log.InfoContext(r.Context(), "audit", "what", r.Method+" "+r.URL.Path, "by", next.By, "generation", gen, "digest", next.Digest())
		s.Changed(next)
		return gen, nil
	}
	return 0, cdn.Errorf(cdn.Conflict, "", "others change the configuration all the time; %d attempts failed", casAttempts)
}

// cacheNodes returns the names of the fleet's nodes that have a cache.
func cacheNodes(f *cdn.Fleet) (names []cdn.NodeName) {
	for i := range f.Nodes {
		if f.Nodes[i].Has(cdn.RoleEdge) {
			names = append(names, f.Nodes[i].Name)
		}
	}
	return names
}
