package heapsize_test

import (
	"net/http"
	"runtime"
	"strconv"
	"testing"

	"nearcast/internal/heapsize"
	"nearcast/internal/racing"
)

// measured returns how much of the heap one of many takes that allocate makes.
func measured[T any](allocate func() T) int64 {
	const n = 4096
	var before, after runtime.MemStats
	all := make([]T, n)
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range all {
		all[i] = allocate()
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(all)
	return int64(after.HeapAlloc-before.HeapAlloc+n/2) / n
}

func exactly(t *testing.T) {
	t.Helper()
	if racing.Enabled {
		t.Skip("the race detector takes memory too")
	}
}

func TestOf(t *testing.T) {
	exactly(t)
	for _, n := range []int{24, 100, 1000, 1025, 5000, 9000, 32 << 10, 32<<10 + 1, 50_000} {
		want := measured(func() []byte { return make([]byte, n) })
		if got := heapsize.Of(n); got < want-want/100 || got > want+want/50 {
			t.Errorf("Of(%d) = %d, measured %d", n, got, want)
		}
	}
	if heapsize.Of(0) != 0 {
		t.Error("nothing takes memory")
	}
}

func TestPointers(t *testing.T) {
	exactly(t)
	for _, n := range []int{1, 64, 65, 200, 3000} {
		want := measured(func() []*int { return make([]*int, n) })
		if got := heapsize.Pointers(8 * n); got < want-want/100 || got > want+want/50 {
			t.Errorf("Pointers(%d) = %d, measured %d", 8*n, got, want)
		}
	}
}

func TestMap(t *testing.T) {
	exactly(t)
	for _, n := range []int{1, 8, 9, 14, 15, 28, 29, 60, 100} {
		names := make([]string, n)
		for i := range names {
			names[i] = strconv.Itoa(i)
		}
		want := measured(func() http.Header {
			h := make(http.Header, n)
			for _, name := range names {
				h[name] = nil
			}
			return h
		})
		if got := heapsize.Map(n, 16+24); got < want-want/100 || got > want+want/20 {
			t.Errorf("Map(%d) = %d, measured %d", n, got, want)
		}
	}
}
