package origin

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
)

// metrics are what a client counts.
type metrics struct {
	requests    *prometheus.CounterVec
	firstByte   *prometheus.HistogramVec
	retries     prometheus.Counter
	dropped     prometheus.Counter
	connections prometheus.Gauge
}

func newMetrics(registry *prometheus.Registry) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nearcast_origin_requests_total",
			Help: "Requests to origins, by type of origin and by class of status or kind of failure.",
		}, []string{"type", "result"}),
		firstByte: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "nearcast_origin_first_byte_seconds",
			Help:    "Time from a request to its response's header, retries included.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 17), // 0.5 ms to 33 s
		}, []string{"type"}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "nearcast_origin_retries_total",
			Help: "Attempts after the first of their request.",
		}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "nearcast_origin_pools_dropped_total",
			Help: "Connection pools dropped because they were idle or one too many.",
		}),
		connections: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "nearcast_origin_connections",
			Help: "Open connections to origins.",
		}),
	}
	if registry != nil {
		registry.MustRegister(m.requests, m.firstByte, m.retries, m.dropped, m.connections)
	}
	return m
}

// done counts a finished request.
func (m *metrics) done(origin cdn.OriginType, resp *http.Response, err error, took time.Duration) {
	m.requests.WithLabelValues(string(origin), result(resp, err)).Inc()
	if err == nil {
		m.firstByte.WithLabelValues(string(origin)).Observe(took.Seconds())
	}
}

// result is one of few words: a status as "2xx", else why there is none.
func result(resp *http.Response, err error) string {
	switch {
	case err == nil:
		return strconv.Itoa(resp.StatusCode/100) + "xx"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "cancelled"
	}
	return cdn.KindOf(err).String()
}
