package seat

import (
	"cmp"
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"nearcast/internal/clientip"
	"nearcast/internal/lograte"
)

// Why a connection has lost its seat to another. They are labels of metrics.
const (
	Silent = "silent" // it has never asked a whole question
	Idle   = "idle"   // it has asked nothing for a while
	Stuck  = "stuck"  // its client takes nothing of the answer
)

// Reasons are all of these.
func Reasons() []string { return []string{Silent, Idle, Stuck} }

// What a newcomer is refused for.
const (
	OfAll    = "connections"        // there are as many as there may be, and each matters more
	OfClient = "client-connections" // its client has as many as one may have
)

// Limits are of a room.
type Limits struct {
	// Total is how many seats there are. Zero is none.
	Total int
	// PerClient is how many of them a client may have: an IPv4 address or an IPv6 /64. Zero is none.
	PerClient int
	// Stuck is for how long nothing of an answer moves until it counts for nothing. For clients and networks that have
	// many seats it is less, down to a tenth. Default 10 s.
	Stuck time.Duration
	// Lost is called for each connection that is closed for another, with one of [Reasons]. It must not block. Nil is allowed.
	Lost func(reason string)
	// Refused is called for each newcomer that gets no seat, with [OfAll] or [OfClient]. It must not block. Nil is allowed.
	Refused func(limit string)
	// Log gets a line a second at most of either. Nil discards them.
	Log *slog.Logger
}

const (
	// grace is how long a connection may have a seat without a question before it counts for less than all that have asked: round trips, and shaking hands.
	grace = 2 * time.Second
	// quietPart is of all seats those that may be of such connections; if there are more, grace is over for the oldest.
	quietPart = 4
	// silence is as how much idle time it counts that nothing has ever been asked.
	silence = time.Hour
	// margin is by how much a connection has to matter less than a newcomer: whoever has asked just now is kept.
	margin = time.Second
	// looks is how many connections are brought up to date for a newcomer.
	looks = 32
)

// Room is where connections have seats. Its methods may be called by many at once.
type Room struct {
	limits         Limits
	began          time.Time
	open           atomic.Int64 // seats taken
	lost, refusals lograte.Limiter

	mu       sync.Mutex // guards what follows
	all      node
	networks map[netip.Prefix]*node
	clients  map[netip.Addr]*node
	quiet    int // seats that have never asked
	leaving  int // connections that have lost their seat and are not over
}

// New returns an empty room, opened at some time.
func New(l Limits, now time.Time) *Room {
	l.Stuck = cmp.Or(l.Stuck, 10*time.Second)
	if l.Log == nil {
		l.Log = slog.New(slog.DiscardHandler)
	}
	return &Room{limits: l, began: now, networks: make(map[netip.Prefix]*node), clients: make(map[netip.Addr]*node)}
}

// clock is a time as the room counts it.
func (r *Room) clock(now time.Time) int64 { return int64(now.Sub(r.began)) }

// Open returns how many seats are taken.
func (r *Room) Open() int { return int(r.open.Load()) }

// Enter gives a connection a seat, and closes another one for it if it has to. It returns nil for a connection that
// gets none, which the caller has to close. conn's Close may be called by any goroutine, at any time until
// [Seat.Leave].
func (r *Room) Enter(client netip.Addr, conn io.Closer, now time.Time) *Seat {
	client = clientip.Share(client)
	s, loser, reason := r.seat(client, conn, r.clock(now))
	if s == nil {
		r.refuse(client, reason, now)
		return nil
	}
	if loser != nil {
		r.dismiss(loser, reason, now)
	}
	return s
}

func (r *Room) refuse(client netip.Addr, limit string, now time.Time) {
	if r.limits.Refused != nil {
		r.limits.Refused(limit)
	}
	if others, ok := r.refusals.Allow(now); ok {
		r.limits.Log.Warn("a connection was refused", "client", client.String(), "limit", limit, "others_since_last", others)
	}
}

// dismiss closes the connection of who has lost its seat.
func (r *Room) dismiss(s *Seat, reason string, now time.Time) {
	if r.limits.Lost != nil {
		r.limits.Lost(reason)
	}
	if hard, ok := s.conn.(interface{ SetLinger(sec int) error }); ok && reason == Stuck {
		hard.SetLinger(0) //nolint:errcheck // what the client does not take, the kernel shall not keep either
	}
	s.conn.Close() //nolint:errcheck // nobody is left to be told
	if others, ok := r.lost.Allow(now); ok {
		r.limits.Log.Warn("a connection was closed to make room for another", "client", s.client.String(), "reason", reason, "others_since_last", others)
	}
}

// seat is Enter under the lock. Who has lost its seat for it is to be closed.
func (r *Room) seat(client netip.Addr, conn io.Closer, now int64) (s, loser *Seat, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if own := r.clients[client]; r.limits.PerClient <= 0 || own != nil && own.seats >= r.limits.PerClient {
		return nil, nil, OfClient
	}
	if r.all.seats >= r.limits.Total {
		if loser, reason = r.least(client, now); loser == nil {
			return nil, nil, OfAll
		}
		loser.state = lost
		r.leaving++
		r.vacate(loser)
	}
	s = &Seat{room: r, conn: conn, client: client, kind: quiet}
	s.leaf.parent = r.clientNode(client)
	s.leaf.rank[quiet] = now
	s.leaf.seat = s
	s.moved.Store(now)
	s.leaf.grow(1)
	r.quiet++
	s.leaf.settle(quiet, true)
	s.leaf.parent.settleAll(quiet)
	r.open.Store(int64(r.all.seats))
	return s, loser, reason
}

// vacate takes a seat out of the room.
func (r *Room) vacate(s *Seat) {
	if s.kind == quiet {
		r.quiet--
	}
	above := s.leaf.parent
	s.leaf.grow(-1)
	s.leaf.settle(s.kind, false)
	above.settleAll(s.kind)
	if above.seats == 0 {
		delete(r.clients, s.client)
	}
	if above.parent.seats == 0 {
		delete(r.networks, networkOf(s.client))
	}
	r.open.Store(int64(r.all.seats))
}

func (r *Room) leave(s *Seat) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch s.state {
	case taken:
		r.vacate(s)
	case lost:
		r.leaving--
	case vacant:
	}
	s.state = vacant
}

// refile has a seat be among those that have asked and are not being answered.
func (r *Room) refile(s *Seat) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.state == taken {
		r.file(s, asking)
	}
}

// file puts a seat among others of a kind, as what is known now.
func (r *Room) file(s *Seat, k kind) {
	if s.kind == quiet {
		r.quiet--
	}
	if s.kind != k {
		s.leaf.settle(s.kind, false)
		s.kind = k
	}
	s.leaf.rank[k] = s.moved.Load()
	s.leaf.settle(k, true)
}

func networkOf(client netip.Addr) netip.Prefix {
	bits := 48
	if client.Is4() {
		bits = 24
	}
	p, _ := client.Prefix(bits) // none for no address
	return p
}

// clientNode is the node of a client, made if there is none.
func (r *Room) clientNode(client netip.Addr) *node {
	c := r.clients[client]
	if c == nil {
		network := networkOf(client)
		n := r.networks[network]
		if n == nil {
			n = &node{parent: &r.all}
			r.networks[network] = n
		}
		c = &node{parent: n}
		r.clients[client] = c
	}
	return c
}
