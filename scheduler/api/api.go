package api

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/internal/httpjson"
	"nearcast/internal/httpserve"
)

// Source is what is told of.
type Source interface { //nolint:interfacebloat // it is one thing, the scheduler
	// Explain says why a visitor of a name is sent where it is.
	Explain(name cdn.Domain, client netip.Addr) (*cdn.RouteExplanation, error)
	// Status says what is answered from.
	Status() (*cdn.MapStatus, error)
	// Versions are the newest maps, the newest last.
	Versions() []cdn.MapVersion
	// State is what another scheduler can go on from.
	State() ([]byte, error)
	// Accept says that somebody has looked, and what was not believed is true.
	Accept() (*cdn.MapAcceptance, error)
	// Relief says where the visitors of a POP would be sent instead.
	Relief(pop cdn.POPName) (*cdn.Relief, error)
}

// Config says where a server listens and what it tells of.
type Config struct {
	// Addr is where to listen, host:port. Required.
	Addr string
	// Token must be shown by those who ask; empty lets nobody in.
	Token string
	// Source is what is told of. Required.
	Source Source
	// Log gets the server's own errors. Required.
	Log *slog.Logger
	// Registry gets the server's metrics. Required.
	Registry *prometheus.Registry
}

// Server answers other programs.
type Server struct {
	log      *slog.Logger
	source   Source
	listener net.Listener
	http     *http.Server
	requests *prometheus.CounterVec
}

// New listens. [Server.Run] must be called afterwards, to serve and to close.
func New(cfg Config) (*Server, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("scheduler's API: %w", err)
	}
	s := &Server{log: cfg.Log, source: cfg.Source, listener: l, requests: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "nearcast_scheduler_api_requests_total",
		Help: "Requests to the scheduler's API, by route and result.",
	}, []string{"route", "result"})}
	cfg.Registry.MustRegister(s.requests)
	mux := http.NewServeMux()
	handle(s, mux, "GET /v1/route", s.route)
	handle(s, mux, "GET /v1/map", func(*http.Request) (*cdn.MapStatus, error) { return s.source.Status() })
	handle(s, mux, "GET /v1/map/versions", func(*http.Request) ([]cdn.MapVersion, error) { return s.source.Versions(), nil })
	handle(s, mux, "POST /v1/map/accept", func(*http.Request) (*cdn.MapAcceptance, error) { return s.source.Accept() })
	handle(s, mux, "GET /v1/relief", s.relief)
	mux.HandleFunc("GET /v1/map/state", s.state)
	s.http = &http.Server{
		Handler:           httpjson.RequireBearer(cfg.Token, mux),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      90 * time.Second, // a state can have 90 MB
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// handle registers one operation: its answer is JSON, or a problem by the error's kind.
func handle[T any](s *Server, mux *http.ServeMux, route string, operation func(*http.Request) (T, error)) {
	mux.HandleFunc(route, func(w http.ResponseWriter, r *http.Request) {
		answer, err := operation(r)
		s.requests.WithLabelValues(route, result(err)).Inc()
		if err != nil {
			httpjson.WriteError(w, err)
			return
		}
		httpjson.Write(w, http.StatusOK, answer)
	})
}

func result(err error) string {
	if err == nil {
		return "ok"
	}
	return cdn.KindOf(err).String()
}

func (s *Server) route(r *http.Request) (*cdn.RouteExplanation, error) {
	name, err := cdn.ParseDomain(r.FormValue("name"))
	if err != nil {
		return nil, fmt.Errorf("name: %w", err)
	}
	client, err := netip.ParseAddr(r.FormValue("client"))
	if err != nil {
		return nil, cdn.Errorf(cdn.Invalid, "", "client %q: want an IP address, such as 192.0.2.7", r.FormValue("client"))
	}
	return s.source.Explain(name, client.Unmap())
}

func (s *Server) relief(r *http.Request) (*cdn.Relief, error) {
	pop, err := cdn.ParsePOPName(r.FormValue("pop"))
	if err != nil {
		return nil, fmt.Errorf("pop: %w", err)
	}
	return s.source.Relief(pop)
}

func (s *Server) state(w http.ResponseWriter, _ *http.Request) {
	state, err := s.source.State()
	s.requests.WithLabelValues("GET /v1/map/state", result(err)).Inc()
	if err != nil {
		httpjson.WriteError(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(state) //nolint:errcheck // whoever asked has gone
}

// Addr returns where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Run serves until ctx ends and answers under way are done, which may take a second.
func (s *Server) Run(ctx context.Context) error {
	return httpserve.Run(ctx, s.http, s.listener, "scheduler's API", s.log)
}
