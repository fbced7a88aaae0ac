package httpfront

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/internal/httpserve"
	"nearcast/scheduler/connlimit"
	"nearcast/scheduler/decide"
	"nearcast/scheduler/view"
)

const (
	maxConns          = 4096
	maxConnsPerSource = 512 // large networks share an address
	// reuse is for how long a visitor may go to the same node without asking again,
	// in seconds; as long as a DNS answer of this scheduler.
	reuse = 20
)

// Config says where the server listens and what it answers from.
type Config struct {
	// Addr is where to listen, host:port. Required.
	Addr string
	// View returns what to answer from. It is called once for each request and must
	// not wait. While it returns nil, every answer is 503. Required.
	View func() *view.View
	// Log gets the server's own errors. Required.
	Log *slog.Logger
	// Registry gets the server's metrics. Required.
	Registry *prometheus.Registry
}

// Server redirects visitors.
type Server struct {
	log       *slog.Logger
	view      func() *view.View
	listener  net.Listener
	http      *http.Server
	redirects *prometheus.CounterVec
}

// New listens. [Server.Run] must be called afterwards, to serve and to close.
func New(cfg Config) (*Server, error) {
	open := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "nearcast_scheduler_http_connections",
		Help: "Open connections of the redirecting HTTP server.",
	})
	refused := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "nearcast_scheduler_http_connections_refused_total",
		Help: "HTTP connections closed at once because there were too many.",
	})
	s := &Server{log: cfg.Log, view: cfg.View, redirects: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "nearcast_scheduler_redirects_total",
		Help: "Answers of the redirecting HTTP server, by status code.",
	}, []string{"code"})}
	cfg.Registry.MustRegister(open, refused, s.redirects)
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("redirecting HTTP server: %w", err)
	}
	s.listener = connlimit.Listen(l, connlimit.Limits{
		Total: maxConns, PerSource: maxConnsPerSource, Open: open, Refused: refused,
	})
	s.http = &http.Server{
		Handler:                      s,
		DisableGeneralOptionsHandler: true, // "OPTIONS *" is a mistake here
		ReadHeaderTimeout:            5 * time.Second,
		ReadTimeout:                  10 * time.Second,
		WriteTimeout:                 10 * time.Second,
		IdleTimeout:                  15 * time.Second,
		MaxHeaderBytes:               32 << 10, // a request line of 16 KiB, the most that a target may have, and fields
		ErrorLog:                     slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// Addr returns where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Run serves until ctx ends and answers under way are done, which may take a second.
func (s *Server) Run(ctx context.Context) error {
	return httpserve.Run(ctx, s.http, s.listener, "redirecting HTTP server", s.log)
}

// ServeHTTP redirects to the best node for the visitor's address.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	location, status, problem := s.locate(r)
	s.redirects.WithLabelValues(strconv.Itoa(status)).Inc()
	if problem != "" {
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, problem, status)
		return
	}
	w.Header().Set("Location", location)
	w.Header().Set("Cache-Control", "private, max-age="+strconv.Itoa(reuse))
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(status)
}

// locate returns where to send the visitor, or what is the problem.
func (s *Server) locate(r *http.Request) (location string, status int, problem string) {
	v := s.view()
	if v == nil {
		return "", http.StatusServiceUnavailable, "this scheduler has no configuration yet"
	}
	host, err := cdn.ParseHost(r.Host)
	if err != nil {
		return "", http.StatusBadRequest, err.Error()
	}
	name := v.Zones.Host(host)
	switch {
	case name.Node != nil: // the node's address leads here: redirecting again would never end
		return "", http.StatusLoopDetected, fmt.Sprintf("%q is a node's own name, but it leads to a scheduler", host)
	case name.Domain == "":
		return "", http.StatusNotFound, fmt.Sprintf("the domain %q is not configured on this CDN", host)
	}
	target, err := cdn.NewTarget("http", name.Domain, requestTarget(r))
	if err != nil {
		return "", http.StatusBadRequest, err.Error()
	}
	d := decide.Answer(v, decide.Query{Domain: name.Domain, Client: peer(r), Now: time.Now()})
	if len(d.Nodes) == 0 {
		return "", http.StatusServiceUnavailable, "this CDN has no edge node"
	}
	target.Domain = cdn.Domain(d.Nodes[0].Name).Under(name.Domain.Under(v.Zone))
	location = target.Scheme + "://" + string(target.Domain) + portSuffix(v.Port) + target.RequestURI()
	return location, redirectStatus(r.Method), ""
}

// requestTarget returns path and query as the visitor wrote them, of an
// origin-form or absolute-form target (RFC 9112 section 3.2).
func requestTarget(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		return r.RequestURI
	}
	_, rest, ok := strings.Cut(r.RequestURI, "://")
	if !ok { // "*" and host:port, which nobody can be redirected with
		return r.RequestURI
	}
	i := strings.IndexAny(rest, "/?")
	if i < 0 {
		return "/"
	}
	return rest[i:]
}

// redirectStatus keeps the method: clients may turn a POST into a GET on 302 (RFC 9110 section 15.4.3).
func redirectStatus(method string) int {
	if method == http.MethodGet || method == http.MethodHead {
		return http.StatusFound
	}
	return http.StatusTemporaryRedirect
}

func portSuffix(port uint16) string {
	if port == 80 {
		return ""
	}
	return ":" + strconv.Itoa(int(port))
}

// peer returns the visitor's address. Forwarding fields are not looked at: anybody can write them.
func peer(r *http.Request) netip.Addr {
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Addr().Unmap()
}
