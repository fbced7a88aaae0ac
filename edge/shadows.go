package edge

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// shadowMetrics tells what shadow caches show. They are looked at once for all.
type shadowMetrics struct {
	server                                    *Server
	objects, octets                           *prometheus.Desc
	sample, dropped, memory, largestBodyInRAM *prometheus.Desc
}

func newShadowMetrics(s *Server) *shadowMetrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("nearcast_edge_"+name, help, labels, nil)
	}
	return &shadowMetrics{
		server:           s,
		objects:          desc("shadow_hit_ratio", "Share of requests that RAM would have had under a policy, with so many times the memory.", "policy", "ram"),
		octets:           desc("shadow_byte_hit_ratio", "Share of octets that RAM would have had under a policy, with so many times the memory.", "policy", "ram"),
		sample:           desc("shadow_sample", "1 in how many keys the shadow caches see."),
		dropped:          desc("shadow_dropped_total", "Requests that the shadow caches should have seen and were too slow for."),
		memory:           desc("shadow_memory_bytes", "Memory that the shadow caches take, roughly."),
		largestBodyInRAM: desc("ram_largest_body_bytes", "Size of the largest body that is kept in RAM if it is on disk as well."),
	}
}

// Describe implements [prometheus.Collector].
func (m *shadowMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.objects, m.octets, m.sample, m.dropped, m.memory, m.largestBodyInRAM} {
		to <- d
	}
}

// Collect implements [prometheus.Collector].
func (m *shadowMetrics) Collect(to chan<- prometheus.Metric) {
	tell := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, kind, value, labels...)
	}
	shadows := m.server.shadows
	report := shadows.Report()
	for _, c := range report.Caches {
		ram := strconv.FormatFloat(c.RAM, 'g', -1, 64)
		tell(m.objects, prometheus.GaugeValue, c.Objects, c.Policy, ram)
		tell(m.octets, prometheus.GaugeValue, c.Octets, c.Policy, ram)
	}
	tell(m.sample, prometheus.GaugeValue, float64(report.Sample))
	tell(m.dropped, prometheus.CounterValue, float64(report.Dropped))
	tell(m.memory, prometheus.GaugeValue, float64(report.Memory))
	if len(m.server.cfg.Disks) > 0 {
		tell(m.largestBodyInRAM, prometheus.GaugeValue, float64(shadows.Largest()))
	}
}
