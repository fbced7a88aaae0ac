package edge

import (
	"context"
	"math/rand/v2"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"nearcast/cdn"
	"nearcast/edge/httpcache"
	"nearcast/edge/shed"
	"nearcast/internal/geo"
	"nearcast/internal/locate"
	"nearcast/internal/signedurl"
)

// large is the least content, in octets, for which it is worth it to send a visitor elsewhere: for less, the way there takes longer than what
// is gained.
const large = 1 << 20

// A request that is refused should come again when the peak is over, but not with all the others.
const (
	retryAfter  = 5 // seconds
	retrySpread = 6 // seconds
)

// sheds reports whether a step is in force, and counts what is given up because of it.
func (s *Server) sheds(step shed.Step) bool {
	if s.ladder.Step() < step {
		return false
	}
	s.metrics.shed[step].Inc()
	return true
}

// quiet reports whether nothing new is to be taken to disk.
func (s *Server) quiet() bool { return s.sheds(shed.Admission) }

// awaitQuiet waits until there is time for what can wait.
func (s *Server) awaitQuiet(ctx context.Context) {
	for s.ladder.Step() >= shed.Background && rest(ctx, time.Second) { //nolint:revive // rest waits
	}
}

// draw reports true with a probability.
func (s *Server) draw(chance float64) bool {
	if s.cfg.chance != nil {
		return s.cfg.chance() < chance
	}
	return rand.Float64() < chance //nolint:gosec // nobody gains by guessing it
}

// refuses answers requests of low priority with 503 while the node has more to do than it can. It reports true if it has.
func (x *exchange) refuses() bool {
	if x.plan.Rule.Priority != cdn.PriorityLow || x.hop.node != "" || !x.s.sheds(shed.Refuse) {
		return false
	}
	x.rec.cache = wordShed
	x.w.Header().Set("Retry-After", strconv.Itoa(retryAfter+rand.IntN(retrySpread))) //nolint:gosec // as in draw
	x.failOwn(http.StatusServiceUnavailable, "connection_limit_reached", "the node is overloaded")
	return true
}

// diverts sends a visitor who wants a large content to another node while this one is overloaded, if there is one that can help. It reports
// true if it has.
func (x *exchange) diverts() bool {
	if x.s.ladder.Step() < shed.Spill || x.s.cfg.Relief == nil || !x.movable() {
		return false
	}
	relief := x.s.cfg.Relief()
	node, step, ok := x.helper(relief)
	if !ok {
		return false
	}
	location, ok := x.urlAt(node)
	if !ok {
		return false
	}
	x.s.metrics.shed[step].Inc()
	x.rec.cache = wordShed
	x.w.Header().Set("Location", location)
	x.fail(http.StatusFound, "this node is overloaded; see "+location)
	return true
}

// movable reports whether the request begins something large that any node can send, and comes from somebody who can be sent elsewhere: a
// visitor who has not been sent on before.
func (x *exchange) movable() bool {
	o := x.stored
	if x.method != http.MethodGet || x.hop.node != "" || x.relayed || x.back || o == nil || x.decision.Verdict == httpcache.Pass || x.decision.Verdict == httpcache.Absent ||
		x.bound(o.Response) {
		return false
	}
	if start, end := x.selects(o).bounds(o); start > 0 || end-start < large {
		return false
	}
	host, err := cdn.ParseHost(x.r.Host)
	return err == nil && x.tables.zone != "" && !x.tables.routes.Names(host)
}

// bound reports whether a redirect to another host would change what the visitor gets, or what becomes of it. Credentials do not go there. What
// scripts have fetched they may not read if it comes from there, and browsers say Origin for other sites only; over TLS they say
// in Sec-Fetch-Mode what they are about to do (Fetch Metadata, section 2.2). A document would become the other host's.
func (x *exchange) bound(o *httpcache.Response) bool {
	if x.header["Origin"] != nil || x.header["Authorization"] != nil {
		return true
	}
	if x.r.Header["Cookie"] != nil && (x.tables.rules[x.site].ChosenByCookies() || len(x.plan.Rule.CacheKey.Cookies) > 0 || o.Selecting()["Cookie"] != nil) {
		return true
	}
	switch x.r.Header.Get("Sec-Fetch-Mode") {
	case "", "no-cors", "navigate":
	default:
		return true
	}
	kind, _, _ := mime.ParseMediaType(o.Header.Get("Content-Type")) // unread it is none of these
	switch kind {
	case "text/html", "text/xml", "application/xml", "text/css", "text/javascript", "application/javascript":
		return true
	}
	return strings.HasSuffix(kind, "+xml")
}

