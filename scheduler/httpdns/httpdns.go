package httpdns

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/scheduler/decide"
	"nearcast/scheduler/querylog"
	"nearcast/scheduler/rrl"
	"nearcast/scheduler/view"
)

// Path is where it is served.
const Path = "/resolve"

// minKey is how short a key may be, in octets.
const minKey = 16

// Config says what a Server answers from.
type Config struct {
	// View returns what to answer from. It must not wait. While it returns nil, every answer is 503. Required.
	View func() *view.View
	// Keys are secrets by ID, until [Server.SetKeys] has others. Without any, requests need no signature.
	Keys map[string][]byte
	// TTL returns for how many seconds a decision may be used. Required.
	TTL func(v *view.View, domain cdn.Domain, d *decide.Decision) int
	// Seed is what the limits for clients without a key hash addresses with; one that nobody can foresee keeps them from choosing which meet.
	Seed [16]byte
	// Now tells the time; nil means [time.Now].
	Now func() time.Time
	// Log gets some of the requests; nil gets none.
	Log *querylog.Log
	// Registry gets the metrics. Required.
	Registry *prometheus.Registry
}

// perSecond is how many questions an address, or an IPv6 /64, may ask a second on and on without a key; 2.5 times as many at once, and wider networks
// multiples (see rrl). This machine itself may ask more.
const perSecond = 100

// Server answers requests. It is safe for concurrent use.
type Server struct {
	cfg     Config
	keys    atomic.Pointer[map[string][]byte]
	limiter *rrl.Limiter
	without remainders
	answers *prometheus.CounterVec
}

// New returns a Server. Keys that are too short are an error.
func New(cfg Config) (*Server, error) {
	if err := checkKeys(cfg.Keys); err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Server{cfg: cfg, limiter: rrl.New(cdn.RateLimit{PerSecond: perSecond}, cfg.Seed), answers: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "nearcast_scheduler_httpdns_answers_total",
		Help: "Answers of HTTPDNS, by status code.",
	}, []string{"code"})}
	s.keys.Store(&cfg.Keys)
	cfg.Registry.MustRegister(s.answers)
	return s, nil
}

// SetKeys makes keys those that requests need from now on. Those that are too short are an error, and so are none in place of some, after which everybody
// could ask; then those before stay. They must not be changed afterwards.
func (s *Server) SetKeys(keys map[string][]byte) error {
	if err := checkKeys(keys); err != nil {
		return err
	}
	if len(keys) == 0 && len(*s.keys.Load()) > 0 {
		return cdn.Errorf(cdn.Invalid, "", "no HTTPDNS key is left: everybody could ask")
	}
	s.keys.Store(&keys)
	return nil
}

func checkKeys(keys map[string][]byte) error {
	for id, key := range keys {
		if id == "" || len(key) < minKey {
			return cdn.Errorf(cdn.Invalid, "", "the HTTPDNS key %q has no ID or fewer than %d octets", id, minKey)
		}
	}
	return nil
}

// Serve answers a request for [Path]. peer is who asks: the other end of the connection, or the client whom a trusted proxy names.
func (s *Server) Serve(w http.ResponseWriter, r *http.Request, peer netip.Addr) {
	x := request{Server: s, w: w, r: r, peer: peer.Unmap().WithZone(""), now: s.cfg.Now()}
	if s.cfg.Log.Sampled() {
		x.entry = &querylog.Entry{At: x.now, Front: querylog.HTTPDNS, Peer: x.peer}
	}
	x.serve()
}

// request is one that is being answered.
type request struct {
	*Server

	w     http.ResponseWriter
	r     *http.Request
	peer  netip.Addr
	now   time.Time
	entry *querylog.Entry // nil if it is not to be logged
}

func (x *request) serve() {
	v, keys := x.cfg.View(), *x.keys.Load()
	switch {
	case x.r.Method != http.MethodGet && x.r.Method != http.MethodHead:
		x.w.Header().Set("Allow", "GET, HEAD")
		x.refuse(http.StatusMethodNotAllowed, "method "+strconv.Quote(clip(x.r.Method))+" is not served: want GET")
		return
	case v == nil:
		x.refuse(http.StatusServiceUnavailable, "this scheduler has no configuration yet")
		return
	}
	all, err := split(x.r.URL.RawQuery)
	if err != nil {
		x.refuse(http.StatusBadRequest, err.Error())
		return
	}
	x.noteQuestion(all)
	if why := verify(keys, all, x.now); why != "" {
		x.refuse(http.StatusForbidden, why)
		return
	}
	if len(keys) > 0 {
		x.noteKey(all)
	} else if x.limiter.Admit(x.peer, x.now.UnixNano()) != rrl.Answer {
		x.w.Header().Set("Retry-After", "1")
		x.refuse(http.StatusTooManyRequests, "too many questions from "+x.peer.String()+": at most "+strconv.Itoa(perSecond)+" a second without a key")
		return
	}
	q, err := ask(all, x.peer)
	if err != nil {
		x.refuse(http.StatusBadRequest, err.Error())
		return
	}
	a := x.answer(v, &q)
	x.write(a.status(), a, a.cacheControl())
}

// status is that of the first host if none has an answer.
func (a *Answer) status() int {
	for i := range a.Answers {
		if a.Answers[i].Status == http.StatusOK {
			return http.StatusOK
		}
	}
	return a.Answers[0].Status
}

// cacheControl lets a client keep the answer until the first part of it ends.
func (a *Answer) cacheControl() string {
	least := 0
	for i := range a.Answers {
		h := &a.Answers[i]
		if h.Status != http.StatusOK || h.TTL <= 0 {
			return noStore
		}
		if least == 0 || h.TTL < least {
			least = h.TTL
		}
	}
	return "private, max-age=" + strconv.Itoa(least)
}

const noStore = "no-store"

// problem is the body of an answer without hosts.
type problem struct {
	Error  string `json:"error"`
	Status int    `json:"status"`
}

func (x *request) refuse(status int, text string) { x.write(status, problem{text, status}, noStore) }

func (x *request) write(status int, v any, cacheControl string) {
	x.answers.WithLabelValues(strconv.Itoa(status)).Inc()
	body, err := json.Marshal(v)
	if err != nil { // of these types it cannot be
		status, body = http.StatusInternalServerError, []byte(`{"error":"encoding the answer","status":500}`)
	}
	body = append(body, '\n')
	x.log(status, len(body))
	h := x.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", cacheControl)
	h.Set("X-Content-Type-Options", "nosniff")
	x.w.WriteHeader(status)
	if x.r.Method != http.MethodHead {
		x.w.Write(body) //nolint:errcheck // the client has gone
	}
}
