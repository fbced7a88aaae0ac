package scheduler

import (
	"github.com/prometheus/client_golang/prometheus"

	"nearcast/scheduler/decide"
	"nearcast/scheduler/view"
)

type metrics struct {
	generation    prometheus.Gauge
	usable        prometheus.Gauge
	places        prometheus.Gauge
	healthIgnored prometheus.Gauge
	groups        prometheus.Gauge
	frozen        prometheus.Gauge
	alarms        prometheus.Gauge
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
		groups: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "nearcast_scheduler_map_groups",
			Help: "Groups of visitors in the map.",
		}),
		frozen: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "nearcast_scheduler_map_frozen",
			Help: "1 while the map is not what was measured, because that is not believed, else 0.",
		}),
		alarms: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "nearcast_scheduler_map_alarms",
			Help: "Alarms in the map's status.",
		}),
	}
	r.MustRegister(m.generation, m.usable, m.places, m.healthIgnored, m.groups, m.frozen, m.alarms, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
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
	m.groups.Set(0)
	m.frozen.Set(0)
	if v.Chart != nil {
		m.groups.Set(float64(v.Chart.Map.Len() - 1)) // without that of the rest
		if v.Chart.Frozen != "" {
			m.frozen.Set(1)
		}
	}
	m.alarms.Set(float64(len(decide.Alarms(v))))
}
