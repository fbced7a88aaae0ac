package respond

import (
	"net/netip"
	"time"

	"nearcast/cdn"
	"nearcast/scheduler/cookie"
	"nearcast/scheduler/dnssec"
	"nearcast/scheduler/dnswire"
	"nearcast/scheduler/querylog"
	"nearcast/scheduler/rr"
	"nearcast/scheduler/rrl"
	"nearcast/scheduler/view"
	"nearcast/scheduler/zone"
)

// State is what is answered from. It is immutable, and replaced as a whole.
type State struct {
	// View has the zones, and where visitors go. Required.
	View *view.View
	// Settings are the fleet's for answers.
	Settings Settings
	// Signer signs answers for who asks for that; nil says that zones are not signed.
	Signer *dnssec.Signer
	// Limiter bounds answers over UDP; nil does not.
	Limiter *rrl.Limiter
}

// Config is what answers are made with.
type Config struct {
	// State returns what to answer from. It is called once for each query and must not wait. While it returns nil, every answer is SERVFAIL. Required.
	State func() *State
	// Node is the scheduler's name, for NSID (RFC 5001) and id.server. Empty is not told.
	Node cdn.NodeName
	// Cookies makes and checks DNS cookies. Required.
	Cookies *cookie.Jar
	// Alias returns the addresses of the target of an ALIAS and for how many seconds they hold; false if they are not known yet. Nil knows none.
	Alias func(target cdn.Domain) (addrs []netip.Addr, ttl uint32, ok bool)
	// Special answers transfers of zones that are asked for over UDP, and what is signed by TSIG: the whole message, or nil for silence. Without it
	// the former are refused, and signatures do not matter.
	Special func(query []byte, from Peer) []byte
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Signatures is how many may be made a second, beyond which answers that need one are not given: over UDP clients are asked to come over TCP, and there
	// they get SERVFAIL. Zero means 12,000 for each processor.
	Signatures int
	// Metrics counts. Required.
	Metrics *Metrics
	// Log gets queries; nil for none.
	Log *querylog.Log
}

// Responder answers queries. It is safe for concurrent use, each goroutine with its own [Scratch].
type Responder struct {
	cfg   Config
	purse purse
}

// New returns a responder.
func New(cfg Config) *Responder {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	r := &Responder{cfg: cfg}
	r.purse.prepare(cfg.Signatures)
	return r
}

// Scratch is memory to work in, for one goroutine. Its zero value is ready.
type Scratch struct {
	query    dnswire.Query
	writer   dnswire.Writer
	match    zone.Match
	lower    [maxName]byte // the question's name in lower case
	name     []byte        // that part of lower
	reply    reply
	steer    steering
	tally    tally
	types    [64]uint16 // of an NSEC record
	nsec     [2 * maxName]byte
	nsecData [1][]byte
	cookie   [cookieSize]byte
	params   [maxParams]byte // RDATA of an HTTPS record
	opt      dnswire.OPT
	memory   *memory // nil before the first query over UDP
}

// Respond appends the answer to a query to dst and returns it. It returns nil for what must not be answered: scraps, and answers, lest two
// servers answer each other for ever, and what is beyond a limit. It does not allocate for ordinary queries.
func (r *Responder) Respond(dst, packet []byte, from Peer, s *Scratch) []byte {
	x := exchange{responder: r, Scratch: s, state: r.cfg.State(), from: from, now: r.cfg.Now(), size: len(packet), before: len(dst)}
	s.tally.prepare(r.cfg.Metrics)
	x.timed, x.logged = s.tally.n%timedOne == 0, r.cfg.Log.Sampled()
	if out, ok := x.recall(dst, packet); ok {
		return out
	}
	status := s.query.Parse(packet)
	if status == dnswire.Silent {
		r.cfg.Metrics.drop("silent")
		return nil
	}
	s.reply.reset()
	s.steer.chosen = false
	s.writer.Begin(dst, &s.query)
	if !x.admit() {
		return nil
	}
	if !x.reply.truncated {
		if out, ok := x.special(status, packet); ok {
			return append(dst, out...)
		}
		x.answer(status)
	}
	out := x.finish()
	x.count(out)
	x.remember(packet, out[x.before:])
	return out
}

// exchange is one query and the answer that is being made.
type exchange struct {
	*Scratch

	responder *Responder
	state     *State
	from      Peer
	now       time.Time
	size      int    // of the query, in octets
	rcode     uint16 // extended (RFC 6891 section 6.1.3)
	aa        bool
	cookied   bool // a valid cookie was there
	echo      []byte
	scope     int  // of the answer, for the client's subnet
	denied    bool // the answer is that there is nothing
	before    int  // octets that were in the buffer before the answer
	judged    bool // verdict is the limiter's
	verdict   rrl.Verdict
	timed     bool
	logged    bool // it is to be
}

// special hands over what another part answers, and reports whether it was that.
func (x *exchange) special(status dnswire.Status, packet []byte) (out []byte, ok bool) {
	q := &x.query
	if status != dnswire.OK || !q.TSIG && (!q.Transfer || x.from.Transport != UDP) || x.responder.cfg.Special == nil || x.state == nil {
		return nil, false
	}
	return x.responder.cfg.Special(packet, x.from), true
}

// admit looks at the cookie and the limits for what anybody may have sent in another's name. It reports false for silence.
func (x *exchange) admit() bool {
	q := &x.query
	jar := x.responder.cfg.Cookies
	if q.Cookie != nil {
		x.echo, x.cookied = jar.Check(x.cookie[:0], x.from.Addr, q.Cookie, x.now.Unix())
	}
	if x.from.Transport != UDP || x.cookied || x.state == nil || x.state.Limiter == nil {
		return true
	}
	if !x.judged {
		x.verdict = x.state.Limiter.Admit(x.from.Addr, x.now.UnixNano())
	}
	switch x.verdict {
	case rrl.Drop:
		x.responder.cfg.Metrics.limit("drop")
		return false
	case rrl.Slip: // who is there can come again over TCP
		x.responder.cfg.Metrics.limit("slip")
		x.reply.truncated = true
	case rrl.Answer:
	}
	return true
}

// answer makes the answer of a query that may be answered.
func (x *exchange) answer(status dnswire.Status) {
	q := &x.query
	switch {
	case status == dnswire.OtherOpcode:
		x.rcode = dnswire.NotImpl
	case status == dnswire.Malformed:
		x.rcode = dnswire.FormError
	case q.EDNS && q.Version != 0:
		x.rcode = dnswire.BadVersion
	case status == dnswire.OnlyCookie: // and if it has one of a server, whether that is a good one
		if len(q.Cookie) > cookie.ClientSize && !x.cookied {
			x.rcode = dnswire.BadCookie
		}
	case x.state == nil:
		x.rcode = dnswire.ServFail
	case q.Class == rr.ClassCHAOS:
		x.chaos()
	case q.Class != rr.ClassIN:
		x.rcode = dnswire.Refused
	case q.Type == rr.TypeNXNAME: // RFC 9824 section 3.5
		x.rcode = dnswire.FormError
	case q.Type == rr.TypeAXFR, q.Type == rr.TypeIXFR, q.Type == rr.TypeOPT, q.Type == rr.TypeTSIG:
		x.rcode = dnswire.Refused // these are no data
	default:
		x.name = dnswire.Lower(x.lower[:0], q.Name)
		x.internet()
	}
}
