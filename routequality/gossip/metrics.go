package gossip

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	members            *prometheus.GaugeVec
	conflicts          prometheus.Counter
	refused            prometheus.Counter
	joinFailures       prometheus.Counter
	logDropped         prometheus.Counter
	trouble            *prometheus.CounterVec
	sent               *prometheus.CounterVec
	sendFailures       *prometheus.CounterVec
	received           *prometheus.CounterVec
	dropped            *prometheus.CounterVec
	coordinatesRefused prometheus.Counter
}

// registrar makes metrics of one pool, or finds those that an earlier pool of its kind has left.
type registrar struct {
	registry *prometheus.Registry
	labels   prometheus.Labels
	err      error
}

func newMetrics(r *prometheus.Registry, kind Kind) (*metrics, error) {
	g := &registrar{registry: r, labels: prometheus.Labels{"pool": string(kind)}}
	m := &metrics{
		members: register(g, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "nearcast_routequality_gossip_members", ConstLabels: g.labels,
			Help: "Members of the gossip pool by state, this node included.",
		}, []string{"state"})),
		conflicts:    g.counter("conflicts", "Claims on a living member's name from another address."),
		refused:      g.counter("refused", "Members refused because the pool remembers too many names."),
		joinFailures: g.counter("join_failures", "Calls on seeds that failed."),
		logDropped:   g.counter("log_dropped", "Lines of the protocol's log that were dropped because there were too many."),
		trouble:      g.counters("trouble", "What the protocol complains about, by kind: no_udp is a member that can be reached over TCP only.", "kind"),
		sent:         g.counters("messages_sent", "Directed messages that were sent, by way.", "way"),
		sendFailures: g.counters("send_failures", "Directed messages to living members that could not be sent, by way.", "way"),
		received:     g.counters("messages_received", "Directed messages that were taken, by way.", "way"),
		dropped:      g.counters("messages_dropped", "Directed messages that came and were dropped, by reason.", "reason"),

		coordinatesRefused: g.counter("coordinates_refused", "Network coordinates and round trips that could not be true."),
	}
	if g.err != nil {
		return nil, g.err
	}
	m.members.Reset()
	for _, reason := range dropReasons() {
		m.dropped.WithLabelValues(reason)
	}
	for _, t := range troubles() {
		m.trouble.WithLabelValues(t.reason)
	}
	for way := range byte(ways) {
		for _, vec := range []*prometheus.CounterVec{m.sent, m.sendFailures, m.received} {
			vec.WithLabelValues(wayLabel(way))
		}
	}
	return m, nil
}

func (g *registrar) counter(name, help string) prometheus.Counter {
	return register(g, prometheus.NewCounter(prometheus.CounterOpts{
		Name: "nearcast_routequality_gossip_" + name + "_total", ConstLabels: g.labels, Help: help,
	}))
}

func (g *registrar) counters(name, help, label string) *prometheus.CounterVec {
	return register(g, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "nearcast_routequality_gossip_" + name + "_total", ConstLabels: g.labels, Help: help,
	}, []string{label}))
}

func register[C prometheus.Collector](g *registrar, c C) C {
	err := g.registry.Register(c)
	if known, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if earlier, ok := known.ExistingCollector.(C); ok {
			return earlier
		}
	}
	g.err = errors.Join(g.err, err)
	return c
}
