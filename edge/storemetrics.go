package edge

import (
	"github.com/prometheus/client_golang/prometheus"

	"nearcast/edge/cacheadmin"
	"nearcast/edge/store/disk"
)

// storeCollector has the metrics of memory and disks. All of one scrape are of one moment.
type storeCollector struct {
	s                  *Server
	disks              []diskMetric
	hits, failed, warm *prometheus.Desc
	index, dropped     *prometheus.Desc
	others             []prometheus.Collector
}

// diskMetric is a metric that each disk has.
type diskMetric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*disk.DiskStats) int64
}

func storeDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("nearcast_edge_"+name, help, labels, nil)
}

func newStoreCollector(s *Server) *storeCollector {
	c := &storeCollector{
		s:       s,
		hits:    storeDesc("store_hits_total", "Lookups that found an object, by where it was.", "tier"),
		failed:  storeDesc("disks_failed", "Disks that are out of service."),
		warm:    storeDesc("disk_warm", "1 once all that is on the disks is known."),
		index:   storeDesc("disk_index_bytes", "Memory of the index of what is on the disks."),
		dropped: storeDesc("disk_writes_dropped_total", "Objects that were worth writing to disk and were not, since too many waited."),
	}
	c.disks = append(diskGauges(), diskCounters()...)
	for _, m := range [...]struct {
		name, help string
		value      func() int64
	}{
		{"sweep_passes_total", "Searches for what has been purged that came to their end.", s.sweeper.passes.Load},
		{"sweep_removed_total", "Objects removed since they had been purged.", s.sweeper.removed.Load},
		{"verify_passes_total", "Verifications of everything on disk that came to their end.", s.scrubber.passes.Load},
		{"verified_bytes_total", "Octets on disk that were compared with their checksums to verify them.", s.scrubber.octets.Load},
		{"verify_damaged_total", "Records that verifications found damaged, and dropped.", s.scrubber.damaged.Load},
		{"verify_errors_total", "Records that verifications could not read.", s.scrubber.errors.Load},
	} {
		c.others = append(c.others, prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "nearcast_edge_" + m.name, Help: m.help},
			func() float64 { return float64(m.value()) }))
	}
	return c
}

func diskGauges() (list []diskMetric) {
	gauge := func(name, help string, value func(*disk.DiskStats) int64) {
		list = append(list, diskMetric{storeDesc(name, help, "disk"), prometheus.GaugeValue, value})
	}
	gauge("disk_failed", "1 if the disk is out of service.", func(d *disk.DiskStats) int64 { return one(d.Failed != "") })
	gauge("disk_lapped", "1 once all room of the disk has been used.", func(d *disk.DiskStats) int64 { return one(d.Lapped) })
	gauge("disk_size_bytes", "Octets that the files on the disk may take.", func(d *disk.DiskStats) int64 { return d.Size })
	gauge("disk_used_bytes", "Octets that the files on the disk take.", func(d *disk.DiskStats) int64 { return d.Used })
	gauge("disk_bytes", "Octets of the objects on the disk, those that have been replaced among them.", func(d *disk.DiskStats) int64 { return d.Octets })
	gauge("disk_objects", "Objects on the disk, slices and coded variants among them.", func(d *disk.DiskStats) int64 { return d.Objects })
	gauge("disk_segments", "Files with objects on the disk.", func(d *disk.DiskStats) int64 { return int64(d.Segments) })
	return list
}

func diskCounters() (list []diskMetric) {
	counter := func(name, help string, value func(*disk.DiskStats) int64) {
		list = append(list, diskMetric{storeDesc(name, help, "disk"), prometheus.CounterValue, value})
	}
	counter("disk_written_bytes_total", "Octets written that had to be.", func(d *disk.DiskStats) int64 { return d.Written })
	counter("disk_rewritten_bytes_total", "Octets written again to be kept when their file was given up.", func(d *disk.DiskStats) int64 { return d.Rewritten })
	counter("disk_footer_bytes_total", "Octets of footers written.", func(d *disk.DiskStats) int64 { return d.Footers })
	counter("disk_read_bytes_total", "Octets read.", func(d *disk.DiskStats) int64 { return d.Read })
	counter("disk_puts_total", "Objects written.", func(d *disk.DiskStats) int64 { return d.Puts })
	counter("disk_refused_total", "Objects not written: too large, expired, or the disk did not keep up.", func(d *disk.DiskStats) int64 { return d.Refused })
	counter("disk_evictions_total", "Objects given up for room.", func(d *disk.DiskStats) int64 { return d.Evictions })
	counter("disk_reclaimed_total", "Files given up for room.", func(d *disk.DiskStats) int64 { return d.Reclaimed })
	counter("disk_reinserted_total", "Objects written again since they were wanted.", func(d *disk.DiskStats) int64 { return d.Reinserted })
	counter("disk_damaged_total", "Records and footers that were not what had been written.", func(d *disk.DiskStats) int64 { return d.Damaged })
	counter("disk_errors_total", "Errors of reading and writing.", func(d *disk.DiskStats) int64 { return d.Errors })
	counter("disk_reads_refused_total", "Reads not tried since too many waited.", func(d *disk.DiskStats) int64 { return d.RefusedReads })
	counter("disk_tombstones_lost_total", "Removals that could not be written down; a restart may bring back what they removed.",
		func(d *disk.DiskStats) int64 { return d.LostTombstones })
	counter("disk_unindexed_total", "Objects left out for lack of memory for the index.", func(d *disk.DiskStats) int64 { return d.Unindexed })
	return list
}

func one(is bool) int64 {
	if is {
		return 1
	}
	return 0
}

// Describe implements [prometheus.Collector].
func (c *storeCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range [...]*prometheus.Desc{c.hits, c.failed, c.warm, c.index, c.dropped} {
		to <- d
	}
	for _, m := range c.disks {
		to <- m.desc
	}
	for _, m := range c.others {
		m.Describe(to)
	}
}

// Collect implements [prometheus.Collector].
func (c *storeCollector) Collect(to chan<- prometheus.Metric) {
	ram, below := c.s.tiers.Stats(), c.s.tiers.DiskStats()
	var onDisk int64
	for i := range below.Disks {
		d := &below.Disks[i]
		onDisk += d.Hits
		for _, m := range c.disks {
			to <- prometheus.MustNewConstMetric(m.desc, m.kind, float64(m.value(d)), d.Path)
		}
	}
	to <- prometheus.MustNewConstMetric(c.hits, prometheus.CounterValue, float64(ram.Hits), string(cacheadmin.InMemory))
	to <- prometheus.MustNewConstMetric(c.hits, prometheus.CounterValue, float64(onDisk), string(cacheadmin.OnDisk))
	to <- prometheus.MustNewConstMetric(c.failed, prometheus.GaugeValue, float64(below.Failed))
	to <- prometheus.MustNewConstMetric(c.warm, prometheus.GaugeValue, float64(one(below.Warm)))
	to <- prometheus.MustNewConstMetric(c.index, prometheus.GaugeValue, float64(below.IndexBytes))
	to <- prometheus.MustNewConstMetric(c.dropped, prometheus.CounterValue, float64(c.s.tiers.Dropped()))
	for _, m := range c.others {
		m.Collect(to)
	}
}
