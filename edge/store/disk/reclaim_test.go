package disk_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"nearcast/edge/store/disk"
	"nearcast/internal/fsys"
)

// amplification is octets written by octets brought.
func amplification(d disk.DiskStats) float64 {
	return float64(d.Written+d.Rewritten+d.Footers) / float64(d.Written)
}

// TestWriteAmplification: on a load of which some objects are wanted far more often than others, and the disk full, what is wanted stays,
// and little is written twice.
func TestWriteAmplification(t *testing.T) {
	for _, tt := range []struct {
		name    string
		size    int
		segment int64
	}{{"small objects", 700, 256 << 10}, {"large objects", 30_000, 1 << 20}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := config(fsys.NewMem(fsys.MemConfig{Safe: true}))
			c.SegmentSize = tt.segment
			c.Disks[0].Size = 32 * tt.segment
			s := open(t, c)
			rng := rand.New(rand.NewPCG(1, 1))
			objects := uint64(6 * c.Disks[0].Size / int64(tt.size+700))
			zipf := rand.NewZipf(rng, 1.1, 1, objects)
			hits, gets := 0, 0
			body := long("x", tt.size)
			for gets < int(3*objects) {
				key := keyOf(int(zipf.Uint64())) //nolint:gosec // small
				gets++
				if get(s, key, "") != nil {
					hits++
				} else {
					s.Put(thing(key, body), nil)
				}
			}
			d := s.Stats().Disks[0]
			t.Logf("%d objects, %.1f %% hits, write amplification %.3f, %+v", objects, 100*float64(hits)/float64(gets), amplification(d), d)
			if got := amplification(d); got > 1.3 || d.Reinserted == 0 || d.Evictions == 0 {
				t.Errorf("write amplification %.3f, want at most 1.3; %d reinserted, %d evicted", got, d.Reinserted, d.Evictions)
			}
			if d.Used > d.Size || d.Damaged > 0 || d.Errors > 0 || d.Refused > d.Puts/20 {
				t.Errorf("Stats() = %+v", d)
			}
		})
	}
}

// TestExpired: what ends soon is kept apart, and its segments go first when it has ended.
func TestExpired(t *testing.T) {
	now := epoch
	c := config(fsys.NewMem(fsys.MemConfig{}))
	c.Now = func() time.Time { return now }
	c.Disks[0].Size = 20 * segmentSize
	s := open(t, c)
	for i := range 8 { // some of each, in turn: about 4 segments of each class
		for j := range 8 {
			put(t, s, thing(keyOf(100*i+j), long("long", 4000), "Cache-Control", "max-age=100000"), "")
			o := thing(keyOf(1000+100*i+j), long("short", 4000), "Cache-Control", "max-age=60")
			o.Response.Header.Del("Etag")
			put(t, s, o, "")
		}
	}
	before := s.Stats().Disks[0]
	now = now.Add(2 * time.Minute)
	if get(s, keyOf(1000), "") == nil {
		t.Error("an object that has expired is gone, though its room is not needed yet")
	}
	for i := range 120 {
		put(t, s, thing(keyOf(5000+i), long("new", 4000), "Cache-Control", "max-age=100000"), "")
	}
	after := s.Stats().Disks[0]
	if after.Reclaimed == before.Reclaimed {
		t.Fatalf("nothing has been reclaimed: %+v", after)
	}
	for i := range 8 {
		for j := range 8 {
			want(t, s, keyOf(100*i+j), "", long("long", 4000))
		}
	}
}
