package httpfront

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/internal/seat"
	"nearcast/internal/web/front"
	"nearcast/internal/web/tlscert"
)

// metrics is what the server counts.
type metrics struct {
	redirects, queries byStatus
	rejected, abused   *prometheus.CounterVec
	refused, lost      *prometheus.CounterVec
	panics             prometheus.Counter
}

// byStatus has a counter for each status, so that counting costs no look-up.
type byStatus struct {
	vec   *prometheus.CounterVec
	known [600]prometheus.Counter // for those that there are words for
}

func newByStatus(name, help string) byStatus {
	b := byStatus{vec: prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"code"})}
	return b
}

// common are the statuses that are counted often.
func common() []int {
	return []int{
		http.StatusOK, http.StatusFound, http.StatusTemporaryRedirect, http.StatusBadRequest, http.StatusNotFound, http.StatusServiceUnavailable, http.StatusLoopDetected,
	}
}

func (b *byStatus) prepare() {
	for _, status := range common() {
		b.known[status] = b.vec.WithLabelValues(strconv.Itoa(status))
	}
}

func (b *byStatus) count(status int) {
	if status >= 0 && status < len(b.known) && b.known[status] != nil {
		b.known[status].Inc()
		return
	}
	b.vec.WithLabelValues(strconv.Itoa(status)).Inc()
}

// newMetrics makes the metrics and registers them.
func newMetrics(registry *prometheus.Registry, f *front.Server, certificates *tlscert.Keeper) *metrics {
	vec := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	}
	m := &metrics{
		redirects: newByStatus("nearcast_scheduler_redirects_total", "Answers to visitors over HTTP, by status code; 0 for those relayed."),
		queries:   newByStatus("nearcast_scheduler_doh_responses_total", "Answers to requests of DNS over HTTPS, by status code."),
		rejected:  vec("nearcast_scheduler_http_rejected_total", "Requests refused because they are not valid HTTP, by reason.", "reason"),
		abused:    vec("nearcast_scheduler_http_connections_abused_total", "Connections of HTTP/2 ended because they cost too much, by budget.", "budget"),
		refused:   vec("nearcast_scheduler_http_connections_refused_total", "HTTP connections closed at once because there were too many, by limit.", "limit"),
		lost:      vec("nearcast_scheduler_http_connections_lost_total", "HTTP connections closed to make room for others, by reason.", "reason"),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "nearcast_scheduler_http_panics_total", Help: "Panics while answering HTTP; each is a defect.",
		}),
	}
	registry.MustRegister(m.redirects.vec, m.queries.vec, m.rejected, m.abused, m.refused, m.lost, m.panics,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "nearcast_scheduler_http_connections", Help: "Open connections of the HTTP front.",
		}, func() float64 { return float64(f.Connections()) }))
	if certificates != nil {
		registry.MustRegister(ofTLS(f, certificates)...)
	}
	for _, reason := range seat.Reasons() {
		m.lost.WithLabelValues(reason) // shown before the first
	}
	m.redirects.prepare()
	m.queries.prepare()
	return m
}

// ofTLS are the metrics that there are only with TLS.
func ofTLS(f *front.Server, certificates *tlscert.Keeper) []prometheus.Collector {
	handshakes := func(result string, value func(tlscert.Counts) int64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "nearcast_scheduler_tls_handshakes_total", Help: "TLS handshakes that ended, by how.", ConstLabels: prometheus.Labels{"result": result},
		}, func() float64 { return float64(value(f.Gate.Counts())) })
	}
	return []prometheus.Collector{
		handshakes("done", func(c tlscert.Counts) int64 { return c.Done }),
		handshakes("failed", func(c tlscert.Counts) int64 { return c.Failed }),
		handshakes("timed-out", func(c tlscert.Counts) int64 { return c.TimedOut }),
		handshakes("dropped", func(c tlscert.Counts) int64 { return c.Dropped }),
		handshakes("refused", func(c tlscert.Counts) int64 { return c.Refused }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "nearcast_scheduler_certificate_expiry_timestamp_seconds", Help: "When the first of the certificates in use expires.",
		}, func() float64 { return float64(certificates.NotAfter().Unix()) }),
	}
}
