// Package purge remembers what has been purged, and judges stored objects by it. A purge costs as much whatever it
// covers: it gets the next epoch, and an object that was born at an older one is compared with it when it is next
// asked for. What has been accepted survives restarts and power cuts, in a log of its own per node.
//
// It is not for getting purges to nodes, nor for freeing the room of what has been purged: it only knows what must not
// be served.
package purge

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"nearcast/cdn"
	"nearcast/edge/store"
	"nearcast/internal/fsys"
)

// Verdict says what a stored object is worth.
type Verdict uint8

// The verdicts.
const (
	Good  Verdict = iota // nothing that covers it has been purged since it was born
	Stale                // only softly: it is stale whatever its head says
	Gone                 // it must not be used, as if it were not stored
)

// String returns the verdict's name.
func (v Verdict) String() string { return [...]string{"good", "stale", "gone"}[v] }

// Rules is what the configuration makes of a purge's words. Its methods are called one at a time.
type Rules interface {
	// Keys returns every key under which something may be stored of a URL; none if no site serves it.
	Keys(target cdn.Target) []cdn.CacheKey
	// Site returns the site that serves a domain.
	Site(domain cdn.Domain) (name cdn.SiteName, ok bool)
	// Loose returns what a site's keys leave out of URLs.
	Loose(site cdn.SiteName) Loose
}

// Loose says in what two URLs may differ that share a key. A directory or regular expression that covers one of them covers
// the other as well.
type Loose struct{ Domain, Case bool }

// The bounds, where [Config] names none.
const (
	defaultEntries = 1 << 19
	defaultRegexps = 1000
)

// Config is what a Log is made from. Its zero value is a log in memory.
type Config struct {
	// Dir is the directory for the log; it is made if it is not there. Empty means memory only: nothing that was stored
	// before Open is any good.
	Dir string
	// FS is the file system of Dir. Nil means the machine's.
	FS fsys.FS
	// Entries bounds what is remembered singly, of all sites together. Beyond it the oldest are folded into purges of their whole
	// sites. Zero means 524,288, which take 50 MB.
	Entries int
	// Regexps bounds the regular expressions of one site likewise. Zero means 1000.
	Regexps int
	// Log gets what an operator should know. Nil discards it.
	Log *slog.Logger
}

// Log is the purges that a node has applied. Its methods may be called at any time from any goroutine.
type Log struct {
	cfg    Config
	log    *slog.Logger
	epoch  atomic.Uint64 // newest that has been given out; stored after the table has what it is for
	table  table
	stats  counts
	begun  begun
	opened uint64        // the epoch at the end of Open
	held   atomic.Uint64 // what was born before it is held back; zero for nothing
	synced atomic.Uint64 // up to which epoch Commit has seen everything durable

	committing chan struct{} // holds a token of whoever syncs for Commit

	writing  sync.Mutex // guards the following; taken before table.mu
	journal  journal
	rules    Rules // nil before there is a configuration
	ceiling  store.Epoch
	revision cdn.Revision
	swept    store.Epoch // what was purged up to here has been removed everywhere
	rewrite  int         // items at which the journal is looked through for what is not needed any more
	closed   bool
}

// errClosed is that a log is not used any more.
var errClosed = errors.New("the purge log is closed")

// Open reads the log of a directory, or makes a new one. Of a log that was damaged anywhere but at its unfinished end,
// nobody knows what it had: then, as without one, everything that was stored before is [Gone]. That is no error.
func Open(cfg Config) (*Log, error) {
	if cfg.FS == nil {
		cfg.FS = fsys.OS{}
	}
	if cfg.Entries <= 0 {
		cfg.Entries = defaultEntries
	}
	if cfg.Regexps <= 0 {
		cfg.Regexps = defaultRegexps
	}
	l := &Log{cfg: cfg, log: cfg.Log, rewrite: minRewrite, committing: make(chan struct{}, 1)}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	l.table.init(cfg.Regexps)
	l.journal = journal{fs: cfg.FS, dir: cfg.Dir}
	if err := l.load(); err != nil {
		return nil, fmt.Errorf("opening the purge log: %w", err)
	}
	l.opened = l.epoch.Load()
	return l, nil
}

// Close gives the file back. Nothing is lost by leaving it out.
func (l *Log) Close() error {
	l.committing <- struct{}{} // nobody syncs any more
	defer func() { <-l.committing }()
	l.writing.Lock()
	defer l.writing.Unlock()
	l.closed = true
	return l.journal.close()
}

// Epoch is the newest purge's. An object whose fill begins after this call and that is born at what it returns is covered by all
// later purges, and by none before.
func (l *Log) Epoch() store.Epoch { return store.Epoch(l.epoch.Load()) }

// Applied is the revision of the last purge that was applied, zero if none was.
func (l *Log) Applied() cdn.Revision {
	l.writing.Lock()
	defer l.writing.Unlock()
	return l.revision
}

// Apply applies a purge. When it returns the purge is in force and, unless there is an error, on disk; after an error it is in force until
// the end of the process, and later ones try to have it on disk after all. A restart before they do finds no log. A purge that covers nothing
// only says at which revision the node is.
func (l *Log) Apply(p cdn.Purge) (store.Epoch, error) {
	l.stats.count(&p)
	return l.append(record{kind: kindPurge, soft: p.Soft, at: p.At.UnixNano(), revision: p.Revision, targets: p.Targets, scopes: p.Scopes}, true)
}

