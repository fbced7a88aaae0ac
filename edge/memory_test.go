package edge_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"nearcast/cdn"
	"nearcast/edge"
	"nearcast/internal/racing"
)

// TestStoredMemory: what the store says that objects take is what the process takes for them, with all that is worked out about
// them when visitors ask for them again.
func TestStoredMemory(t *testing.T) {
	body := strings.Repeat("x", 700)
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		for _, f := range [...][2]string{
			{"Content-Type", "image/jpeg"},
			{"Etag", `"5f3e-60a1b2c3d4e5f"`},
			{"Last-Modified", "Fri, 02 Jan 2026 03:04:05 GMT"},
			{"Cache-Control", "public, max-age=86400, stale-while-revalidate=60"},
			{"Server", "Apache/2.4.62 (Unix)"},
			{"Vary", "Accept-Encoding"},
			{"X-Content-Type-Options", "nosniff"},
			{"Strict-Transport-Security", "max-age=31536000; includeSubDomains"},
			{"X-Request-Id", "0123456789abcdef"},
		} {
			w.Header().Set(f[0], f[1])
		}
		fmt.Fprint(w, body)
	})
	s, addr := r.startAlone(t)
	load := func(from, to int) {
		for i := from; i < to; i++ {
			for _, want := range []string{"MISS", "HIT"} {
				if got := r.get(t, addr, fmt.Sprint("/assets/images/", i, ".jpg")).word(); got != want {
					t.Fatalf("object %d: %s, want %s", i, got, want)
				}
			}
		}
	}
	load(0, 100)                                             // whatever else there is by now is there for good
	heap, said := inUse()-s.ShadowMemory(), s.Stored().Bytes // shadows have a bound of their own
	const n = 3000
	load(100, 100+n)
	heap, said = inUse()-s.ShadowMemory()-heap, s.Stored().Bytes-said
	t.Logf("%d bytes measured, %d said, for each", heap/n, said/n)
	if !racing.Enabled && (heap > said+said/10 || heap < said-said/4) {
		t.Errorf("an object takes %d bytes, the store says %d", heap/n, said/n)
	}
}

func inUse() int64 {
	runtime.GC()
	runtime.GC() // what has been in pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestMemoryTarget(t *testing.T) {
	const mib = 1 << 20
	for ram, want := range map[int64]uint64{0: 652, 1 << 30: 1241, 100 * mib: 179} {
		if got := edge.MemoryTarget(cdn.Size(ram)) / mib; got != want {
			t.Errorf("%d MiB of RAM: %d MiB, want %d", ram/mib, got, want)
		}
	}
}
