package scheduler

import (
	"github.com/prometheus/client_golang/prometheus"

	"nearcast/scheduler/view"
)

type metrics struct {
	generation    prometheus.Gauge
	usable        prometheus.Gauge
	places        prometheus.Gauge
	healthIgnored prometheus.Gauge
}

func newMetrics(r *prometheus.Registry, tableAge func() float64) *metrics {
	m := &metrics{
		generation: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "nearcast_scheduler_map_generation",
			Help: "Generation of the configuration that is answered from.",
		}),
		usable: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "nearcast_scheduler_usable_nodes",
			Help: "Edge nodes that visitors are sent to.",
		}),
		places: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "nearcast_scheduler_places",
			Help: "Places of visitors that are told apart, by the fleet's client prefixes and databases of addresses.",
		}),
		healthIgnored: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "nearcast_scheduler_health_ignored",
			Help: "1 while more than half of the edge nodes look unusable and all are used, else 0.",
		}),
	}
	r.MustRegister(m.generation, m.usable, m.places, m.healthIgnored, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "nearcast_scheduler_table_age_seconds",
		Help: "Time since the route table was received or confirmed; -1 if there is none.",
	}, tableAge))
	return m
}

// show sets what a view says.
func (m *metrics) show(v *view.View) {
	nodes := 0
	for _, pop := range v.Usable {
		nodes += len(pop.Nodes)
	}
	m.usable.Set(float64(nodes))
	m.healthIgnored.Set(0)
	if v.HealthIgnored {
		m.healthIgnored.Set(1)
	}
}