// ApplyAll purges everything that is stored, hard, and makes good for all purges up to the revision, in the sense of
// [Log.Apply]. A revision of zero says nothing about the revision.
func (l *Log) ApplyAll(revision cdn.Revision) (store.Epoch, error) {
	l.stats.all.Add(1)
	return l.append(record{kind: kindAll, revision: revision}, true)
}

// Invalidate makes what is stored under a key [Gone]: something at this node has made it untrue (RFC 9111 section 4.4). It
// survives the end of the process, and a power cut after [Log.Commit].
func (l *Log) Invalidate(key cdn.CacheKey) (store.Epoch, error) {
	l.stats.invalidated.Add(1)
	return l.append(record{kind: kindKey, key: key}, false)
}

// append gives a record the next epoch, writes it down and puts it into force.
func (l *Log) append(r record, sync bool) (store.Epoch, error) {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.closed {
		return l.Epoch(), errClosed
	}
	r.epoch = l.Epoch() + 1
	err := l.reserve(r.epoch)
	if err == nil {
		err = l.journal.append(&r, sync)
	}
	if r.revision != 0 {
		l.revision = r.revision
	}
	l.table.add(&r, l.rules)
	l.epoch.Store(uint64(r.epoch))
	if err != nil {
		l.stats.failures.Add(1)
		l.log.Error("a purge could not be written to disk", "error", err)
		l.journal.keep(&r)
		err = l.renew()
	} else {
		l.trim()
	}
	if err != nil {
		return r.epoch, fmt.Errorf("writing a purge down: %w", err)
	}
	return r.epoch, nil
}

// epochsAhead is how many epochs are reserved at a time.
const epochsAhead = 1 << 20

// reserve sees to it that after a restart no epoch up to this one is given out again, whatever of the journal is lost: objects
// that are born at it may be on disk before it is.
func (l *Log) reserve(epoch store.Epoch) error {
	if epoch < l.ceiling {
		return nil
	}
	ceiling := epoch + epochsAhead
	if err := l.journal.append(&record{kind: kindState, epoch: ceiling, revision: l.revision}, true); err != nil {
		return err
	}
	l.ceiling = ceiling
	return nil
}

// Follow makes rules those by which purges are understood, also the ones that have been applied already. It is to be called
// before a configuration with other rules comes into force, with rules that are those of the old and the new one together,
// and is over before anything is judged by the new ones.
func (l *Log) Follow(rules Rules) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.rules = rules
	l.table.loosen(rules)
	err := l.journal.each(func(r *record) error {
		if r.kind == kindPurge {
			l.table.addTargets(r, rules)
		}
		return nil
	})
	if err != nil { // it could have been anything
		l.log.Error("the purge log cannot be read again; everything stored is gone", "error", err)
		err = l.reset()
	}
	l.recheck()
	l.trim()
	return err
}

// Settle is Follow where no URL has other keys, and nothing needs to be understood anew.
func (l *Log) Settle(rules Rules) {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.rules = rules
}

// recheck makes every object be compared with everything once more.
func (l *Log) recheck() {
	epoch := l.Epoch() + 1
	if err := l.reserve(epoch); err != nil {
		l.stats.failures.Add(1)
		l.log.Error("the purge log cannot be written", "error", err)
	}
	l.table.recheckAt(epoch)
	l.epoch.Store(uint64(epoch))
}

// Judge compares an object with all that has been purged.
func (l *Log) Judge(o *store.Object) Verdict {
	v, _ := l.judge(o)
	return v
}

// judge also returns when a stale object became so, in nanoseconds since 1970.
func (l *Log) judge(o *store.Object) (Verdict, int64) {
	now := l.epoch.Load()
	if m := o.Memo; m != nil {
		if checked := m.Checked.Load(); checked>>1 == now {
			if checked&1 == 0 {
				return Good, 0
			}
			return Stale, m.Softened.Load()
		}
	}
	if inner(o.Key) {
		return Good, 0
	}
	return l.compare(o, store.Epoch(now))
}

// inner reports whether an object is found through another one only, so that judging that one is enough.
func inner(key cdn.CacheKey) bool { return strings.HasPrefix(string(key), "\x00") }

// compare is judge for an object that has not been compared with everything yet.
func (l *Log) compare(o *store.Object, now store.Epoch) (Verdict, int64) {
	c := comparison{object: o, since: o.Born}
	if m := o.Memo; m != nil {
		checked := m.Checked.Load()
		c.checked = store.Epoch(checked >> 1)
		if c.checked != 0 && checked&1 != 0 {
			c.softened = m.Softened.Load()
		}
	}
	if l.table.gone(&c) || !sameEra(o.Born, l.Epoch()) { // in this order: see Log.reset
		return Gone, 0
	}
	stale := uint64(0)
	if c.softened != 0 {
		stale = 1
	}
	if m := o.Memo; m != nil {
		m.Softened.Store(c.softened)
		m.Checked.Store(uint64(now)<<1 | stale)
	}
	return Verdict(stale), c.softened
}
