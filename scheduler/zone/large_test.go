package zone_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/scheduler/zone"
)

// large is 10,000 sites with 100 domains each, of which nothing is shared with another call's.
// sites is how many there are, with 100 names each. Numbers are held to their limits from 10,000 on.
var sites = flag.Int("sites", 200, "how many sites TestLarge compiles")

func large(n int) []cdn.Site {
	sites := make([]cdn.Site, n)
	for i := range sites {
		sites[i].Name = cdn.SiteName(fmt.Sprintf("site-%05d", i))
		for j := range 100 {
			sites[i].Domains = append(sites[i].Domains, cdn.Domain(fmt.Sprintf("www.shop-%d.customer-%d.example", j, i)))
		}
	}
	return sites
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// used is the processor time of this process, which is what a test can hold on a machine that has other things to do as well.
func used(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestLarge: a million names are compiled in little time and memory, and the change of one site in hardly any.
func TestLarge(t *testing.T) {
	limited := *sites >= 10_000
	cfg := config()
	empty := heap()
	cfg.Sites = large(*sites)
	before := heap()
	start := used(t)
	s := compile(t, cfg, nil)
	whole := used(t) - start
	all := heap()
	t.Logf("%d names: snapshot %d MiB, set %d MiB; compiled in %v of processor time", s.Names(), (before-empty)>>20, (all-before)>>20, whole)
	if limited && (all-empty > 200<<20 || whole > 3*time.Second) {
		t.Errorf("heap of %d MiB and %v, want at most 200 MiB and 3 s", (all-empty)>>20, whole)
	}
	var times []time.Duration
	for i := range 20 {
		next := cfg
		next.Generation++
		next.Sites = slices.Clone(cfg.Sites)
		at := (i*577 + 13) % len(next.Sites)
		next.Sites[at].Domains = slices.Clone(next.Sites[at].Domains)
		for j := range next.Sites[at].Domains {
			next.Sites[at].Domains[j] = cdn.Domain(fmt.Sprintf("new-%d-%d.example", i, j))
		}
		old := cfg.Sites[at].Domains[3]
		start = used(t)
		changed := compile(t, next, s)
		times = append(times, used(t)-start)
		var m zone.Match
		for _, d := range next.Sites[at].Domains {
			if changed.Find(wire(t, string(d)+".cdn.test"), &m); m.Domain != d {
				t.Fatalf("%s is not there after the change", d)
			}
		}
		if changed.Find(wire(t, string(old)+".cdn.test"), &m); m.Exists {
			t.Fatalf("%s is still there", old)
		}
		cfg, s = next, changed
	}
	slices.Sort(times)
	t.Logf("change of one site: median %v, longest %v", times[len(times)/2], times[len(times)-1])
	if limited && times[len(times)/2] > 10*time.Millisecond {
		t.Errorf("the change of one takes %v, want at most 10 ms", times[len(times)/2])
	}
	if now := heap(); limited && now > all+20<<20 {
		t.Errorf("heap of %d MiB after 20 changes, and %d MiB before", now>>20, all>>20)
	}
	runtime.KeepAlive(cfg)
}

func BenchmarkFind(b *testing.B) {
	cfg := config()
	cfg.Sites = large(10_000)
	s := compile(b, cfg, nil)
	r := rand.New(rand.NewPCG(1, 2))
	names := make(map[string][][]byte)
	for range 100_000 {
		d := string(cfg.Sites[r.IntN(len(cfg.Sites))].Domains[r.IntN(100)])
		for kind, name := range map[string]string{
			"steered": d + ".cdn.test", "node": "e1." + d + ".cdn.test", "absent": fmt.Sprintf("x%d.cdn.test", r.Uint32()),
			"below": fmt.Sprintf("x%d.", r.Uint32()) + d + ".cdn.test", "other": d, "hot": "d1.cdn.test",
			"long": strings.Repeat("a.", 120) + "cdn.test", "wild": strings.Repeat("a.", 118) + "dev.cdn.test",
		} {
			names[kind] = append(names[kind], wire(b, name))
		}
	}
	for _, kind := range []string{"steered", "node", "absent", "below", "other", "hot", "long", "wild"} {
		b.Run(kind, func(b *testing.B) {
			b.ReportAllocs()
			var m zone.Match
			list := make([][]byte, 0, 100_000)
			packed := slices.Concat(names[kind]...) // a question is in the processor's cache
			for _, name := range names[kind] {
				list, packed = append(list, packed[:len(name)]), packed[len(name):]
			}
			i := 0
			for b.Loop() {
				s.Find(list[i], &m)
				if i++; i == len(list) {
					i = 0
				}
			}
		})
	}
	b.Run("host", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			s.Host(cfg.Sites[i*7919%10_000].Domains[i%100])
			i++
		}
	})
}
