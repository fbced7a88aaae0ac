package gossip

import (
	"bytes"
	"context"
	"fmt"
	"log" //nolint:depguard // memberlist wants one
	"log/slog"
	"net"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"nearcast/cdn"
)

// Lines that the protocol may log, a second and at once. Some are caused by any
// packet from outside, so there must be a limit.
const (
	logRate  = 5
	logBurst = 50
)

// logWriter passes the protocol's own log on, and counts what it tells nowhere else.
type logWriter struct {
	log     *slog.Logger
	limit   *rate.Limiter
	dropped prometheus.Counter
	trouble *prometheus.CounterVec
	own     []byte // how a line begins that this member itself has caused
}

func newLogger(l *slog.Logger, self cdn.NodeName, m *metrics) *log.Logger {
	return log.New(&logWriter{
		log: l, limit: rate.NewLimiter(logRate, logBurst), dropped: m.logDropped, trouble: m.trouble,
		own: fmt.Appendf(nil, "[WARN] memberlist: Refuting a suspect message (from: %s)", self),
	}, "", 0)
}

// troubles are parts of the protocol's lines, and what they are counted as.
func troubles() []trouble {
	return []trouble{
		{"Decrypt packet failed", "forged"},
		{"failed to receive: ", "forged"},
		{"unacceptable label", "other_pool"},
		{"Refuting a suspect message", "accused"},
		{"no acks received", "accusing"},
		{"over TCP but UDP probes failed", "no_udp"},
		{"handler queue full", "queue_full"},
	}
}

type trouble struct{ part, reason string }

// count counts a line that tells of trouble.
func (w *logWriter) count(line []byte) {
	for _, t := range troubles() {
		if bytes.Contains(line, []byte(t.part)) {
			w.trouble.WithLabelValues(t.reason).Inc()
			return
		}
	}
}

// Write logs one line: errors and warnings as warnings, since the protocol heals
// itself, and the rest for debugging.
func (w *logWriter) Write(line []byte) (int, error) {
	if bytes.HasPrefix(line, w.own) {
		return len(line), nil
	}
	if !bytes.HasPrefix(line, []byte("[DEBUG]")) {
		w.count(line)
	}
	level := slog.LevelDebug
	loud := bytes.HasPrefix(line, []byte("[ERR]")) || bytes.HasPrefix(line, []byte("[WARN]"))
	if loud && !bytes.Contains(line, []byte(net.ErrClosed.Error())) { // our own sockets close at the end only
		level = slog.LevelWarn
	}
	if !w.log.Enabled(context.Background(), level) {
		return len(line), nil
	}
	if !w.limit.Allow() {
		w.dropped.Inc()
		return len(line), nil
	}
	_, text, _ := bytes.Cut(bytes.TrimSpace(line), []byte("memberlist: "))
	w.log.Log(context.Background(), level, "gossip: "+string(text)) //nolint:sloglint // the text is the protocol's
	return len(line), nil
}
