package scheduler

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"time"

	"nearcast/cdn"
	"nearcast/scheduler/cookie"
	"nearcast/scheduler/decide"
	"nearcast/scheduler/dnsfront"
	"nearcast/scheduler/dnswire"
	"nearcast/scheduler/flatten"
	"nearcast/scheduler/httpdns"
	"nearcast/scheduler/httpfront"
	"nearcast/scheduler/redirect"
	"nearcast/scheduler/relay"
	"nearcast/scheduler/respond"
	"nearcast/scheduler/transfer"
	"nearcast/scheduler/view"
)

// fronts are what questions come in by.
type fronts struct {
	dns       *dnsfront.Server
	http      *httpfront.Server // nil if there is neither HTTP nor TLS
	responder *respond.Responder
	transfers *transfer.Server
	resolve   *httpdns.Server // nil without http
	aliases   *flatten.Flattener
	relay     *relay.Relayer
}

// openFronts makes them, and listens. After an error nothing is left open.
func (s *Server) openFronts(cfg *Config) error {
	s.aliases = flatten.New(flatten.Config{Resolver: &flatten.System{File: "/etc/resolv.conf"}, Log: s.log, Registry: cfg.Registry})
	s.transfers = transfer.New(transfer.Config{Keys: cfg.TSIGKeys, Log: s.log, Registry: cfg.Registry})
	s.responder = respond.New(respond.Config{
		State: s.state.Load, Node: cfg.Node, Cookies: cookies(cfg.CookieSecrets), Alias: s.alias, Special: s.special,
		Metrics: respond.NewMetrics(cfg.Registry), Log: cfg.QueryLog,
	})
	var err error
	s.dns, err = dnsfront.New(dnsfront.Config{
		Addr: cfg.DNSAddr, NewResponder: s.newResponder, Transfer: s.transferTo, Log: s.log, Registry: cfg.Registry,
	})
	if err != nil || cfg.HTTPAddr == "" && len(cfg.TLSAddrs) == 0 {
		return err //nolint:wrapcheck // it says of what it is
	}
	s.resolve, err = httpdns.New(httpdns.Config{View: s.current.Load, Keys: cfg.HTTPDNSKeys, TTL: s.ttl, Seed: seed(), Log: cfg.QueryLog, Registry: cfg.Registry})
	if err != nil {
		return errors.Join(err, s.dns.Close())
	}
	s.relay = relay.New(relay.Config{Name: relayName(cfg.Node), Secret: cfg.RelaySecret, Log: s.log, Registry: cfg.Registry})
	s.http, err = httpfront.New(httpfront.Config{
		Addr: cfg.HTTPAddr, TLSAddrs: cfg.TLSAddrs, Certificates: cfg.Certificates, View: s.current.Load, Redirect: redirectWith(cfg.RedirectKey), Relay: s.relay.Serve,
		NewResponder: s.newResponder, Resolve: s.resolver(s.resolve), Proxies: proxies, QueryLog: cfg.QueryLog, Log: s.log, Registry: cfg.Registry,
		ServeStream: func(ctx context.Context, nc net.Conn) { s.dns.ServeStream(ctx, nc, respond.TLS) },
	})
	if err != nil {
		return errors.Join(err, s.dns.Close())
	}
	return nil
}

// SetHTTPDNSKeys makes keys those that clients of HTTPDNS need from now on, by their IDs. One that is too short is an error, and so are none in
// place of some, after which everybody could ask; then those before stay. They must not be changed afterwards.
func (s *Server) SetHTTPDNSKeys(keys map[string][]byte) error {
	if s.resolve == nil {
		return nil
	}
	return s.resolve.SetKeys(keys) //nolint:wrapcheck // it says of what it is
}

// SetTSIGKeys makes keys those that secondaries may name from now on; transfers under way go on with those that they began with. They must not be changed afterwards.
func (s *Server) SetTSIGKeys(keys transfer.Keys) { s.transfers.SetKeys(keys) }

// cookies makes the cookies of DNS. Without a secret of the fleet they are this process's own.
func cookies(secrets [][]byte) *cookie.Jar {
	if len(secrets) == 0 {
		secrets = [][]byte{[]byte(rand.Text())}
	}
	return cookie.New(secrets[0], secrets[1:]...)
}

// newResponder returns a function that answers queries, for one goroutine.
func (s *Server) newResponder() func(dst, query []byte, from respond.Peer) []byte {
	scratch := new(respond.Scratch)
	return func(dst, query []byte, from respond.Peer) []byte {
		return s.responder.Respond(dst, query, from, scratch)
	}
}

// special answers what secondaries ask for, but transfers over streams.
func (s *Server) special(query []byte, from respond.Peer) []byte {
	var q dnswire.Query
	if q.Parse(query); q.Transfer {
		return s.transfers.Answer(query, from.Addr)
	}
	return s.transfers.Signed(query, from.Transport == respond.UDP, func(unsigned []byte) []byte {
		return s.responder.Respond(nil, unsigned, respond.Peer{Addr: from.Addr, Transport: respond.TCP}, new(respond.Scratch)) // who has signed did ask
	})
}

// transferTo gives a secondary a zone. What fails has been told.
func (s *Server) transferTo(ctx context.Context, query []byte, from respond.Peer, write func([]byte) error) {
	_ = s.transfers.Serve(ctx, query, from.Addr, write)
}

// redirectWith returns what decides on requests of visitors.
func redirectWith(key []byte) func(*view.View, *redirect.Request) redirect.Outcome {
	return func(v *view.View, r *redirect.Request) redirect.Outcome { return redirect.Decide(v, key, r) }
}

// resolver answers HTTPDNS. The front has put the client into RemoteAddr.
func (s *Server) resolver(answers *httpdns.Server) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, _ := netip.ParseAddrPort(r.RemoteAddr)
		answers.Serve(w, r, peer.Addr().Unmap())
	})
}

// alias is where the target of an ALIAS leads.
func (s *Server) alias(target cdn.Domain) ([]netip.Addr, uint32, bool) {
	return s.aliases.Lookup(target, time.Now())
}

// ttl is for how many seconds HTTPDNS may use a decision: as long as an answer of DNS.
func (s *Server) ttl(_ *view.View, _ cdn.Domain, d *decide.Decision) int {
	state := s.state.Load() // there is one as soon as there is a view
	return int(state.Settings.TTL(d.Outlook))
}

// relayName is what nodes see that relays requests.
func relayName(node cdn.NodeName) string {
	if node == "" {
		return "scheduler"
	}
	return string(node) + "-scheduler"
}

// proxies are those whose word for a client's address is taken.
func proxies(v *view.View) []netip.Prefix { return v.Proxies }

// seed is what rate limits hash addresses with, so that nobody knows which meet.
func seed() (b [16]byte) {
	rand.Read(b[:])
	return b
}
