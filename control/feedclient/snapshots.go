package feedclient

import (
	"context"
	"errors"
	"fmt"

	"nearcast/cdn"
	"nearcast/control/protocol"
)

// wanted reports whether the log's newest version is another one than is in
// force and than was refused. An empty log is never wanted: emptiness is not acted on.
func (s *session) wanted(log protocol.Log) bool {
	if log.Last == 0 {
		return false
	}
	if r := s.c.refused.Load(); r != nil && r.logID == log.ID && uint64(r.generation) == log.Last {
		return false
	}
	r := s.c.running.Load()
	return r == nil || r.logID != log.ID || uint64(r.snap.Generation) != log.Last
}

// followSnapshots keeps the newest version in force.
func (s *session) followSnapshots(ctx context.Context) error {
	for {
		if err := s.syncSnapshot(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.checkSnapshot:
		}
	}
}

func (s *session) syncSnapshot(ctx context.Context) error {
	h, err := s.head(ctx)
	if err != nil {
		return err
	}
	if !s.wanted(h.Snapshots) {
		return nil
	}
	entries, err := s.fetch(ctx, protocol.StreamSnapshots, protocol.DirectGet{Seq: h.Snapshots.Last})
	if err != nil {
		return err
	}
	e := entries[0]
	var snap *cdn.Snapshot
	if e.sum != protocol.Sum(e.data) {
		err = errors.New("its checksum does not match")
	} else {
		snap, err = s.c.decoder.Snapshot(e.data)
	}
	if err != nil {
		return fmt.Errorf("version %d cannot be used: %w", e.seq, err)
	}
	snap.Generation = cdn.Generation(e.seq)
	s.c.apply(h.Snapshots.ID, snap, e.data)
	return nil
}

// apply puts a version into force and then on disk: what is stored as the last
// known good one has been good.
func (c *Client) apply(logID string, snap *cdn.Snapshot, data []byte) {
	defer c.noteChange()
	if err := c.cfg.OnSnapshot(snap); err != nil {
		c.refused.Store(&refusal{logID, snap.Generation, err.Error()})
		c.metrics.snapshots.WithLabelValues("refused").Inc()
		c.cfg.Log.Error("refused a configuration; the old one stays in force", "generation", snap.Generation, "error", err)
		return
	}
	c.running.Store(&running{logID, snap})
	c.metrics.snapshots.WithLabelValues("applied").Inc()
	c.cfg.Log.Info("applied a configuration", "generation", snap.Generation, "sites", len(snap.Sites), "by", snap.By)
	if err := c.disk.writeSnapshot(logID, data); err != nil {
		c.metrics.disk.Inc()
		c.cfg.Log.Error("a restart would start from an older configuration", "error", err)
	}
}
