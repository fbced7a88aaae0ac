package edge

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// flushInterval bounds how long a record waits before it is in the file.
	flushInterval = 500 * time.Millisecond
	// recordQueue is how many octets of records may wait while the ones before them are written.
	recordQueue = 4 << 20
	// recordWrite is how many octets are written at once when there are many.
	recordWrite = 256 << 10
)

// recorder writes the access log beside the requests: a slow disk costs records,
// not visitors' time.
type recorder struct {
	path    string // empty: there is no log
	node    string
	full    chan struct{} // has room for one: there is enough to write
	dropped prometheus.Counter
	torn    bool // the file does not end with a line's end; belongs to whoever writes

	mu     sync.Mutex // guards the following
	lines  []byte     // that wait
	unix   int64      // a second, and its text
	second string
}

func newRecorder(path, node string) *recorder {
	return &recorder{
		path: path, node: node, full: make(chan struct{}, 1),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "nearcast_edge_access_records_dropped_total",
			Help: "Access records lost because the log could not be written fast enough.",
		}),
	}
}

// on reports whether there is a log.
func (r *recorder) on() bool { return r.path != "" }

// add queues the record of a request that ended. It keeps nothing of it.
func (r *recorder) add(rec *record, end time.Time) {
	if !r.on() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.lines) > recordQueue {
		r.dropped.Inc()
		return
	}
	if unix := rec.start.Unix(); unix != r.unix || r.second == "" {
		r.unix, r.second = unix, rec.start.UTC().Format("2006-01-02T15:04:05")
	}
	before := len(r.lines)
	r.lines = rec.appendLine(r.lines, r.node, r.second, end)
	if before < recordWrite && len(r.lines) >= recordWrite {
		select {
		case r.full <- struct{}{}:
		default:
		}
	}
}

// take returns what waits, and lets the next records wait in other memory.
func (r *recorder) take(empty []byte) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	lines := r.lines
	r.lines = empty[:0]
	return lines
}

// start opens the log and begins to write; stop writes what is queued and returns when the
// file is closed. Nothing may be queued after stop.
func (r *recorder) start(log *slog.Logger) (stop func(), err error) {
	if !r.on() {
		return func() {}, nil
	}
	f, err := os.OpenFile(r.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, fmt.Errorf("opening the access log: %w", err)
	}
	end := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { r.run(f, end, log) })
	return func() {
		close(end)
		wg.Wait()
	}, nil
}

// run moves records to the file until end is closed and none is left.
func (r *recorder) run(f *os.File, end <-chan struct{}, log *slog.Logger) {
	defer f.Close() //nolint:errcheck // everything that could be written is
	tick := time.NewTicker(flushInterval)
	defer tick.Stop()
	var spare []byte
	for ended := false; !ended; {
		select {
		case <-r.full:
		case <-tick.C:
		case <-end:
			ended = true
		}
		lines := r.take(spare)
		r.write(f, lines, log)
		spare = lines
		if cap(spare) > 2*recordWrite && len(lines) < recordWrite {
			spare = nil // the rush is over
		}
	}
}

// gently writes little at a time. A write that takes long, as one of a quarter of a megabyte does, has the operating system run
// another thread for the requests that come meanwhile, and on a busy machine they then wait for its next turn.
type gently struct{ io.Writer }

// maxGentle is how many octets are copied well within the 20 us after which Go's monitor looks for another thread.
const maxGentle = 16 << 10

// Write implements [io.Writer].
func (g gently) Write(p []byte) (written int, err error) {
	for len(p) > 0 && err == nil {
		var n int
		n, err = g.Writer.Write(p[:min(len(p), maxGentle)])
		written += n
		p = p[n:]
		runtime.Gosched()
	}
	return written, err //nolint:wrapcheck // it is the writer's
}

// write writes lines. A full disk may have room again the next time; what it has of a line that was cut off then becomes a line
// of its own, and takes no other with it.
func (r *recorder) write(f io.Writer, lines []byte, log *slog.Logger) {
	if len(lines) == 0 {
		return
	}
	f = gently{f}
	n, err := 0, error(nil)
	if r.torn {
		_, err = f.Write([]byte{'\n'})
	}
	if err == nil {
		n, err = f.Write(lines)
		r.torn = n > 0 && lines[n-1] != '\n'
	}
	if err != nil {
		r.dropped.Add(float64(bytes.Count(lines[n:], []byte{'\n'})))
		log.Warn("access records are lost", "error", err)
	}
}
