package tier_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"nearcast/edge/store"
	"nearcast/edge/store/disk"
	"nearcast/edge/store/storetest"
	"nearcast/edge/store/tier"
	"nearcast/internal/fsys"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// now is the time at which storetest's objects are fresh.
func now() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

// open makes a store of memory and, if it has any octets, a disk on a file system.
func open(t *testing.T, fs fsys.FS, ram, octets int64) *tier.Store {
	t.Helper()
	var d *disk.Store
	if octets > 0 {
		var err error
		d, err = disk.Open(disk.Config{Disks: []disk.Disk{{Path: "/cache", Size: octets}}, FS: fs, SegmentSize: octets / 16 &^ 4095, Now: now})
		if err != nil {
			t.Fatal(err)
		}
	}
	s, err := tier.New(tier.Config{RAM: ram, Disk: d})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// counted is a tier.Store whose Stats are those of the tier that has everything.
type counted struct {
	*tier.Store
	disk bool
}

func (c counted) Stats() store.Stats {
	if !c.disk {
		return c.Store.Stats()
	}
	d := c.DiskStats()
	// The disk may not have made room yet.
	stats := store.Stats{Objects: d.Objects, Evictions: uint64(d.Evictions+d.Disks[0].Refused) + c.Store.Stats().Evictions}
	if d.Objects > 0 {
		stats.Bytes = d.Octets
	}
	return stats
}

// TestStore: whatever has room where, it is one store.
func TestStore(t *testing.T) {
	const budget = 2 << 20
	for name, room := range map[string][2]int64{"memory": {budget, 0}, "both": {budget, 4 * budget}, "small memory": {64 << 10, budget}, "disk": {1, budget}} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, budget, func(t *testing.T) store.Store {
				t.Helper()
				return counted{open(t, fsys.NewMem(fsys.MemConfig{}), room[0], room[1]), room[0] < budget}
			})
		})
	}
}
