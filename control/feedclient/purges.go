package feedclient

import (
	"context"
	"encoding/json"
	"time"

	"nearcast/cdn"
	"nearcast/control/protocol"
)

const (
	fetchBatch = 512     // purges asked for at a time
	fetchBytes = 8 << 20 // and their octets
	// persistEvery is the distance of two writes of the cursor. Applied purges
	// that it does not have yet are only applied again.
	persistEvery = 200 * time.Millisecond
)

// followPurges applies purges as they are pushed and fetches what was missed.
// It alone moves the cursor while the session lasts.
func (s *session) followPurges(ctx context.Context) error {
	if err := s.syncPurges(ctx); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case m := <-s.livePurges:
			if e, err := readEntry(m); err == nil && s.c.next(e) {
				continue
			}
		case <-s.checkPurges:
		}
		if err := s.syncPurges(ctx); err != nil {
			return err
		}
	}
}

// next applies an entry that was pushed, if it is the next one or an old one;
// it reports false if entries before it are missing.
func (c *Client) next(e entry) bool {
	cur := c.cursor.Load()
	if cur == nil || e.seq > uint64(cur.Revision)+1 {
		return false
	}
	if e.seq == uint64(cur.Revision)+1 {
		c.applyPurge(cur.LogID, e)
	}
	return true
}

// syncPurges brings the cursor to the head of the log.
func (s *session) syncPurges(ctx context.Context) error {
	h, err := s.head(ctx)
	if err != nil {
		return err
	}
	s.c.reconcile(h.Purges)
	for s.c.Revision() < cdn.Revision(h.Purges.Last) {
		from := uint64(s.c.Revision()) + 1
		entries, err := s.fetch(ctx, protocol.StreamPurges, protocol.DirectGet{Seq: from, Batch: fetchBatch, MaxBytes: fetchBytes})
		if err != nil {
			return err
		}
		if entries[0].seq != from { // the log's front moved past us since we looked
			return s.syncPurges(ctx)
		}
		for _, e := range entries {
			if !s.c.next(e) {
				break // cannot be: entries are never removed from the middle
			}
		}
	}
	if !s.c.caught.Swap(true) {
		s.c.cfg.OnCaughtUp()
		s.c.cfg.Log.InfoContext(ctx, "all purges are applied", "revision", s.c.Revision())
	}
	return nil
}

// reconcile compares the cursor with the log. If it is in another log, or if the
// log does not reach back to it, or not up to it, purges were missed for good: everything
// stored is stale and following starts at the head.
func (c *Client) reconcile(log protocol.Log) {
	cur := c.cursor.Load()
	head := &cursor{log.ID, cdn.Revision(log.Last)}
	switch {
	case cur == nil:
		c.setCursor(head)
	case cur.LogID != log.ID, uint64(cur.Revision) > log.Last, uint64(cur.Revision)+1 < log.First:
		c.cfg.Log.Warn("purges were missed for good; everything stored is stale",
			"cursor", cur.Revision, "first", log.First, "last", log.Last, "same_log", cur.LogID == log.ID)
		c.gap(head.Revision)
		c.setCursor(head)
	}
}

// applyPurge applies the entry behind the cursor. An entry that cannot be read
// could have covered anything.
func (c *Client) applyPurge(logID string, e entry) {
	var p cdn.Purge
	if err := json.Unmarshal(e.data, &p); err != nil {
		c.cfg.Log.Error("a purge cannot be read; everything stored is stale", "revision", e.seq, "error", err)
		c.gap(cdn.Revision(e.seq))
	} else {
		p.Revision = cdn.Revision(e.seq)
		c.cfg.OnPurge(p)
		c.metrics.purges.Inc()
	}
	c.setCursor(&cursor{logID, cdn.Revision(e.seq)})
}

func (c *Client) setCursor(cur *cursor) {
	c.cursor.Store(cur)
	c.noteChange()
}

// persistCursor writes the cursor behind what is applied, and once more at the end.
func (c *Client) persistCursor(ctx context.Context) {
	tick := time.NewTicker(persistEvery)
	defer tick.Stop()
	written := c.cursor.Load()
	for {
		select {
		case <-tick.C:
			written = c.writeCursor(written)
		case <-ctx.Done():
			c.writeCursor(written)
			return
		}
	}
}

func (c *Client) writeCursor(written *cursor) *cursor {
	cur := c.cursor.Load()
	if cur == nil || cur == written {
		return written
	}
	if err := c.disk.writeCursor(cur); err != nil {
		c.metrics.disk.Inc()
		c.cfg.Log.Error("a restart would apply purges again", "error", err)
		return written
	}
	return cur
}
