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
	// unsigned counts answers that were not given for want of a signature
	unsigned prometheus.Counter
	seconds  prometheus.Histogram
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
		unsigned: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "nearcast_scheduler_dns_unsigned_total",
			Help: "DNS answers that were not given because more signatures were wanted than are made in a second, or one could not be made.",
		}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "nearcast_scheduler_dns_seconds",
			Help:    "Time to make a DNS answer, of one in 64.",
			Buckets: []float64{1e-6, 2e-6, 5e-6, 10e-6, 20e-6, 50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 5e-3, 20e-3, 100e-3},
		}),
	}
	r.MustRegister(m.queries, m.answers, m.denied, m.scopes, m.dropped, m.limited, m.cookies, m.cut, m.unsigned, m.seconds)
	return m
}

func (m *Metrics) drop(reason string)  { m.dropped.WithLabelValues(reason).Inc() }
func (m *Metrics) limit(action string) { m.limited.WithLabelValues(action).Inc() }

// timedOne is of how many answers one is timed.
const timedOne = 64

// transports and rcodes are the labels of what is counted; an rcode beyond is "other".
var (
	transports = [...]string{UDP: "udp", TCP: "tcp", TLS: "tls", HTTPS: "https"}
	rcodes     = map[uint16]string{
		0: "NOERROR", dnswire.FormError: "FORMERR", dnswire.ServFail: "SERVFAIL", dnswire.NXDomain: "NXDOMAIN",
		dnswire.NotImpl: "NOTIMP", dnswire.Refused: "REFUSED", dnswire.BadVersion: "BADVERS",
	}
	types = map[uint16]string{
		rr.TypeA: "A", rr.TypeAAAA: "AAAA", rr.TypeNS: "NS", rr.TypeSOA: "SOA", rr.TypeHTTPS: "HTTPS", rr.TypeTXT: "TXT", rr.TypeANY: "ANY", rr.TypeCNAME: "CNAME",
		rr.TypeCAA: "CAA", rr.TypeMX: "MX", rr.TypeDS: "DS", rr.TypeDNSKEY: "DNSKEY", rr.TypeSVCB: "SVCB",
	}
)

// typeLabel keeps the number of label values small whatever is asked.
func typeLabel(typ uint16) string {
	if name, ok := types[typ]; ok {
		return name
	}
	return "other"
}

// tally is the counters of one goroutine, looked up before.
type tally struct {
	n       uint64
	queries map[kind]prometheus.Counter
	answers map[choice]prometheus.Counter
	last    choice // and its counter: mostly the next is the same
	counter prometheus.Counter
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

func (t *tally) query(m *Metrics, k kind) prometheus.Counter {
	if c := t.queries[k]; c != nil {
		return c
	}
	if _, known := types[k.typ]; !known { // one for all of them: anybody can ask for any type
		k.typ = rr.TypeNXNAME
		if c := t.queries[k]; c != nil {
			return c
		}
	}
	rcode := rcodes[k.rcode]
	if rcode == "" {
		rcode = "other"
	}
	c := m.queries.WithLabelValues(transports[k.transport], typeLabel(k.typ), rcode)
	t.queries[k] = c
	return c
}

func (t *tally) answer(m *Metrics, c choice) prometheus.Counter {
	if c == t.last && t.counter != nil {
		return t.counter
	}
	n := t.answers[c]
	if n == nil {
		n = m.answers.WithLabelValues(string(c.pop), c.reason)
		t.answers[c] = n
	}
	t.last, t.counter = c, n
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
	for _, c := range x.counters() {
		if c != nil {
			c.Inc()
		}
	}
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
	case x.denied:
		m.denied.WithLabelValues(x.missing()).Inc()
	}
	if x.timed {
		x.time()
	}
	if x.logged {
		e := querylog.Entry{
			At: x.now, Front: transports[x.from.Transport], Peer: x.from.Addr, Name: dnswire.FormatName(q.Name), Type: dns.Type(q.Type).String(),
			Code: dns.RcodeToString[int(x.rcode)], Scope: x.scope, Octets: len(out) - x.before, Micros: x.responder.cfg.Now().Sub(x.now).Microseconds(),
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

// counters are those of the answer's kind; nil are none.
func (x *exchange) counters() (all [3]prometheus.Counter) {
	m, t := x.responder.cfg.Metrics, &x.tally
	all[0] = t.query(m, kind{x.from.Transport, x.query.Type, x.rcode})
	if !x.reply.truncated && x.steer.chosen {
		all[1] = t.answer(m, choice{x.steer.decision.POP, x.steer.decision.Reason})
		if x.query.Subnet.Present {
			all[2] = t.scope(m, x.scope)
		}
	}
	return all
}

// time notes how long it took.
func (x *exchange) time() {
	x.responder.cfg.Metrics.seconds.Observe(x.responder.cfg.Now().Sub(x.now).Seconds())
}

// missing is what there is not.
func (x *exchange) missing() string {
	if x.match.Exists {
		return "type"
	}
	return "name"
}
