package routequality

import (
	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/routequality/paths"
)

type metrics struct {
	version prometheus.Gauge
	nodes   *prometheus.GaugeVec
	pops    *prometheus.GaugeVec
	alarms  prometheus.Gauge
	polls   prometheus.Counter
	taken   prometheus.Counter
	refused *prometheus.CounterVec
	parts   *prometheus.CounterVec
	overrun prometheus.Counter
	slot    prometheus.Histogram
}

func newMetrics(r *prometheus.Registry, s *Server) *metrics {
	m := &metrics{
		version: gauge("table_version", "Version of the published route table."),
		alarms:  gauge("alarms", "Alarms in the published route table."),
		nodes:   gauges("nodes", "Nodes of the fleet by their state in the published route table."),
		pops:    gauges("pops", "POPs of the fleet by their state in the published route table."),
		polls:   counter("polls_refused_total", "Polls refused because too many were waiting."),
		taken:   counter("reports_taken_total", "Reports of POPs that were taken."),
		overrun: counter("reports_overrun_total", "Reports whose measurements were dropped because they came faster than they could be taken in."),
		refused: counters("reports_refused_total", "Reports of POPs that were refused, by reason.", "reason"),
		parts:   counters("report_parts_refused_total", "Parts of reports that were not believed, or were heard from another reporter before, by reason.", "reason"),
		slot: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "nearcast_routequality_slot_seconds", Help: "Time to make and publish everything that was measured in a slot.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 13),
		}),
	}
	r.MustRegister(m.version, m.alarms, m.nodes, m.pops, m.polls, m.taken, m.overrun, m.refused, m.parts, m.slot, newBookCollector(s))
	return m
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: "nearcast_routequality_" + name, Help: help})
}

func gauges(name, help string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "nearcast_routequality_" + name, Help: help}, []string{"state"})
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: "nearcast_routequality_" + name, Help: help})
}

func counters(name, help, label string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nearcast_routequality_" + name, Help: help}, []string{label})
}

// note shows a newly published table.
func (m *metrics) note(t *cdn.RouteTable) {
	m.version.Set(float64(t.Version))
	m.alarms.Set(float64(len(t.Alarms)))
	m.nodes.Reset()
	for i := range t.Nodes {
		m.nodes.WithLabelValues(labelOf(string(t.Nodes[i].State))).Inc()
	}
	m.pops.Reset()
	for i := range t.POPs {
		m.pops.WithLabelValues(labelOf(string(t.POPs[i].State))).Inc()
	}
}

func labelOf(state string) string {
	if state == "" {
		return "unknown"
	}
	return state
}

// bookCollector shows what is remembered of visitors, and what the prober has left out.
type bookCollector struct {
	server *Server
	rows   []bookRow
	probes *prometheus.Desc
}

type bookRow struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*paths.Stats) float64
}

func newBookCollector(s *Server) *bookCollector {
	row := func(kind prometheus.ValueType, name, help string, value func(*paths.Stats) float64) bookRow {
		return bookRow{prometheus.NewDesc("nearcast_routequality_"+name, help, nil, nil), kind, value}
	}
	const c, g = prometheus.CounterValue, prometheus.GaugeValue
	return &bookCollector{s, []bookRow{
		row(g, "groups", "Groups of visitors in the published table.", func(s *paths.Stats) float64 { return float64(s.Groups) }),
		row(g, "groups_withheld", "Groups that are not in the table because there are too many.", func(s *paths.Stats) float64 { return float64(s.Withheld) }),
		row(g, "groups_waiting", "Groups that have no candidates yet.", func(s *paths.Stats) float64 { return float64(s.Waiting) }),
		row(g, "groups_placed", "Groups that have coordinates.", func(s *paths.Stats) float64 { return float64(s.Placed) }),
		row(g, "networks", "Networks of visitors that are remembered.", func(s *paths.Stats) float64 { return float64(s.Networks) }),
		row(g, "networks_apart", "Networks that are groups of their own.", func(s *paths.Stats) float64 { return float64(s.Own) }),
		row(g, "paths", "Paths between networks and POPs that are remembered.", func(s *paths.Stats) float64 { return float64(s.Paths) }),
		row(g, "places", "Places of visitors that are remembered.", func(s *paths.Stats) float64 { return float64(s.Places) }),
		row(g, "links", "Links between POPs and to origins that are remembered.", func(s *paths.Stats) float64 { return float64(s.Links) }),
		row(c, "networks_dropped_total", "Networks that were forgotten because there were too many paths.", func(s *paths.Stats) float64 { return float64(s.Evicted) }),
		row(c, "samples_refused_total", "Samples that cannot be true.", func(s *paths.Stats) float64 { return float64(s.Refused) }),
		row(c, "samples_strange_total", "Samples of networks, POPs or origins that are none.", func(s *paths.Stats) float64 { return float64(s.Strange) }),
		row(c, "samples_late_total", "Samples that were held up for so long that they are no demand any more.", func(s *paths.Stats) float64 { return float64(s.Late) }),
		row(c, "samples_crowded_total", "Samples for which there was no room.", func(s *paths.Stats) float64 { return float64(s.Crowded) }),
	}, prometheus.NewDesc("nearcast_routequality_probes_dropped_total", "Probes of POPs that were not made, or whose results were not heard.", nil, nil)}
}

// Describe is of [prometheus.Collector].
func (c *bookCollector) Describe(descs chan<- *prometheus.Desc) {
	for i := range c.rows {
		descs <- c.rows[i].desc
	}
	descs <- c.probes
}

// Collect is of [prometheus.Collector].
func (c *bookCollector) Collect(out chan<- prometheus.Metric) {
	stats := c.server.ways.stats()
	for i := range c.rows {
		out <- prometheus.MustNewConstMetric(c.rows[i].desc, c.rows[i].kind, c.rows[i].value(&stats))
	}
	p := c.server.prober.Stats()
	out <- prometheus.MustNewConstMetric(c.probes, prometheus.CounterValue, float64(p.Dropped+p.Skipped))
}
