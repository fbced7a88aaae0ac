package respond

import (
	"strconv"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/scheduler/dnswire"
	"nearcast/scheduler/querylog"
	"nearcast/scheduler/rr"
)

// Metrics count answers.
type Metrics struct {
	queries *prometheus.CounterVec
	answers *prometheus.CounterVec
	denied  *prometheus.CounterVec
	scopes  *prometheus.CounterVec
	dropped *prometheus.CounterVec
	limited *prometheus.CounterVec
	cookies *prometheus.CounterVec
	cut     *prometheus.CounterVec
	seconds prometheus.Histogram
}

// NewMetrics registers the metrics.
func NewMetrics(r *prometheus.Registry) *Metrics {
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nearcast_scheduler_" + name, Help: help}, labels)
	}
	m := &Metrics{
		queries: vec("queries_total", "DNS queries answered, by transport, query type and response code.", "transport", "type", "rcode"),
		answers: vec("answers_total", "Steered DNS answers, by POP and the reason for it.", "pop", "reason"),
		denied:  vec("denied_total", "DNS answers that there is nothing: no such name, or no such type at it.", "what"),
		scopes:  vec("scopes_total", "Steered DNS answers to queries with a client subnet, by the length of the prefix for which they hold.", "scope"),
		dropped: vec("dns_unanswered_total", "DNS packets that must not be answered, by reason: scraps, and answers.", "reason"),
		limited: vec("dns_limited_total", "DNS queries over UDP beyond the rate limit, by what was done.", "action"),
		cookies: vec("dns_cookies_total", "DNS queries with a cookie: valid ones, and those that are not or are the client's only.", "state"),
		cut:     vec("dns_truncated_total", "DNS answers over UDP that were cut down to nothing, so that the client comes over TCP."),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "nearcast_scheduler_dns_seconds",
			Help:    "Time to make a DNS answer, of one in 64.",
			Buckets: []float64{1e-6, 2e-6, 5e-6, 10e-6, 20e-6, 50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 5e-3, 20e-3, 100e-3},
		}),
	}
	r.MustRegister(m.queries, m.answers, m.denied, m.scopes, m.dropped, m.limited, m.cookies, m.cut, m.seconds)
	return m
}

func (m *Metrics) drop(reason string)  { m.dropped.WithLabelValues(reason).Inc() }
func (m *Metrics) limit(action string) { m.limited.WithLabelValues(action).Inc() }

// timedOne is of how many answers one is timed.
const timedOne = 64

// typeLabel keeps the number of label values small whatever is asked.
func typeLabel(typ uint16) string {
	switch typ {
	case rr.TypeA, rr.TypeAAAA, rr.TypeNS, rr.TypeSOA, rr.TypeHTTPS, rr.TypeTXT, rr.TypeANY, rr.TypeCNAME, rr.TypeCAA, rr.TypeMX, rr.TypeDS, rr.TypeDNSKEY, rr.TypeSVCB:
		return dns.TypeToString[typ]
	}
	return "other"
}

// rcodeLabel is the name of a response code. miekg/dns has that of TSIG for 16.
func rcodeLabel(rcode uint16) string {
	if rcode == dnswire.BadVersion {
		return "BADVERS"
	}
	return dns.RcodeToString[int(rcode)]
}

// tally is the counters of one goroutine, looked up before.
type tally struct {
	n       uint64
	queries map[kind]prometheus.Counter
	answers map[choice]prometheus.Counter
	scopes  [129]prometheus.Counter
	cookies [2]prometheus.Counter
}

type kind struct {
	transport  Transport
	typ, rcode uint16
}

type choice struct {
	pop    cdn.POPName
	reason string
}

// prepare makes what is not there yet.
func (t *tally) prepare(m *Metrics) {
	if t.queries == nil {
		t.queries, t.answers = make(map[kind]prometheus.Counter), make(map[choice]prometheus.Counter)
		t.cookies = [2]prometheus.Counter{m.cookies.WithLabelValues("invalid"), m.cookies.WithLabelValues("valid")}
	}
	t.n++
}

// maxKinds bounds what is looked up once: anybody can ask for any type.
const maxKinds = 1 << 10

func (t *tally) query(m *Metrics, k kind) prometheus.Counter {
	c := t.queries[k]
	if c == nil {
		c = m.queries.WithLabelValues(k.transport.String(), typeLabel(k.typ), rcodeLabel(k.rcode))
		if len(t.queries) < maxKinds {
			t.queries[k] = c
		}
	}
	return c
}

func (t *tally) answer(m *Metrics, c choice) prometheus.Counter {
	n := t.answers[c]
	if n == nil {
		n = m.answers.WithLabelValues(string(c.pop), c.reason)
		t.answers[c] = n
	}
	return n
}

func (t *tally) scope(m *Metrics, scope int) prometheus.Counter {
	if t.scopes[scope] == nil {
		t.scopes[scope] = m.scopes.WithLabelValues(strconv.Itoa(scope))
	}
	return t.scopes[scope]
}

// count counts the exchange, and logs it if it is its turn.
func (x *exchange) count(out []byte) {
	m, t, q := x.responder.cfg.Metrics, &x.tally, &x.query
	t.query(m, kind{x.from.Transport, q.Type, x.rcode}).Inc()
	if q.Cookie != nil {
		valid := 0
		if x.cookied {
			valid = 1
		}
		t.cookies[valid].Inc()
	}
	switch {
	case x.reply.truncated:
		m.cut.WithLabelValues().Inc()
	case x.steer.chosen:
		t.answer(m, choice{x.steer.decision.POP, x.steer.decision.Reason}).Inc()
		if q.Subnet.Present {
			t.scope(m, x.scope).Inc()
		}
	case x.denied:
		m.denied.WithLabelValues(x.missing()).Inc()
	}
	timed, logged := t.n%timedOne == 0, x.responder.cfg.Log.Sampled()
	if !timed && !logged {
		return
	}
	took := x.responder.cfg.Now().Sub(x.now)
	if timed {
		m.seconds.Observe(took.Seconds())
	}
	if logged {
		e := querylog.Entry{
			At: x.now, Front: x.from.Transport.String(), Peer: x.from.Addr, Name: dnswire.FormatName(q.Name), Type: dns.Type(q.Type).String(),
			Code: rcodeLabel(x.rcode), Scope: x.scope, Octets: len(out) - x.before, Micros: took.Microseconds(),
		}
		if q.Subnet.Present {
			e.Client = q.Subnet.Addr.String() + "/" + strconv.Itoa(int(q.Subnet.Source))
		}
		if x.steer.chosen {
			e.POP, e.Reason = x.steer.decision.POP, x.steer.decision.Reason
		}
		x.responder.cfg.Log.Add(e)
	}
}

// missing is what there is not.
func (x *exchange) missing() string {
	if x.match.Exists {
		return "type"
	}
	return "name"
}
