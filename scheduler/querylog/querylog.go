// Package querylog writes one in so many of the questions that schedulers answer, on whichever front, into a file, a JSON object on each line: to see what
// is asked for, from where, and what was said. The file is bounded: when it is full it is kept as FILE.1, and begun anew.
//
// It is not for counting; metrics are complete. What is secret, or nobody's business, is not for it either: signatures, and the query of a visitor's URL.
package querylog

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
)

// Entry is one question and what was said.
type Entry struct {
	At     time.Time   `json:"at"`
	Front  string      `json:"front"`            // udp, tcp, tls or https: respond.Transport; HTTPDNS or Redirect
	Peer   netip.Addr  `json:"peer"`             // who asked
	Key    string      `json:"key,omitempty"`    // the ID of the key that the question was signed with
	Client string      `json:"client,omitempty"` // the network that was asked for, if somebody said one
	Name   string      `json:"name"`             // of DNS with a dot at its end, of HTTP the host
	More   int         `json:"more,omitempty"`   // names that were asked for at once, beside the first, which all else is of
	Type   string      `json:"type,omitempty"`   // what of it; of a redirect the method
	Path   string      `json:"path,omitempty"`   // of a redirect, without the query
	Code   string      `json:"code"`             // the response code, as NOERROR; of HTTP the status, or Relayed
	POP    cdn.POPName `json:"pop,omitempty"`
	Reason string      `json:"reason,omitempty"`
	Scope  int         `json:"scope,omitempty"`
	Octets int         `json:"octets,omitempty"` // of the answer
	Micros int64       `json:"micros"`           // that it took
}

// What entries have that are not of DNS.
const (
	// HTTPDNS and Redirect are fronts.
	HTTPDNS  = "httpdns"
	Redirect = "redirect"
	// Relayed is the code of a request for which a node was asked, and which has the status that the node says.
	Relayed = "relayed"
)

// Clip keeps what somebody wrote from filling the log: it returns a copy of some hundred octets at most.
func Clip(s string) string {
	const most = 256
	if len(s) > most {
		return s[:most] + "..."
	}
	return strings.Clone(s)
}

// lookInterval is how often it is seen to whether the file is still there.
const lookInterval = time.Second

// minSize is how small a file may be bounded to, in octets: some lines.
const minSize = 4096

// queue is how many entries may wait for the file.
const queue = 4096

// Config says what is logged, and where.
type Config struct {
	// Path is the file; lines are appended. Required.
	Path string
	// Every is how many questions there are for one that is logged; 1 logs all.
	Every int
	// Size is how long the file may become, in octets, before it is renamed to FILE.1, in place of the one before; zero is no bound. At least 4096.
	Size cdn.Size
	// Log gets failures of the file. Required.
	Log *slog.Logger
	// Registry gets the log's metrics. Required.
	Registry *prometheus.Registry
}

// Log is the file. A nil one logs nothing. It is safe for concurrent use.
type Log struct {
	cfg     Config
	file    file // Run is the only one who touches it
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
	if cfg.Size != 0 && cfg.Size < minSize {
		return nil, cdn.Errorf(cdn.Invalid, "", "the query log may have %d octets; want %d or more, or 0 for no bound", cfg.Size, minSize)
	}
	l := &Log{
		cfg: cfg, file: file{path: cfg.Path, limit: int64(cfg.Size)}, entries: make(chan Entry, queue),
		lines: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "nearcast_scheduler_query_log_lines_total",
			Help: "Questions written to the query log.",
		}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "nearcast_scheduler_query_log_dropped_total",
			Help: "Questions that were to be logged and were not, because the file was too slow or failed.",
		}),
	}
	if err := l.file.begin(); err != nil {
		return nil, fmt.Errorf("query log: %w", err)
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
	defer l.file.close()
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	failed := false
	for {
		select {
		case e := <-l.entries:
			failed = l.write(&e, failed)
			continue
		case <-tick.C:
			l.file.look()
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
		err = l.file.append(append(line, '\n'))
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
