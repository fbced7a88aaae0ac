package gossip

import (
	"bytes"
	"context"
	"log" //nolint:depguard // memberlist wants one
	"log/slog"
	"net"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
)

// Lines that the protocol may log, a second and at once. Some are caused by any
// packet from outside, so there must be a limit.
const (
	logRate  = 5
	logBurst = 50
)

// logWriter passes the protocol's own log on.
type logWriter struct {
	log     *slog.Logger
	limit   *rate.Limiter
	dropped prometheus.Counter
}

func newLogger(l *slog.Logger, dropped prometheus.Counter) *log.Logger {
	return log.New(&logWriter{log: l, limit: rate.NewLimiter(logRate, logBurst), dropped: dropped}, "", 0)
}

// Write logs one line: errors and warnings as warnings, since the protocol heals
// itself, and the rest for debugging.
func (w *logWriter) Write(line []byte) (int, error) {
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
