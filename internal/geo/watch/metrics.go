package watch

import (
	"github.com/prometheus/client_golang/prometheus"

	"nearcast/internal/geo"
)

type metrics struct {
	bad     prometheus.Gauge
	ranges  prometheus.Gauge
	built   prometheus.Gauge
	reloads *prometheus.CounterVec
}

func newMetrics(r *prometheus.Registry) *metrics {
	m := &metrics{
		bad: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "nearcast_geo_bad_files",
			Help: "Databases of addresses that cannot be used as they are now; what was read of them before is.",
		}),
		ranges: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "nearcast_geo_ranges",
			Help: "Ranges of addresses that the databases in use tell apart.",
		}),
		built: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "nearcast_geo_built_timestamp_seconds",
			Help: "When the oldest database in use was made; 0 if that is not known.",
		}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nearcast_geo_reads_total",
			Help: "Readings of databases of addresses, by result.",
		}, []string{"result"}),
	}
	for _, result := range [...]string{"done", "failed"} {
		m.reloads.WithLabelValues(result)
	}
	if r != nil {
		r.MustRegister(m.bad, m.ranges, m.built, m.reloads)
	}
	return m
}

// show sets what there is.
func (m *metrics) show(files []*file, current *geo.Database) {
	bad := 0
	for _, f := range files {
		if f.bad != nil {
			bad++
		}
	}
	m.bad.Set(float64(bad))
	if current == nil {
		return
	}
	m.ranges.Set(float64(current.Table.Len()))
	if !current.Built.IsZero() {
		m.built.Set(float64(current.Built.Unix()))
	}
}
