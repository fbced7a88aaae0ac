package disk

import (
	"sync/atomic"
)

// counts are what a disk has done since the start.
type counts struct {
	puts, refused, hits, evictions, reclaimed, reinserted, purged, swept   atomic.Int64
	written, rewritten, footers, readOctets                                atomic.Int64
	damaged, ioErrors, readErrors, refusedReads, lostTombstones, unindexed atomic.Int64
}

// Stats is what a store holds, and what it has done since the start.
type Stats struct {
	Disks      []DiskStats
	Objects    int64
	Octets     int64 // of the records, those that have been replaced among them
	IndexBytes int64 // memory of the index
	Evictions  int64 // objects given up for room
	Failed     int   // disks that are out of service
	Warm       bool  // all that is on the disks is known
}

// DiskStats is the part of one disk. All but the first block counts since the start.
type DiskStats struct {
	Path     string
	Failed   string // why the disk is out of service; empty: it is not
	Size     int64  // octets that its files may take
	Used     int64  // octets that they take
	Segments int    // with records
	Free     int    // empty ones in reserve
	Objects  int64
	Octets   int64 // of the records, those that have been replaced among them
	Lapped   bool  // all room has been used once

	Puts       int64 // objects written
	Refused    int64 // not written: too large, expired, or the disk did not keep up
	Hits       int64
	Evictions  int64 // objects given up for room
	Reclaimed  int64 // segments given up for room
	Reinserted int64 // objects written again since they were wanted
	Purged     int64 // times that an object was asked for that had been purged
	Swept      int64 // objects that Sweep has removed

	Written   int64 // octets of records that callers brought, and of tombstones
	Rewritten int64 // octets of records written again
	Footers   int64 // octets
	Read      int64 // octets

	Damaged        int64 // records, and footers, that were not what was written
	Errors         int64 // of reading and writing
	RefusedReads   int64 // too many were waiting
	LostTombstones int64 // a restart may bring back what they removed
	Unindexed      int64 // records left out for lack of memory
}

// Amplification is how many octets were written for each one that had to be; 0 if there was none.
func (d *DiskStats) Amplification() float64 {
	if d.Written == 0 {
		return 0
	}
	return float64(d.Written+d.Rewritten+d.Footers) / float64(d.Written)
}

// Stats returns them.
func (s *Store) Stats() Stats {
	total := Stats{Warm: !s.warming()}
	for _, v := range s.volumes {
		d := v.stats()
		total.Disks = append(total.Disks, d)
		total.Objects += d.Objects
		total.Octets += d.Octets
		total.Evictions += d.Evictions
		total.IndexBytes += v.index.Bytes()
		if d.Failed != "" {
			total.Failed++
		}
	}
	return total
}

func (v *volume) stats() DiskStats {
	c := &v.counts
	d := DiskStats{
		Path: v.path, Size: v.size, Objects: int64(v.index.Len()), Lapped: v.lapped.Load(),
		Puts: c.puts.Load(), Refused: c.refused.Load(), Hits: c.hits.Load(), Evictions: c.evictions.Load(),
		Reclaimed: c.reclaimed.Load(), Reinserted: c.reinserted.Load(), Purged: c.purged.Load(), Swept: c.swept.Load(),
		Written: c.written.Load(), Rewritten: c.rewritten.Load(), Footers: c.footers.Load(), Read: c.readOctets.Load(),
		Damaged: c.damaged.Load(), Errors: c.ioErrors.Load(), RefusedReads: c.refusedReads.Load(),
		LostTombstones: c.lostTombstones.Load(), Unindexed: c.unindexed.Load(),
	}
	if err := v.failure.Load(); err != nil {
		d.Failed, d.Objects = (*err).Error(), 0
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	d.Used, d.Segments, d.Free = v.used, len(v.segments), len(v.free)
	for _, g := range v.segments {
		tail := g.tail
		if w := g.writer.Load(); w != nil {
			tail = w.until()
		}
		d.Octets += tail
	}
	return d
}