// helper returns who is to send the content instead, and by which step.
func (x *exchange) helper(relief *shed.Relief) (cdn.NodeName, shed.Step, bool) {
	t := x.tables
	if node, ok := relief.LeastLoaded(t.neighbours.Own, x.s.cfg.Usable); ok && x.s.draw(x.s.ladder.SpillChance()) {
		return node, shed.Spill, true
	}
	if t.steered[x.site.Name] || !x.s.draw(x.s.ladder.DivertChance()) {
		return "", shed.None, false
	}
	client, _ := netip.ParseAddr(x.client) // one that is none is in no group
	pop := relief.POPFor(client, x.s.places.Load().finder())
	node, ok := relief.Owner(string(x.key), t.neighbours.POPs[pop], x.s.cfg.Usable)
	return node, shed.Divert, ok
}

// urlAt returns the request's URL at another node. There is none over TLS unless the site's certificate is for the node's name as well; the
// other node then has the same, and the same port.
func (x *exchange) urlAt(node cdn.NodeName) (string, bool) {
	t := x.target
	t.Domain = cdn.Domain(node).Under(t.Domain.Under(x.tables.zone))
	port := ""
	if x.r.TLS == nil {
		if p := x.tables.port; p != 80 {
			port = ":" + strconv.Itoa(int(p))
		}
	} else {
		if x.r.TLS.ServerName == "" || x.s.certificates == nil || !x.s.certificates.Authority(x.r.TLS, string(t.Domain)) {
			return "", false
		}
		if _, p, err := net.SplitHostPort(x.r.Host); err == nil && p != "" {
			port = ":" + p
		}
	}
	uri := t.RequestURI()
	if x.site.Redirection.Signed {
		if len(x.s.cfg.RedirectKey) == 0 {
			return "", false
		}
		uri = signedurl.Sign(x.s.cfg.RedirectKey, string(t.Domain), uri, signedurl.Ticket{Hop: 1, Expires: x.s.now().Add(x.site.Redirection.SignedFor()).Unix()})
	}
	return t.Scheme + "://" + string(t.Domain) + port + uri, true
}

// places are an index of where visitors are, and what it was made of.
type places struct {
	clients  []cdn.ClientPrefix
	database *geo.Database
	index    *locate.Index // nil: none can be made of it
}

// madeOf reports whether the index is that of some tables.
func (p *places) madeOf(t *tables) bool {
	return p != nil && p.database == t.database && slices.Equal(p.clients, t.clients)
}

// finder returns what finds out where an address is; nil if there is no index.
func (p *places) finder() func(netip.Addr) (*locate.Place, bool) {
	if p == nil || p.index == nil {
		return nil
	}
	return func(addr netip.Addr) (*locate.Place, bool) {
		n, _ := p.index.Lookup(addr)
		if n == locate.None {
			return nil, false
		}
		return &p.index.Places()[n], true
	}
}

// waker wakes a task up. It has room for one that does not sleep.
type waker chan struct{}

func (w waker) poke() {
	select {
	case w <- struct{}{}:
	default:
	}
}

// placingVisitors prepares places when it is woken up, until ctx ends.
func (s *Server) placingVisitors(ctx context.Context) {
	for {
		select {
		case <-s.placing:
			s.preparePlaces()
		case <-ctx.Done():
			return
		}
	}
}

// preparePlaces makes the index, if whoever helps depends on where visitors are. It takes a while: no request waits for it.
func (s *Server) preparePlaces() {
	t := s.tables.Load()
	if t == nil || s.cfg.Relief == nil {
		return
	}
	relief := s.cfg.Relief()
	if relief == nil || len(relief.Groups) == 0 || s.places.Load().madeOf(t) {
		return
	}
	index, err := locate.New(t.clients, t.database)
	if err != nil {
		s.log.Warn("where visitors are is not known; overloaded, the node sends all of them to the same POP, or none if some must stay", "error", err)
		index = nil
	}
	s.places.Store(&places{t.clients, t.database, index})
}
