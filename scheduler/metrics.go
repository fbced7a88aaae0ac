package scheduler

import (
	"github.com/prometheus/client_golang/prometheus"

	"nearcast/scheduler/decide"
	"nearcast/scheduler/dnssec"
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

func newMetrics(r *prometheus.Registry, tableAge func() float64, signatures func() dnssec.Stats) *metrics {
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
	r.MustRegister(signatureMetrics(signatures)...)
	return m
}

// signatureMetrics are of the signatures of zones.
func signatureMetrics(stats func() dnssec.Stats) []prometheus.Collector {
	counter := func(name, help string, value func(*dnssec.Stats) float64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "nearcast_scheduler_signatures_" + name, Help: help}, func() float64 {
			s := stats()
			return value(&s)
		})
	}
	gauge := func(name, help string, value func(*dnssec.Stats) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "nearcast_scheduler_signatures_" + name, Help: help}, func() float64 {
			s := stats()
			return value(&s)
		})
	}
	return []prometheus.Collector{
		counter("made_total", "Signatures of DNS records that were made; all others that were told were at hand.", func(s *dnssec.Stats) float64 { return float64(s.Signed) }),
		counter("failed_total", "Signatures of DNS records that could not be made.", func(s *dnssec.Stats) float64 { return float64(s.Failed) }),
		counter("evicted_total", "Sets of DNS records whose signatures made room for others.", func(s *dnssec.Stats) float64 { return float64(s.Evicted) }),
		gauge("cached", "Sets of DNS records whose signatures are at hand.", func(s *dnssec.Stats) float64 { return float64(s.Entries) }),
		gauge("cached_bytes", "Memory that they take.", func(s *dnssec.Stats) float64 { return float64(s.Octets) }),
	}
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
