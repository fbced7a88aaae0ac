package edge

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/edge/shed"
	"nearcast/edge/store/purge"
	"nearcast/internal/seat"
	"nearcast/internal/web/tlscert"
)

// metrics is what the node counts.
type metrics struct {
	requests           *prometheus.CounterVec
	rejected           *prometheus.CounterVec
	octets             atomic.Uint64 // sent to visitors
	duration           prometheus.Histogram
	upstream           *prometheus.CounterVec
	upstreamErrors     *prometheus.CounterVec
	bypassed           prometheus.Counter
	refused            prometheus.Counter
	probed             prometheus.Counter
	panics             prometheus.Counter
	resumed            prometheus.Counter
	broken             prometheus.Counter
	uncommitted        prometheus.Counter
	coded              prometheus.Counter
	bombs              prometheus.Counter
	generation         prometheus.Gauge
	abused             *prometheus.CounterVec
	connectionsRefused *prometheus.CounterVec
	connectionsLost    *prometheus.CounterVec
	fillsRefused       *prometheus.CounterVec
	hits               [6]prometheus.Counter // of requests, for hits, by class of status
	shed               map[shed.Step]prometheus.Counter

	answered, stored, failed atomic.Uint64 // requests that were no hits; of them those answered from what is stored, and those that the node failed
}

// newMetrics makes the metrics and registers them, unless registry is nil.
func newMetrics(registry *prometheus.Registry, s *Server) *metrics {
	m := &metrics{
		requests:           counterVec("requests_total", "Requests answered, by what the cache did and class of status.", "cache", "status_class"),
		rejected:           counterVec("requests_rejected_total", "Requests refused because they are not valid HTTP, by reason.", "reason"),
		upstream:           counterVec("upstream_requests_total", "Requests sent to regional nodes and origins.", "upstream"),
		upstreamErrors:     counterVec("upstream_errors_total", "Requests that got no response from regional nodes and origins.", "upstream"),
		bypassed:           counter("regional_bypassed_total", "Requests sent to the origin because no regional node answered."),
		refused:            counter("store_refused_total", "Responses that the store had no room for."),
		resumed:            counter("fills_resumed_total", "Bodies that upstream broke off and that were continued from where they ended."),
		broken:             counter("responses_broken_off_total", "Responses cut short because the rest could not be had."),
		uncommitted:        counter("invalidations_uncommitted_total", "Unsafe requests whose invalidations may be undone by a power cut, since the disk failed or took too long."),
		coded:              counter("variants_coded_total", "Contents that a content coding was applied to."),
		abused:             counterVec("connections_abused_total", "Connections of HTTP/2 ended because they cost too much, by budget.", "budget"),
		connectionsRefused: counterVec("connections_refused_total", "Connections closed at once because there were too many, by limit.", "limit"),
		connectionsLost:    counterVec("connections_lost_total", "Connections closed to make room for others, by reason.", "reason"),
		fillsRefused:       counterVec("fills_refused_total", "Fetches not started because there were too many, by limit.", "limit"),
		bombs:              counter("decoding_refused_total", "Bodies that would have decoded to far more octets than they have."),
		probed:             counter("probes_answered_total", "Probes of those who watch the node's POP."),
		panics:             counter("panics_total", "Panics while serving; each is a defect."),
		generation: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "nearcast_edge_configuration_generation", Help: "Generation of the configuration that is served.",
		}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "nearcast_edge_request_duration_seconds", Help: "Time from a request's head to the end of its response.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 10), // 0.5 ms to 131 s
		}),
	}
	for _, reason := range seat.Reasons() {
		m.connectionsLost.WithLabelValues(reason) // shown before the first
	}
	for class := range m.hits {
		m.hits[class] = m.requests.WithLabelValues(wordHit, statusClass(class*100))
	}
	shedding := counterVec("shed_total", "What an overloaded node has not done, by step of the ladder.", "step")
	m.shed = make(map[shed.Step]prometheus.Counter)
	for _, step := range shed.Steps() {
		m.shed[step] = shedding.WithLabelValues(step.String())
	}
	if registry != nil {
		registry.MustRegister(m.requests, m.rejected, shedding, m.duration, m.upstream, m.upstreamErrors, m.bypassed, m.refused, m.probed, m.panics, m.resumed, m.broken, m.uncommitted, m.coded, m.bombs,
			m.abused, m.connectionsRefused, m.connectionsLost, m.fillsRefused, m.generation, s.records.dropped, newStoreCollector(s))
		registry.MustRegister(gauges(s)...)
		registry.MustRegister(purgeGauges(s)...)
		registry.MustRegister(newShadowMetrics(s))
		registry.MustRegister(tlsGauges(s)...)
		registry.MustRegister(loadGauges(s)...)
	}
	return m
}

