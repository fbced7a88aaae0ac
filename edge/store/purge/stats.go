package purge

import (
	"sync/atomic"

	"nearcast/cdn"
)

// Stats is how many purges there are and were.
type Stats struct {
	// Applied counts what has been purged since the start, by kind of scope: "url", "dir", "tag", "regex", "site", and "all".
	Applied map[string]uint64
	// Soft counts those of them that were soft.
	Soft uint64
	// Invalidated counts keys, see [Log.Invalidate].
	Invalidated uint64
	// Entries is what is remembered singly, and Folded how much of it was folded into purges of whole sites since the start.
	Entries int
	Folded  uint64
	// JournalBytes is the log's size in octets.
	JournalBytes int64
	// Failures counts what could not be written to disk, and Damaged logs that could not be used.
	Failures, Damaged uint64
}

// counts are the counters of Stats.
type counts struct {
	urls, dirs, tags, regexps, sites, all, soft atomic.Uint64
	invalidated, failures, damaged              atomic.Uint64
}

func (c *counts) count(p *cdn.Purge) {
	c.urls.Add(uint64(len(p.Targets)))
	for i := range p.Scopes {
		switch p.Scopes[i].Kind {
		case cdn.ScopeDir:
			c.dirs.Add(1)
		case cdn.ScopeTag:
			c.tags.Add(1)
		case cdn.ScopeRegexp:
			c.regexps.Add(1)
		case cdn.ScopeSite:
			c.sites.Add(1)
		default:
			c.all.Add(1)
		}
	}
	if p.Soft {
		c.soft.Add(uint64(len(p.Targets) + len(p.Scopes)))
	}
}

// Stats returns the numbers of now.
func (l *Log) Stats() Stats {
	c := &l.stats
	s := Stats{
		Applied: map[string]uint64{
			"url": c.urls.Load(), "dir": c.dirs.Load(), "tag": c.tags.Load(), "regex": c.regexps.Load(), "site": c.sites.Load(), "all": c.all.Load(),
		},
		Soft: c.soft.Load(), Invalidated: c.invalidated.Load(), Failures: c.failures.Load(), Damaged: c.damaged.Load(),
	}
	l.table.mu.RLock()
	s.Entries, s.Folded = l.table.entries, l.table.folded
	l.table.mu.RUnlock()
	l.writing.Lock()
	s.JournalBytes = l.journal.size
	l.writing.Unlock()
	return s
}
