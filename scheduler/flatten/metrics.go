package flatten

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	queries *prometheus.CounterVec // :: result
}

func newMetrics(registry prometheus.Registerer, f *Flattener) *metrics {
	m := &metrics{queries: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "nearcast_scheduler_alias_queries_total", Help: "Times that the addresses of an ALIAS record's target were asked for, by result.",
	}, []string{"result"})}
	registry.MustRegister(m.queries,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "nearcast_scheduler_alias_targets", Help: "Targets of ALIAS records.",
		}, func() float64 { return float64(len(*f.followed.Load())) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "nearcast_scheduler_alias_stale", Help: "Targets of ALIAS records whose addresses are old, or not known.",
		}, func() float64 { return float64(f.stale(time.Now())) }))
	return m
}

// stale is how many names are not known as they are now.
func (f *Flattener) stale(now time.Time) (n int) {
	for _, t := range *f.followed.Load() {
		if k := t.known.Load(); k == nil || now.After(k.fresh) {
			n++
		}
	}
	return n
}
