// Package querylog writes one in so many of the questions that schedulers answer into a file, a JSON object on each line: to see what is asked
// for, from where, and what was said. It is not for counting; metrics are complete.
package querylog

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
)

// Entry is one question and what was said.
type Entry struct {
	At     time.Time   `json:"at"`
	Front  string      `json:"front"`            // udp, tcp, tls or https
	Peer   netip.Addr  `json:"peer"`             // who asked
	Client string      `json:"client,omitempty"` // the network that was asked for, if somebody said one
	Name   string      `json:"name"`
	Type   string      `json:"type,omitempty"`
	Code   string      `json:"code"` // of DNS, or a status of HTTP
	POP    cdn.POPName `json:"pop,omitempty"`
	Reason string      `json:"reason,omitempty"`
	Scope  int         `json:"scope,omitempty"`
	Octets int         `json:"octets,omitempty"` // of the answer
	Micros int64       `json:"micros"`           // that it took
}

// queue is how many entries may wait for the file.
const queue = 4096

// Config says what is logged, and where.
type Config struct {
	// Path is the file; lines are appended. Required.
	Path string
	// Every is how many questions there are for one that is logged; 1 logs all.
	Every int
	// Log gets failures of the file. Required.
	Log *slog.Logger
	// Registry gets the log's metrics. Required.
	Registry *prometheus.Registry
}

// Log is the file. A nil one logs nothing. It is safe for concurrent use.
type Log struct {
	cfg     Config
	file    io.WriteCloser
	seen    atomic.Uint64
	entries chan Entry
	lines   prometheus.Counter
	dropped prometheus.Counter
}

// Open opens the file. [Log.Run] must be called afterwards, to write and to close it.
func Open(cfg Config) (*Log, error) {
	if cfg.Every < 1 {
		return nil, cdn.Errorf(cdn.Invalid, "", "the query log is of one in %d questions; want one in 1 or more", cfg.Every)
	}
	file, err := os.OpenFile(cfg.Path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640) //nolint:gosec // the operator says which
	if err != nil {
		return nil, fmt.Errorf("query log: %w", err)
	}
	l := &Log{
		cfg: cfg, file: file, entries: make(chan Entry, queue),
		lines: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "nearcast_scheduler_query_log_lines_total",
			Help: "Questions written to the query log.",
		}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "nearcast_scheduler_query_log_dropped_total",
			Help: "Questions that were to be logged and were not, because the file was too slow or failed.",
		}),
	}
	cfg.Registry.MustRegister(l.lines, l.dropped)
	return l, nil
}

// Sampled reports whether the next question is to be logged.
func (l *Log) Sampled() bool { return l != nil && l.seen.Add(1)%uint64(l.cfg.Every) == 0 } //nolint:gosec // at least 1

// Add logs a question. It never waits: if too many do already the question is dropped, and counted.
func (l *Log) Add(e Entry) {
	select {
	case l.entries <- e:
	default:
		l.dropped.Inc()
	}
}

// Run writes until ctx ends, and then what waits.
func (l *Log) Run(ctx context.Context) error {
	defer l.file.Close() //nolint:errcheck // every line was written or has failed
	failed := false
	for {
		select {
		case e := <-l.entries:
			failed = l.write(&e, failed)
			continue
		case <-ctx.Done():
		}
		for {
			select {
			case e := <-l.entries:
				failed = l.write(&e, failed)
			default:
				return nil
			}
		}
	}
}

// write writes a line. Only the first of several failures is told.
func (l *Log) write(e *Entry, failed bool) bool {
	line, err := json.Marshal(e)
	if err == nil {
		_, err = l.file.Write(append(line, '\n'))
	}
	if err != nil {
		l.dropped.Inc()
		if !failed {
			l.cfg.Log.Warn("the query log cannot be written", "error", err)
		}
		return true
	}
	l.lines.Inc()
	return false
}
