package edge

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
)

// flushInterval bounds how long a record waits before it is in the file.
const flushInterval = 500 * time.Millisecond

// record is what is noted of a request while it is served.
type record struct {
	start     time.Time
	firstByte time.Time // zero if there was none
	site      cdn.SiteName
	client    string
	method    string
	url       string
	status    int
	sent      int64 // octets of body
	cache     string
	upstream  string
	reason    string // why it was refused before it was a request; empty for all others
}

// line is a record in the access log: one JSON object on a line.
type line struct {
	Time      time.Time    `json:"time"`
	Node      string       `json:"node"`
	Site      cdn.SiteName `json:"site"`
	Client    string       `json:"client"`
	Method    string       `json:"method"`
	URL       string       `json:"url"`
	Status    int          `json:"status"`
	Bytes     int64        `json:"bytes"`
	Duration  float64      `json:"duration_ms"`
	FirstByte float64      `json:"ttfb_ms"`
	Cache     string       `json:"cache"`
	Upstream  string       `json:"upstream"`
	UserAgent string       `json:"user_agent"`
	Referer   string       `json:"referer"`
	Rejected  string       `json:"rejected,omitempty"`
}

// recorder writes the access log beside the requests: a slow disk costs records,
// not visitors' time.
type recorder struct {
	path    string // empty: there is no log
	lines   chan line
	dropped prometheus.Counter
}

func newRecorder(path string) *recorder {
	return &recorder{
		path: path, lines: make(chan line, recordQueueSize),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "nearcast_edge_access_records_dropped_total",
			Help: "Access records lost because the log could not be written fast enough.",
		}),
	}
}

// record queues the line of a finished request.
func (s *Server) record(x *exchange) { s.enqueue(&x.rec, x.r.UserAgent(), x.r.Referer()) }

func (s *Server) enqueue(r *record, userAgent, referer string) {
	if s.records.path == "" {
		return
	}
	end := s.now()
	first := r.firstByte
	if first.IsZero() {
		first = end
	}
	upstream := r.upstream
	if upstream == "" {
		upstream = "none"
	}
	l := line{
		Time: r.start.UTC(), Node: s.name, Site: r.site, Client: r.client, Method: r.method,
		URL: r.url, Status: r.status, Bytes: r.sent,
		Duration: milliseconds(end.Sub(r.start)), FirstByte: milliseconds(first.Sub(r.start)),
		Cache: r.cache, Upstream: upstream, UserAgent: userAgent, Referer: referer, Rejected: r.reason,
	}
	select {
	case s.records.lines <- l:
	default:
		s.records.dropped.Inc()
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// start opens the log and begins to write; stop writes what is queued and returns when the
// file is closed. Nothing may be queued after stop.
func (r *recorder) start(log *slog.Logger) (stop func(), err error) {
	if r.path == "" {
		return func() {}, nil
	}
	f, err := os.OpenFile(r.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, fmt.Errorf("opening the access log: %w", err)
	}
	end := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { r.write(f, end, log) })
	return func() {
		close(end)
		wg.Wait()
	}, nil
}

// write moves lines to the file until end is closed and the queue is empty.
func (r *recorder) write(f *os.File, end <-chan struct{}, log *slog.Logger) {
	out := bufio.NewWriterSize(f, 64<<10)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	tick := time.NewTicker(flushInterval)
	defer tick.Stop()
	for {
		select {
		case l := <-r.lines:
			r.encode(enc, l)
		case <-tick.C:
			r.flush(out, f, log)
		case <-end:
			for {
				select {
				case l := <-r.lines:
					r.encode(enc, l)
					continue
				default:
				}
				break
			}
			r.flush(out, f, log)
			f.Close() //nolint:errcheck // everything that could be written is
			return
		}
	}
}

func (r *recorder) encode(enc *json.Encoder, l line) {
	if enc.Encode(l) != nil {
		r.dropped.Inc()
	}
}

// flush writes the buffer out. A bufio.Writer keeps its first error for ever; a full
// disk may have room again, so it starts anew.
func (r *recorder) flush(out *bufio.Writer, f *os.File, log *slog.Logger) {
	if err := out.Flush(); err != nil {
		r.dropped.Inc()
		log.Warn("access records are lost", "error", err)
		out.Reset(f)
	}
}
