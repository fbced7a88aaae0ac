package feedclient

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	connected prometheus.Gauge
	failures  prometheus.Counter
	snapshots *prometheus.CounterVec // :: result
	purges    prometheus.Counter
	gaps      prometheus.Counter
	dropped   *prometheus.CounterVec // :: what
	disk      prometheus.Counter
}

func newMetrics(r prometheus.Registerer, c *Client) *metrics {
	m := &metrics{
		connected: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "nearcast_feed_connected", Help: "1 while connected to the control plane.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "nearcast_feed_failures_total", Help: "Connections to the control plane that failed or ended.",
		}),
		snapshots: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nearcast_feed_snapshots_total", Help: "Configurations received, by result.",
		}, []string{"result"}),
		purges: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "nearcast_feed_purges_total", Help: "Purges applied.",
		}),
		gaps: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "nearcast_feed_purge_gaps_total", Help: "Times that purges were missed for good and everything became stale.",
		}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nearcast_feed_dropped_total", Help: "Messages dropped because their queue was full; they are fetched again.",
		}, []string{"what"}),
		disk: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "nearcast_feed_disk_errors_total", Help: "Failures to store the configuration or the purge cursor.",
		}),
	}
	r.MustRegister(m.connected, m.failures, m.snapshots, m.purges, m.gaps, m.dropped, m.disk,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "nearcast_feed_generation", Help: "Version of the configuration in force.",
		}, func() float64 { return float64(c.Generation()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "nearcast_feed_purge_revision", Help: "Newest purge applied.",
		}, func() float64 { return float64(c.Revision()) }),
	)
	return m
}
