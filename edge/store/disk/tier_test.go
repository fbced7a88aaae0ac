package disk_test

import (
	"net/http"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/edge/httpcache"
	"nearcast/edge/store"
	"nearcast/edge/store/disk"
	"nearcast/edge/store/storetest"
	"nearcast/internal/fsys"
)

// whole makes a [store.Store] of the disk tier alone, as far as that goes: a new head is a new record, and what a key has is
// looked for among everything.
type whole struct {
	*disk.Store
}

func (w whole) Refresh(old *store.Object, head *httpcache.Response, born store.Epoch) bool {
	fields := http.Header{}
	if a := old.Response.Header.Get("Accept-Encoding"); a != "" {
		fields.Set("Accept-Encoding", a)
	}
	l := store.Lookup{Key: old.Key, Variant: old.Variant, Fields: fields}
	now := w.Peek(l)
	if now == nil || !now.Response.ResponseTime.Equal(old.Response.ResponseTime) {
		return false
	}
	fresh := *old
	fresh.Response, fresh.Born = head, born
	return w.Put(&fresh, fields)
}

func (w whole) Delete(key cdn.CacheKey) {
	for o := range w.All {
		if o.Key == key {
			for _, coding := range []string{"", "gzip", "br"} {
				w.Forget(store.Lookup{Key: key, Variant: o.Variant, Fields: accepting(coding)})
			}
		}
	}
}

func (w whole) Stats() store.Stats {
	s := w.Store.Stats()
	stats := store.Stats{Objects: s.Objects, Evictions: uint64(s.Evictions)} //nolint:gosec // counts
	if s.Objects > 0 {
		stats.Bytes = s.Octets
	}
	return stats
}

func (w whole) Close() { _ = w.Store.Close() }

func TestStore(t *testing.T) {
	const budget = 2 << 20
	storetest.Run(t, budget, func(t *testing.T) store.Store {
		t.Helper()
		c := config(fsys.NewMem(fsys.MemConfig{}))
		c.Now = func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }
		c.Disks[0].Size, c.SegmentSize = budget, budget/16
		return whole{open(t, c)}
	})
}
