package dnsfront

import (
	"github.com/prometheus/client_golang/prometheus"

	"nearcast/internal/seat"
	"nearcast/internal/udpbatch"
)

type metrics struct {
	connectionsRefused *prometheus.CounterVec // by limit
	connectionsLost    *prometheus.CounterVec // by reason
	unwritten          prometheus.Counter
	panics             prometheus.Counter
	tooMuch            prometheus.Counter
}

func newMetrics(r *prometheus.Registry, udp *udpbatch.Server) *metrics {
	dropped := func(reason string) prometheus.Opts {
		return prometheus.Opts{
			Name:        "nearcast_scheduler_dns_dropped_total",
			Help:        "DNS queries and answers lost by the transports, by reason.",
			ConstLabels: prometheus.Labels{"reason": reason},
		}
	}
	count := func(opts prometheus.Opts, get func(udpbatch.Stats) uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts(opts), func() float64 { return float64(get(udp.Stats())) })
	}
	m := &metrics{
		connectionsRefused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nearcast_scheduler_dns_connections_refused_total",
			Help: "DNS connections over TCP closed at once because there were too many, by limit.",
		}, []string{"limit"}),
		connectionsLost: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nearcast_scheduler_dns_connections_lost_total",
			Help: "DNS connections over TCP closed to make room for others, by reason.",
		}, []string{"reason"}),
		unwritten: prometheus.NewCounter(prometheus.CounterOpts(dropped("write"))),
		tooMuch:   prometheus.NewCounter(prometheus.CounterOpts(dropped("memory"))),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "nearcast_scheduler_dns_panics_total",
			Help: "Panics while answering DNS; each is a defect.",
		}),
	}
	for _, reason := range seat.Reasons() {
		m.connectionsLost.WithLabelValues(reason) // shown before the first
	}
	for _, limit := range [...]string{seat.OfAll, seat.OfClient} {
		m.connectionsRefused.WithLabelValues(limit) // likewise
	}
	r.MustRegister(m.connectionsRefused, m.connectionsLost, m.unwritten, m.panics, m.tooMuch,
		count(dropped("unsent"), func(s udpbatch.Stats) uint64 { return s.Unsent }),
		count(dropped("overflow"), func(s udpbatch.Stats) uint64 { return s.Overflowed }),
		count(dropped("too_long"), func(s udpbatch.Stats) uint64 { return s.TooLong }),
		count(prometheus.Opts{
			Name: "nearcast_scheduler_dns_udp_packets_total",
			Help: "DNS packets received over UDP.",
		}, func(s udpbatch.Stats) uint64 { return s.Packets }),
		count(prometheus.Opts{
			Name: "nearcast_scheduler_dns_udp_batches_total",
			Help: "System calls that DNS packets were received with.",
		}, func(s udpbatch.Stats) uint64 { return s.Batches }),
	)
	return m
}

// showConnections has the connections of a room be seen.
func (m *metrics) showConnections(r *prometheus.Registry, room *seat.Room) {
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "nearcast_scheduler_dns_connections",
		Help: "Open DNS connections over TCP.",
	}, func() float64 { return float64(room.Open()) }))
}

func (m *metrics) lost(reason string) { m.connectionsLost.WithLabelValues(reason).Inc() }

func (m *metrics) refused(limit string) { m.connectionsRefused.WithLabelValues(limit).Inc() }
