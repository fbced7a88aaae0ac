// Package watch keeps what is known of addresses current: it reads databases from files, and again when the files change.
//
// It is not for deciding what to do with them.
package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/internal/filestamp"
	"nearcast/internal/geo"
	"nearcast/internal/geo/mmdb"
)

// ErrLoss says that a file has less than half of what the one before it had. That is more often a mistake than meant.
var ErrLoss = errors.New("more than half of what was known would be lost")

// Databases smaller than minGuarded ranges may shrink as they like; larger files than maxFile are not read into memory.
const (
	minGuarded = 1000
	maxFile    = 2 << 30
)

// Options are how a [Keeper] keeps databases. Zero fields mean defaults.
type Options struct {
	// Interval is how often [Keeper.Watch] looks at the files. Default 10 s.
	Interval time.Duration
	// Log gets what is read, and what cannot be. Nil discards it.
	Log *slog.Logger
	// Registry gets the metrics. Nil keeps them to the Keeper itself.
	Registry *prometheus.Registry
	// OnChange is called by Watch with what is known from then on. Nil is nobody.
	OnChange func(*geo.Database)
}

// Keeper holds the databases in use.
type Keeper struct {
	interval time.Duration
	log      *slog.Logger
	onChange func(*geo.Database)
	metrics  *metrics
	current  atomic.Pointer[geo.Database]

	mu    sync.Mutex // guards what follows, and the replacement of current
	files []*file
}

// file is one of the files.
type file struct {
	name   string
	seen   filestamp.Stamp // of what was read last, good or bad
	looked bool            // seen means something
	good   *geo.Database   // newest that could be used; nil if there was none
	bad    error           // why what is there now cannot be used
}

// Open reads files. What an address has in several comes from the first of them that knows it. A file that is missing or bad is no
// reason to fail: it is logged and counted, and read as soon as it is good. Without files nothing is known.
func Open(o Options, files ...string) *Keeper {
	k := &Keeper{interval: cmp.Or(o.Interval, 10*time.Second), log: o.Log, onChange: o.OnChange, metrics: newMetrics(o.Registry)}
	if k.log == nil {
		k.log = slog.New(slog.DiscardHandler)
	}
	for _, name := range files {
		k.files = append(k.files, &file{name: name})
	}
	k.follow(context.Background())
	return k
}

// Database returns what is known now; nil if no file was ever good.
func (k *Keeper) Database() *geo.Database { return k.current.Load() }

// Watch looks at the files each Options.Interval until ctx ends, and reads those that have changed. One that is then of no use leaves
// in place what was read before.
func (k *Keeper) Watch(ctx context.Context) error {
	ticker := time.NewTicker(k.interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if k.follow(ctx) && k.onChange != nil {
			k.onChange(k.current.Load())
		}
	}
}

// follow reads what has changed, and reports whether something else is known now.
func (k *Keeper) follow(ctx context.Context) (changed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, f := range k.files {
		if ctx.Err() == nil && k.look(f) {
			changed = true
		}
	}
	if changed {
		var good []*geo.Database
		for _, f := range k.files {
			if f.good != nil {
				good = append(good, f.good)
			}
		}
		k.current.Store(geo.Merge(good...))
	}
	k.metrics.show(k.files, k.current.Load())
	return changed
}

// look reads a file if it is another one than was seen last, and reports whether there is something new to use.
func (k *Keeper) look(f *file) bool {
	now := filestamp.Of(f.name)
	if f.looked && now.Same(f.seen) {
		return false
	}
	began := time.Now()
	next, err := load(f)
	f.seen, f.looked, f.bad = now, true, err
	if err != nil {
		k.metrics.reloads.WithLabelValues("failed").Inc()
		k.log.Error("a database of addresses cannot be used; what was known before stays in use", "file", f.name, "known_before", f.good != nil, "error", err)
		return false
	}
	f.good = next
	k.metrics.reloads.WithLabelValues("done").Inc()
	k.log.Info("a database of addresses was read", "file", f.name, "type", next.Type, "built", next.Built, "ranges", next.Table.Len(), "records", len(next.Records), "seconds", time.Since(began).Seconds())
	return true
}

// load reads a file.
func load(f *file) (*geo.Database, error) {
	switch info, err := os.Stat(f.name); {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file", f.name)
	case info.Size() > maxFile:
		return nil, fmt.Errorf("%s has %d octets; at most %d are read", f.name, info.Size(), int64(maxFile))
	}
	data, err := os.ReadFile(f.name)
	if err != nil {
		return nil, err
	}
	next, err := mmdb.Read(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.name, err)
	}
	if before := f.good; before != nil && before.Table.Len() >= minGuarded && 2*next.Table.Len() < before.Table.Len() {
		return nil, fmt.Errorf("%s: %w: %d ranges before, %d now; if it is meant, start again", f.name, ErrLoss, before.Table.Len(), next.Table.Len())
	}
	return next, nil
}

// Bad returns why files cannot be used as they are now, or nil.
func (k *Keeper) Bad() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []error
	for _, f := range k.files {
		all = append(all, f.bad)
	}
	return errors.Join(slices.DeleteFunc(all, func(err error) bool { return err == nil })...)
}
