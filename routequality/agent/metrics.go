package agent

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	aggregator  prometheus.Gauge
	members     prometheus.Gauge
	wan         prometheus.Gauge
	wanFailures prometheus.Counter
	sent        *prometheus.CounterVec
	sentOctets  *prometheus.CounterVec
	received    *prometheus.CounterVec
	refused     prometheus.Counter
	posts       *prometheus.CounterVec
	postOctets  *prometheus.CounterVec
	postSeconds *prometheus.HistogramVec
	probes      *prometheus.CounterVec
	dropped     *prometheus.CounterVec
}

func newMetrics(r *prometheus.Registry) *metrics {
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "nearcast_agent_" + name, Help: help})
		r.MustRegister(g)
		return g
	}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "nearcast_agent_" + name, Help: help})
		r.MustRegister(c)
		return c
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nearcast_agent_" + name, Help: help}, labels)
		r.MustRegister(c)
		return c
	}
	m := &metrics{
		aggregator:  gauge("aggregator", "1 while this node gathers and tells about its POP."),
		members:     gauge("members", "Nodes of the POP of which its pool has heard."),
		wan:         gauge("wan", "1 while this node is in the pool of all POPs."),
		wanFailures: counter("wan_failures_total", "Times that this node could not be in the pool of all POPs, or fell out of it."),
		sent:        counters("sent_total", "Reports of this node to other aggregators, by kind and outcome.", "kind", "outcome"),
		sentOctets:  counters("sent_octets_total", "Octets of this node's reports, each counted once.", "kind"),
		received:    counters("received_total", "Reports of nodes, this one included, by outcome.", "outcome"),
		refused:     counter("refused_parts_total", "Parts of nodes' reports that were absurd and left out."),
		posts:       counters("posts_total", "Reports about the POP, by server and outcome.", "server", "outcome"),
		postOctets:  counters("post_octets_total", "Octets of reports about the POP.", "server"),
		postSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "nearcast_agent_post_seconds",
			Help:    "Time that a report about the POP took, its answer included.",
			Buckets: []float64{.001, .003, .01, .03, .1, .3, 1, 2},
		}, []string{"server"}),
		probes:  counters("probes_total", "Probes of POPs and origins, by kind and outcome.", "kind", "outcome"),
		dropped: counters("dropped_total", "Rows about visitors, reports of load and probes that were thrown away, for each server.", "what"),
	}
	r.MustRegister(m.postSeconds)
	return m
}

// start shows a server that was not told anything yet.
func (m *metrics) start(server string) {
	for _, outcome := range [...]string{"ok", "failed"} {
		m.posts.WithLabelValues(server, outcome)
	}
}

// posted notes a report that was sent, whatever came of it.
func (m *metrics) posted(server string, octets int, took time.Duration) {
	m.postOctets.WithLabelValues(server).Add(float64(octets))
	m.postSeconds.WithLabelValues(server).Observe(took.Seconds())
}

// follow shows what others count.
func (m *metrics) follow(r *prometheus.Registry, a *Agent) {
	r.MustRegister(
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "nearcast_agent_probes_dropped_total",
			Help: "Results of probes that waited too long to be looked at.",
		}, func() float64 { return float64(a.prober.Stats().Dropped) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "nearcast_agent_probes_skipped_total",
			Help: "Probes that failed because this node was short of connections or processor time, and so mean nothing.",
		}, func() float64 { return float64(a.prober.Stats().Skipped) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "nearcast_agent_waiting_rows",
			Help: "Rows about visitors (networks and sites) that wait for a server, of all servers together.",
		}, func() float64 {
			n := 0
			for _, s := range a.servers {
				s.mu.Lock()
				n += s.kept
				s.mu.Unlock()
			}
			return float64(n)
		}),
	)
}
