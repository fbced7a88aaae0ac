package dnsfront

import (
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	queries            *prometheus.CounterVec
	answers            *prometheus.CounterVec
	dropped            *prometheus.CounterVec
	connections        prometheus.Gauge
	connectionsRefused prometheus.Counter
}

func newMetrics(r *prometheus.Registry) *metrics {
	m := &metrics{
		queries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nearcast_scheduler_queries_total",
			Help: "DNS queries answered, by query type and response code.",
		}, []string{"type", "rcode"}),
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nearcast_scheduler_answers_total",
			Help: "Steered DNS answers with addresses, by POP and the reason for it.",
		}, []string{"pop", "reason"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nearcast_scheduler_dns_dropped_total",
			Help: "DNS packets not answered, by reason.",
		}, []string{"reason"}),
		connections: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "nearcast_scheduler_dns_connections",
			Help: "Open DNS connections over TCP.",
		}),
		connectionsRefused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "nearcast_scheduler_dns_connections_refused_total",
			Help: "DNS connections over TCP closed at once because there were too many.",
		}),
	}
	r.MustRegister(m.queries, m.answers, m.dropped, m.connections, m.connectionsRefused)
	return m
}

// typeLabel keeps the number of label values small whatever is asked.
func typeLabel(t uint16) string {
	switch t {
	case dns.TypeA, dns.TypeAAAA, dns.TypeNS, dns.TypeSOA, dns.TypeHTTPS, dns.TypeTXT, dns.TypeANY, dns.TypeCNAME, dns.TypeCAA:
		return dns.TypeToString[t]
	}
	return "other"
}
