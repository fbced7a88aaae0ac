package purge

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"

	"nearcast/cdn"
	"nearcast/edge/store"
)

// load puts what is on disk into force, or begins anew.
func (l *Log) load() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.cfg.Dir == "" {
		return l.reset()
	}
	size, err := l.journal.open()
	if errors.Is(err, fs.ErrNotExist) {
		return l.reset()
	}
	if err != nil {
		return err
	}
	end, err := l.replay(size)
	if err != nil {
		l.log.Warn("the purge log cannot be used; everything stored is gone", "error", err)
		l.stats.damaged.Add(1)
		return l.reset()
	}
	if end < size {
		l.log.Info("the purge log ends in an unfinished record, which is cut off", "octets", size-end)
		if err := l.renew(); err != nil {
			return err
		}
	}
	if err := l.reserve(l.Epoch() + 1); err != nil {
		return err
	}
	l.trim()
	return nil
}

// replay puts the records of a file into force and returns where they end.
func (l *Log) replay(size int64) (end int64, err error) {
	first := true
	var newest store.Epoch
	end, err = scan(l.journal.reader(), size, false, func(r *record) error {
		if first != (r.kind == kindHead) || first && r.revision != version {
			return fmt.Errorf("%w: record of kind %d, form %d", errDamaged, r.kind, r.revision)
		}
		if !first && !sameEra(r.epoch, newest) {
			return fmt.Errorf("%w: an epoch of another log", errDamaged)
		}
		newest = max(newest, r.epoch)
		if r.revision != 0 && !first {
			l.revision = r.revision
		}
		first = false
		l.journal.items += r.items()
		l.table.add(r, nil)
		return nil
	})
	if err == nil && end < leastSize {
		err = fmt.Errorf("%w: it has no beginning", errDamaged)
	}
	l.journal.size, l.journal.durable = end, end
	l.ceiling = newest // so that the next one is reserved
	l.epoch.Store(uint64(newest))
	return end, err
}

// reset begins a new log, in another era than what is stored was born in.
func (l *Log) reset() error {
	was := l.Epoch() >> eraShift
	era := was
	for era == was || era == 0 {
		era = store.Epoch(rand.Uint64N(1 << 22)) // an epoch and a bit fit into 63
	}
	first := era << eraShift
	l.revision, l.ceiling = 0, first+epochsAhead
	l.epoch.Store(uint64(first)) // whatever becomes of the file, and before the table is empty
	l.table.init(l.cfg.Regexps)
	l.journal.items, l.journal.lost = 0, nil
	err := l.journal.replace(func(put func(*record) error) error {
		if err := put(&record{kind: kindHead, epoch: first, revision: version}); err != nil {
			return err
		}
		return put(&record{kind: kindState, epoch: l.ceiling})
	})
	if err != nil {
		return errors.Join(err, l.journal.abandon())
	}
	return nil
}

// renew writes the journal anew, without what is not needed. What cannot be put on disk must not be missing
// after a restart: then there is no log any more.
func (l *Log) renew() error {
	err := l.compact(0)
	if errors.Is(err, errDamaged) {
		return l.reset()
	}
	if err != nil {
		l.stats.failures.Add(1)
		err = errors.Join(err, l.journal.abandon())
	}
	return err
}

// counted identifies an item of the journal.
type counted struct {
	soft   bool
	target cdn.Target
	scope  cdn.Scope
	key    cdn.CacheKey
}

// digest stands for a counted in less memory. No two have the same: it is as long as that takes.
type digest [16]byte

func (c *counted) digest() digest {
	r := record{kind: kindKey, soft: c.soft, key: c.key}
	if c.key == "" {
		r = record{kind: kindPurge, soft: c.soft, targets: []cdn.Target{c.target}, scopes: []cdn.Scope{c.scope}}
	}
	var short [512]byte
	sum := sha256.Sum256(appendRecord(short[:0], &r, 0))
	return digest(sum[:])
}

// minRewrite is how many items a journal has at least before it is looked through.
const minRewrite = 4096

// trim keeps memory and journal within their bounds.
func (l *Log) trim() {
	var err error
	if cut := l.table.bound(l.cfg.Entries); cut > 0 {
		l.log.Warn("too many purges are remembered; the oldest now cover their whole sites", "limit", l.cfg.Entries)
		err = l.compact(cut)
	} else if l.journal.items >= l.rewrite {
		err = l.compact(0)
	}
	if err != nil {
		l.stats.failures.Add(1)
		l.log.Error("the purge log could not be made shorter", "error", err)
	}
}

// compact writes the journal anew without what later items supersede, and with what is not younger than cut folded into
// whole sites. The old one stays if that fails.
func (l *Log) compact(cut store.Epoch) error {
	newest := make(map[digest]store.Epoch)
	all := max(l.table.everything(), l.journal.given)
	floor := max(all, l.swept)
	each := func(f func(r *record, id counted)) error {
		return l.journal.each(func(r *record) error {
			if r.epoch > floor {
				eachItem(r, cut, f)
			}
			return nil
		})
	}
	era := l.Epoch() >> eraShift << eraShift
	err := l.journal.replace(func(put func(*record) error) error {
		if err := put(&record{kind: kindHead, epoch: era, revision: version}); err != nil {
			return err
		}
		if all > 0 {
			if err := put(&record{kind: kindAll, epoch: all}); err != nil {
				return err
			}
		}
		err := each(func(r *record, id counted) {
			d := id.digest()
			newest[d] = max(newest[d], r.epoch)
		})
		if err != nil {
			return err
		}
		return l.putItems(put, each, newest)
	})
	l.rewrite = max(minRewrite, 2*l.journal.items)
	return err
}

// putItems writes each item that is the newest of its kind, those of one record together.
func (l *Log) putItems(put func(*record) error, each func(func(*record, counted)) error, newest map[digest]store.Epoch) error {
	var out record
	var failed error
	flush := func() {
		if out.items() > 0 && failed == nil {
			failed = put(&out)
		}
	}
	err := each(func(r *record, id counted) {
		d := id.digest()
		if newest[d] != r.epoch {
			return
		}
		delete(newest, d) // a record may have it twice
		k := kindPurge
		if id.key != "" {
			k = kindKey
		}
		if out.epoch != r.epoch || out.kind != k || k == kindKey {
			flush()
			out = record{kind: k, soft: r.soft, epoch: r.epoch, at: r.at}
		}
		switch {
		case id.key != "":
			out.key = id.key
		case id.scope.Kind != "":
			out.scopes = append(out.scopes, id.scope)
		default:
			out.targets = append(out.targets, id.target)
		}
	})
	flush()
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	return put(&record{kind: kindState, epoch: l.ceiling, revision: l.revision})
}
