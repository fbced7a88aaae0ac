package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/internal/keyfile"
	"nearcast/scheduler"
	"nearcast/scheduler/transfer"
)

// keySet is what a file of keys has.
type keySet struct {
	size  int
	begin func(*scheduler.Config)       // has a scheduler begin with them
	use   func(*scheduler.Server) error // puts them in force
}

func parseHTTPDNSKeys(text string) (keySet, error) {
	keys, err := keyfile.ParseSecrets(text)
	return keySet{
		len(keys), func(cfg *scheduler.Config) { cfg.HTTPDNSKeys = keys }, func(s *scheduler.Server) error { return s.SetHTTPDNSKeys(keys) },
	}, err
}

func parseTSIGKeys(text string) (keySet, error) {
	keys, err := transfer.ParseKeys(text)
	return keySet{
		len(keys), func(cfg *scheduler.Config) { cfg.TSIGKeys = keys }, func(s *scheduler.Server) error {
			s.SetTSIGKeys(keys)
			return nil
		},
	}, err
}

// keysFile is a file of keys, read again when it has changed and is at rest.
type keysFile struct {
	watched

	name, kind string // kind as flag and metrics have it
	parse      func(text string) (keySet, error)
	metrics    *keysMetrics
	wrong      complaint // about the file
}

// read returns the keys. None are an error: that is a file that somebody is about to write, and for HTTPDNS would open the door to everybody.
func (k *keysFile) read() (keys keySet, err error) {
	before, _ := k.take(k.name)
	err = load(k.name, before, func(text []byte) (err error) {
		if keys, err = k.parse(string(text)); err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		if keys.size == 0 {
			return cdn.Errorf(cdn.Invalid, "", "%s: has no key; if there is to be none, start without --%s-keys", k.name, k.kind)
		}
		return nil
	})
	k.forget(err)
	return keys, err
}

// look puts keys in force that are new. If what is there now is of no use those before stay, which is logged once.
func (k *keysFile) look(ctx context.Context, r *role, use func(keySet) error) {
	if !k.due() {
		return
	}
	keys, err := k.read()
	if errors.Is(err, errMoving) {
		return
	}
	if err == nil {
		err = use(keys)
	}
	k.metrics.note(k.kind, keys.size, err)
	fresh := k.wrong.news(err)
	switch {
	case err == nil:
		warnIfOpen(ctx, r.log, k.name)
		r.log.InfoContext(ctx, "the keys in force are those that are in the file now", "kind", k.kind, "file", k.name, "keys", keys.size)
	case fresh:
		r.log.ErrorContext(ctx, "the file of keys cannot be used; the keys before it stay in force", "kind", k.kind, "file", k.name, "error", err)
	}
}

// follow looks at the file until ctx ends.
func (k *keysFile) follow(ctx context.Context, r *role, use func(keySet) error) error {
	return every(ctx, filesInterval, func() { k.look(ctx, r, use) })
}

// readKeys has a scheduler begin with the keys of its files.
func (r *role) readKeys(f *schedulerFlags, cfg *scheduler.Config) error {
	m := newKeysMetrics(r.registry)
	for _, k := range []*keysFile{
		{name: f.httpdnsKeys, kind: "httpdns", parse: parseHTTPDNSKeys}, {name: f.tsigKeys, kind: "tsig", parse: parseTSIGKeys},
	} {
		if k.name == "" {
			continue
		}
		k.watched, k.metrics = newWatched(k.name), m
		keys, err := k.read()
		if err != nil {
			return err
		}
		warnIfOpen(context.Background(), r.log, k.name)
		keys.begin(cfg)
		m.note(k.kind, keys.size, nil)
		r.keyFiles = append(r.keyFiles, k)
	}
	return nil
}

// followKeys is what keeps a scheduler's keys those of its files.
func (r *role) followKeys(server *scheduler.Server) (parts []func(context.Context) error) {
	for _, k := range r.keyFiles {
		parts = append(parts, func(ctx context.Context) error {
			return k.follow(ctx, r, func(keys keySet) error { return keys.use(server) })
		})
	}
	return parts
}

// keysMetrics tell of files of keys, by their kind.
type keysMetrics struct {
	keys  *prometheus.GaugeVec
	bad   *prometheus.GaugeVec
	reads *prometheus.CounterVec
}

func newKeysMetrics(registry *prometheus.Registry) *keysMetrics {
	kind := []string{"kind"}
	m := &keysMetrics{
		keys: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "nearcast_scheduler_keys",
			Help: "Keys in force that were read from a file, by kind: httpdns, tsig.",
		}, kind),
		bad: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "nearcast_scheduler_keys_bad",
			Help: "1 while the file of keys cannot be used as it is now, and those before it are in force.",
		}, kind),
		reads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nearcast_scheduler_keys_reads_total",
			Help: "Readings of files of keys, by result: done, failed.",
		}, []string{"kind", "result"}),
	}
	registry.MustRegister(m.keys, m.bad, m.reads)
	return m
}

// note notes a reading. After a failure the number of keys is that of before.
func (m *keysMetrics) note(kind string, keys int, err error) {
	if err != nil {
		m.bad.WithLabelValues(kind).Set(1)
		m.reads.WithLabelValues(kind, "failed").Inc()
		return
	}
	m.bad.WithLabelValues(kind).Set(0)
	m.keys.WithLabelValues(kind).Set(float64(keys))
	m.reads.WithLabelValues(kind, "done").Inc()
}
