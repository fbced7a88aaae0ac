package routequality

import (
	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
)

type metrics struct {
	version prometheus.Gauge
	nodes   *prometheus.GaugeVec
	refused prometheus.Counter
}

func newMetrics(r *prometheus.Registry) *metrics {
	m := &metrics{
		version: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "nearcast_routequality_table_version",
			Help: "Version of the published route table.",
		}),
		nodes: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "nearcast_routequality_nodes",
			Help: "Nodes of the fleet by their state in the published route table.",
		}, []string{"state"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "nearcast_routequality_polls_refused_total",
			Help: "Polls refused because too many were waiting.",
		}),
	}
	r.MustRegister(m.version, m.nodes, m.refused)
	return m
}

// note shows a newly published table.
func (m *metrics) note(t *cdn.RouteTable) {
	m.version.Set(float64(t.Version))
	m.nodes.Reset()
	for _, row := range t.Nodes {
		state := string(row.State)
		if row.State == cdn.StateUnknown {
			state = "unknown"
		}
		m.nodes.WithLabelValues(state).Inc()
	}
}
