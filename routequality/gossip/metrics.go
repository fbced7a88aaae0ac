package gossip

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	members      *prometheus.GaugeVec
	conflicts    prometheus.Counter
	refused      prometheus.Counter
	joinFailures prometheus.Counter
	logDropped   prometheus.Counter
}

func newMetrics(r *prometheus.Registry) *metrics {
	m := &metrics{
		members: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "nearcast_routequality_gossip_members",
			Help: "Members of the gossip pool by state, this node included.",
		}, []string{"state"}),
		conflicts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "nearcast_routequality_gossip_conflicts_total",
			Help: "Claims on a living member's name from another address.",
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "nearcast_routequality_gossip_refused_total",
			Help: "Members refused because the pool remembers too many names.",
		}),
		joinFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "nearcast_routequality_gossip_join_failures_total",
			Help: "Calls on seeds that failed.",
		}),
		logDropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "nearcast_routequality_gossip_log_dropped_total",
			Help: "Lines of the protocol's log that were dropped because there were too many.",
		}),
	}
	r.MustRegister(m.members, m.conflicts, m.refused, m.joinFailures, m.logDropped)
	return m
}
