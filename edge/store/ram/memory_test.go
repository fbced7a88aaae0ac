package ram_test

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/edge/httpcache"
	"nearcast/edge/store"
	"nearcast/edge/store/ram"
	"nearcast/internal/gctune"
	"nearcast/internal/heapsize"
	"nearcast/internal/racing"
)

// The promise of docs/storage.md: resident memory at full load stays within the share of the budget plus the fixed part.
const (
	residentShare = 1.15
	residentFixed = 96 << 20
	residentText  = 16 << 20 // of the fixed part: the program's text
)

// These variables of the environment tell a child process what to do.
const (
	envBudget = "NEARCAST_TEST_RAM_BUDGET" // in MiB
	envTurns  = "NEARCAST_TEST_RAM_TURNS"  // how often the budget is to be filled anew
)

// report is what the child measured.
type report struct {
	Resident, Now int64 // VmHWM and VmRSS
	Stats         store.Stats
	Live          uint64
	Collections   uint64
	GCShare       float64 // of all CPU time used
	Seconds       float64
	Puts, Gets    int64
}

// TestResidentMemory fills a store many times over, at full speed, with objects of all sizes, in a process of its own.
// Longer: NEARCAST_TEST_RAM_BUDGET=4096 NEARCAST_TEST_RAM_TURNS=8 go test -run ResidentMemory -v ./edge/store/ram
func TestResidentMemory(t *testing.T) {
	if os.Getenv("NEARCAST_TEST_RAM_CHILD") != "" {
		child(t)
		return
	}
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("this system does not tell what is resident")
	}
	turns := "4"
	if racing.Enabled {
		turns = "1" // the race detector has only to see it
	}
	budget := cmp.Or(os.Getenv(envBudget), "192")
	cmd := exec.Command(os.Args[0], "-test.run=^TestResidentMemory$", "-test.count=1") //nolint:gosec // this very program
	cmd.Env = append(os.Environ(), "NEARCAST_TEST_RAM_CHILD=1", envBudget+"="+budget, envTurns+"="+cmp.Or(os.Getenv(envTurns), turns))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var r report
	if err := json.Unmarshal(out[:strings.IndexByte(string(out), '\n')], &r); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	n, err := strconv.ParseInt(budget, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	n <<= 20
	limit := int64(residentShare*float64(n)) + residentFixed
	const mib = 1 << 20
	t.Logf("budget %d MiB: resident at most %d MiB, limit %d MiB; %d objects of %d MiB; live heap %d MiB; %d collections, %.1f %% of the CPU; %d puts and %d gets in %.1f s",
		n/mib, r.Resident/mib, limit/mib, r.Stats.Objects, r.Stats.Bytes/mib, r.Live/mib, r.Collections, 100*r.GCShare, r.Puts, r.Gets, r.Seconds)
	if r.Stats.Bytes < n/10*9 || r.Stats.Evictions == 0 && turns != "1" {
		t.Errorf("the store was not full: %+v", r.Stats)
	}
	if r.Resident > limit && !racing.Enabled {
		t.Errorf("%d bytes were resident, the limit is %d", r.Resident, limit)
	}
}

