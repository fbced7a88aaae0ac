package edge

import (
	"context"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"nearcast/cdn"
	"nearcast/edge/httpcache"
	"nearcast/edge/shed"
	"nearcast/internal/locate"
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
// visitor who has not been sent on before. Credentials and scripts of other sites do not survive a redirect to another host.
func (x *exchange) movable() bool {
	o := x.stored
	if x.method != http.MethodGet || x.hop.node != "" || o == nil || x.decision.Verdict == httpcache.Pass || x.decision.Verdict == httpcache.Absent ||
		x.header["Origin"] != nil || x.header["Authorization"] != nil {
		return false
	}
	if start, end := x.selects(o).bounds(o); start > 0 || end-start < large {
		return false
	}
	host, err := cdn.ParseHost(x.r.Host)
	return err == nil && x.tables.zone != "" && !x.tables.routes.Names(host)
}

// helper returns who is to send the content instead, and by which step.
func (x *exchange) helper(relief *shed.Relief) (cdn.NodeName, shed.Step, bool) {
	t := x.tables
	if node, ok := relief.LeastLoaded(t.neighbours.Own, x.s.cfg.Usable); ok && x.s.draw(x.s.ladder.SpillChance()) {
		return node, shed.Spill, true
	}
	if !x.s.draw(x.s.ladder.DivertChance()) {
		return "", shed.None, false
	}
	client, _ := netip.ParseAddr(x.client) // one that is none is in no group
	pop := relief.POPFor(client, x.s.placeOf)
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
	return t.Scheme + "://" + string(t.Domain) + port + t.RequestURI(), true
}

// places are an index of where visitors are, made for some tables.
type places struct {
	tables *tables
	index  *locate.Index
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
	if old := s.places.Load(); relief == nil || len(relief.Groups) == 0 || old != nil && old.tables == t {
		return
	}
	index, err := locate.New(t.clients, t.database)
	if err != nil {
		s.log.Warn("where visitors are is not known; overloaded, the node sends all of them to the same POP", "error", err)
		index = new(locate.Index)
	}
	s.places.Store(&places{t, index})
}

// placeOf returns where an address is, as far as it is known.
func (s *Server) placeOf(addr netip.Addr) (*locate.Place, bool) {
	p := s.places.Load()
	if p == nil {
		return nil, false
	}
	n, _ := p.index.Lookup(addr)
	if n == locate.None {
		return nil, false
	}
	return &p.index.Places()[n], true
}
