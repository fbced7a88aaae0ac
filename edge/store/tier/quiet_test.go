package tier_test

import (
	"sync/atomic"
	"testing"

	"nearcast/edge/store"
	"nearcast/edge/store/disk"
	"nearcast/edge/store/tier"
	"nearcast/internal/fsys"
)

// While it is to be quiet nothing new goes to disk; it is stored all the same, and what proves worth it later makes up for it.
func TestQuiet(t *testing.T) {
	const octets = 4 << 20
	d, err := disk.Open(disk.Config{Disks: []disk.Disk{{Path: "/cache", Size: octets}}, FS: fsys.NewMem(fsys.MemConfig{}), SegmentSize: octets / 16 &^ 4095, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	var quiet atomic.Bool
	s, err := tier.New(tier.Config{RAM: 64 << 10, Disk: d, Quiet: quiet.Load})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	put := func(key string, size int, want bool) {
		t.Helper()
		if got := s.Put(aged(key, "", 1, size), nil); got != want {
			t.Errorf("%s was stored: %v, want %v", key, got, want)
		}
	}
	onDisk := func(key string) bool {
		l := store.Lookup{Key: aged(key, "", 1, 1).Key}
		return d.Has(l)
	}
	put("before", 1000, true)
	quiet.Store(true)
	put("during", 1000, true)
	put("larger than memory takes", 150<<10, false)
	if !onDisk("before") || onDisk("during") || onDisk("larger than memory takes") {
		t.Errorf("on disk: before %v, during %v, large %v", onDisk("before"), onDisk("during"), onDisk("larger than memory takes"))
	}
	if o, _ := s.Get(store.Lookup{Key: "during"}); o == nil {
		t.Error("what came during it is not in memory")
	}
	put("before", 1000, true) // another content takes the place of the old one, on disk as well
	if onDisk("before") {
		t.Error("the disk has an older content than memory")
	}
	quiet.Store(false)
	put("after", 1000, true)
	put("larger than memory takes", 150<<10, true)
	if !onDisk("after") || !onDisk("larger than memory takes") {
		t.Error("nothing goes to disk any more")
	}
}