// child does the work and prints a report on a line of its own.
func child(t *testing.T) {
	number := func(name string) int64 {
		n, err := strconv.ParseInt(os.Getenv(name), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	budget := number(envBudget) << 20
	defer gctune.Start(uint64(residentShare*float64(budget)) + residentFixed - residentText)()
	s, err := ram.New(ram.Config{Budget: budget})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	begun := time.Now()
	r := churn(s, budget*number(envTurns))
	r.Seconds = time.Since(begun).Seconds()
	r.Stats = s.Stats()
	r.Resident, r.Now = status(t, "VmHWM"), status(t, "VmRSS")
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/cycles/total:gc-cycles"}, {Name: "/cpu/classes/gc/total:cpu-seconds"}, {Name: "/cpu/classes/total:cpu-seconds"}, {Name: "/cpu/classes/idle:cpu-seconds"}}
	metrics.Read(samples)
	r.Live, r.Collections = samples[0].Value.Uint64(), samples[1].Value.Uint64()
	r.GCShare = samples[2].Value.Float64() / (samples[3].Value.Float64() - samples[4].Value.Float64())
	line, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(string(line)) // to the parent process
}

// churn puts objects of so many octets together, while others read.
func churn(s *ram.Store, octets int64) report {
	var wg sync.WaitGroup
	var left, puts, gets atomic.Int64
	fields := realisticFields()
	left.Store(octets)
	for g := range 4 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(g)))
			popular := rand.NewZipf(rnd, 1.1, 10, 1<<24)
			for left.Load() > 0 {
				key := cdn.CacheKey("site\x00https://www.example.com/assets/images/" + strconv.FormatUint(popular.Uint64(), 10))
				o, _ := s.Get(store.Lookup{Key: key, Fields: fields})
				gets.Add(1)
				if o != nil {
					if o.Memo.Load() == nil {
						o.Remember(faceLike())
					}
					continue
				}
				o = realistic(key, lognormal(rnd))
				left.Add(-o.Body.Len())
				s.Put(o, fields)
				puts.Add(1)
			}
		})
	}
	wg.Wait()
	return report{Puts: puts.Load(), Gets: gets.Load()}
}

// lognormal is a size between 200 octets and 1 MiB, half of them less than 12 KiB.
func lognormal(rnd *rand.Rand) int {
	return int(min(max(math.Exp(math.Log(12<<10)+1.8*rnd.NormFloat64()), 200), 1<<20))
}

// realistic makes an object as a fill does: the body in pieces of 128 KiB, each string of the head by itself.
func realistic(key cdn.CacheKey, n int) *store.Object {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	h := http.Header{}
	for _, f := range [...][2]string{
		{"Content-Type", "image/jpeg"},
		{"Etag", `"5f3e-60a1b2c3d4e5f"`},
		{"Last-Modified", "Fri, 02 Jan 2026 03:04:05 GMT"},
		{"Cache-Control", "public, max-age=86400, stale-while-revalidate=60"},
		{"Date", "Fri, 02 Jan 2026 03:04:05 GMT"},
		{"Server", "Apache/2.4.62 (Unix)"},
		{"Accept-Ranges", "bytes"},
		{"Vary", "Accept-Encoding"},
		{"X-Content-Type-Options", "nosniff"},
		{"Content-Length", strconv.Itoa(n)},
		{"Strict-Transport-Security", "max-age=31536000; includeSubDomains"},
	} {
		h.Add(f[0], strings.Clone(f[1]))
	}
	r := httpcache.NewResponse(httpcache.Request{Method: http.MethodGet, Header: realisticFields()}, http.StatusOK, h, now, now)
	var pieces [][]byte
	for left := n; left > 0; {
		p := make([]byte, min(left, 128<<10))
		for i := 0; i < len(p); i += 1 << 10 {
			p[i] = 1 // so that the page is really there
		}
		pieces, left = append(pieces, p), left-len(p)
	}
	return &store.Object{
		ID: 1, Key: key, URL: strings.Clone(string(key)), Tags: []uint64{1, 2}, Response: r,
		Body: store.NewBody(pieces...), Length: int64(n),
	}
}

// realisticFields are those of the request for a realistic object that it varies by.
func realisticFields() http.Header { return http.Header{"Accept-Encoding": {"gzip, br"}} }

// faceLike takes as much memory as what the edge works out about an object: three blocks in two wire forms.
func faceLike() (face any, size int64) {
	f := new([6][]byte)
	size = heapsize.Pointers(6 * 24)
	for i := range f {
		f[i] = make([]byte, 500)
		size += heapsize.Of(500)
	}
	return f, size
}

// status reads a field of /proc/self/status, in bytes.
func status(t *testing.T, name string) int64 {
	t.Helper()
	f, err := os.Open("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var kib int64
		if n, _ := fmt.Sscanf(lines.Text(), name+": %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	t.Fatalf("no %s in /proc/self/status", name)
	return 0
}