// gauges read their values when they are asked for.
func gauges(s *Server) []prometheus.Collector {
	return []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "nearcast_edge_fills_running", Help: "Fetches in progress."},
			func() float64 { return float64(s.fills.Running()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "nearcast_edge_fill_readers", Help: "Requests that wait for or read a fetch in progress."},
			func() float64 { return float64(s.fills.Readers()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "nearcast_edge_store_bytes", Help: "Memory of stored objects."},
			func() float64 { return float64(s.store.Stats().Bytes) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "nearcast_edge_store_objects", Help: "Stored objects."},
			func() float64 { return float64(s.store.Stats().Objects) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "nearcast_edge_store_evictions_total", Help: "Objects given up for room."},
			func() float64 { return float64(s.store.Stats().Evictions) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "nearcast_edge_bytes_sent_total", Help: "Octets of bodies sent."},
			func() float64 { return float64(s.metrics.octets.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "nearcast_edge_connections", Help: "Open connections of visitors."},
			func() float64 { return float64(s.front.Connections()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "nearcast_edge_purge_revision", Help: "Newest purge applied."},
			func() float64 { return float64(s.applied.load()) }),
	}
}

// purgeGauges are of what has been purged.
func purgeGauges(s *Server) []prometheus.Collector {
	var all []prometheus.Collector
	for _, scope := range [...]string{"url", "dir", "tag", "regex", "site", "all"} {
		all = append(all, prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "nearcast_edge_purges_total", Help: "What has been purged since the start, by kind of scope.", ConstLabels: prometheus.Labels{"scope": scope},
		}, func() float64 { return float64(s.purges.Stats().Applied[scope]) }))
	}
	counters := func(name, help string, value func(purge.Stats) uint64) {
		all = append(all, prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "nearcast_edge_" + name, Help: help},
			func() float64 { return float64(value(s.purges.Stats())) }))
	}
	counters("purges_soft_total", "How many of the purges were soft.", func(p purge.Stats) uint64 { return p.Soft })
	counters("purges_folded_total", "Purges that became purges of their whole sites because there were too many.", func(p purge.Stats) uint64 { return p.Folded })
	counters("purge_log_failures_total", "Failures to write the purge log to disk.", func(p purge.Stats) uint64 { return p.Failures })
	counters("purge_logs_damaged_total", "Purge logs that could not be used, so that everything stored was given up.", func(p purge.Stats) uint64 { return p.Damaged })
	return append(all,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "nearcast_edge_purge_entries", Help: "Purges that are remembered singly."},
			func() float64 { return float64(s.purges.Stats().Entries) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "nearcast_edge_purge_log_bytes", Help: "Octets of the purge log."},
			func() float64 { return float64(s.purges.Stats().JournalBytes) }))
}

// tlsGauges are of TLS; there are none without.
func tlsGauges(s *Server) []prometheus.Collector {
	if s.certificates == nil {
		return nil
	}
	handshakes := func(result string, value func(tlscert.Counts) int64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "nearcast_edge_tls_handshakes_total", Help: "TLS handshakes that ended, by how.", ConstLabels: prometheus.Labels{"result": result},
		}, func() float64 { return float64(value(s.gate.Counts())) })
	}
	return []prometheus.Collector{
		handshakes("done", func(c tlscert.Counts) int64 { return c.Done }),
		handshakes("failed", func(c tlscert.Counts) int64 { return c.Failed }),
		handshakes("timed-out", func(c tlscert.Counts) int64 { return c.TimedOut }),
		handshakes("dropped", func(c tlscert.Counts) int64 { return c.Dropped }),
		handshakes("refused", func(c tlscert.Counts) int64 { return c.Refused }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "nearcast_edge_tls_handshakes_pending", Help: "TLS handshakes under way."},
			func() float64 { return float64(s.gate.Counts().Pending) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "nearcast_edge_certificate_expiry_timestamp_seconds", Help: "When the first of the certificates in use expires."},
			func() float64 { return float64(s.certificates.NotAfter().Unix()) }),
	}
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: "nearcast_edge_" + name, Help: help})
}

func counterVec(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nearcast_edge_" + name, Help: help}, labels)
}

// observe counts a finished request.
func (m *metrics) observe(r *record, now time.Time) {
	m.requests.WithLabelValues(r.cache, statusClass(r.status)).Inc()
	m.duration.Observe(now.Sub(r.start).Seconds())
	switch r.cache {
	case wordHit: // counted already
	case wordStale:
		m.stored.Add(1)
		fallthrough
	default:
		m.answered.Add(1)
	}
	if r.ownFailure() {
		m.failed.Add(1)
	}
}

// hit counts a request that the lane has answered.
func (m *metrics) hit(status int, sent int64, took time.Duration) {
	class := status / 100
	if class >= len(m.hits) { // an origin may say 999, and that it is to be stored
		class = 0
	}
	m.hits[class].Inc()
	m.octets.Add(uint64(max(sent, 0)))
	m.duration.Observe(took.Seconds())
}

// statusClass is "2xx" for 200 to 299, and so on; "none" if nothing was sent.
func statusClass(status int) string {
	if status < 100 || status > 599 {
		return "none"
	}
	return strconv.Itoa(status/100) + "xx"
}
