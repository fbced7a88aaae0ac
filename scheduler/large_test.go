package scheduler_test

import (
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/scheduler"
)

// sites is how many there are, with 100 domains each. Numbers are held to their limits from 10,000 on.
var sites = flag.Int("sites", 200, "how many sites TestMillion has")

// million is sites with 100 domains each, of which nothing is shared with another call's.
func million(generation cdn.Generation) *cdn.Snapshot {
	s := &cdn.Snapshot{
		Generation: generation,
		Fleet: cdn.Fleet{
			Zone:  "cdn.test",
			POPs:  []cdn.POP{{Name: "p1", Tier: cdn.TierEdge}, {Name: "p2", Tier: cdn.TierEdge}},
			Nodes: []cdn.Node{{Name: "e1", POP: "p1", Roles: []cdn.Role{cdn.RoleEdge}}, {Name: "e2", POP: "p2", Roles: []cdn.Role{cdn.RoleEdge}}},
		},
		Sites: make([]cdn.Site, *sites),
	}
	for i := range s.Sites {
		s.Sites[i].Name = cdn.SiteName(fmt.Sprintf("site-%05d", i))
		s.Sites[i].Origin.URLs = []string{fmt.Sprintf("https://origin-%d.example", i)}
		for j := range 100 {
			s.Sites[i].Domains = append(s.Sites[i].Domains, cdn.Domain(fmt.Sprintf("www.shop-%d.customer-%d.example", j, i)))
		}
	}
	return s
}

// resident is how much memory the process has, in octets.
func resident(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	var kib int
	if _, err := fmt.Sscanf(rest, "%d kB", &kib); err != nil {
		t.Fatal(err)
	}
	return kib << 10
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

// TestMillion: a scheduler takes in a million names in little time and memory, and the change of a site in hardly any if the configuration's memory is that
// of the one before for the rest, as that of one from the control plane is (cmd/nearcast.TestMillionFollowed). If it is not, all names have to be read.
func TestMillion(t *testing.T) {
	limited := *sites >= 10_000
	s, err := scheduler.New(scheduler.Config{Node: "s1", DNSAddr: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	apply := func(snapshot *cdn.Snapshot) time.Duration {
		start := used(t)
		if err := s.Apply(snapshot); err != nil {
			t.Fatal(err)
		}
		return used(t) - start
	}
	snapshot := million(1)
	first := apply(snapshot)
	t.Logf("the whole in %v; resident memory %d MiB", first, resident(t)>>20)
	if limited && first > 3*time.Second {
		t.Errorf("the whole takes %v, want at most 3 s", first)
	}
	for _, shared := range []bool{true, false} {
		var times []time.Duration
		for i := range 5 {
			runtime.GC() // that it marks at the same time is not our time
			next := *snapshot
			if shared {
				next.Sites = slices.Clone(snapshot.Sites)
			} else {
				next = *million(1)
			}
			runtime.GC()
			next.Generation = snapshot.Generation + 1
			next.Sites[i*len(next.Sites)/10].Domains = append(slices.Clone(next.Sites[i*len(next.Sites)/10].Domains), cdn.Domain(fmt.Sprintf("new-%d.example", i)))
			times = append(times, apply(&next))
			if _, err := s.Explain(cdn.Domain(fmt.Sprintf("new-%d.example", i)), netip.Addr{}); err != nil {
				t.Error(err)
			}
			snapshot = &next
		}
		slices.Sort(times)
		if limited && shared && times[2] > 10*time.Millisecond {
			t.Errorf("the change of one takes %v, want at most 10 ms", times[2])
		}
		t.Logf("change of one site, memory shared %v: median %v, longest %v; resident memory %d MiB", shared, times[2], times[4], resident(t)>>20)
	}
	runtime.GC()
	debug.FreeOSMemory()
	if r := resident(t); limited && r > 300<<20 {
		t.Errorf("resident memory of %d MiB, want at most 300", r>>20)
	} else {
		t.Logf("resident memory with snapshot %d MiB", r>>20)
	}
	runtime.KeepAlive(snapshot)
}
