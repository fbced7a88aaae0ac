package main_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/control/decode"
	"nearcast/scheduler"
)

// sites is how many there are, with 100 domains each. Numbers are held to their limits from 10,000 on.
var sites = flag.Int("sites", 200, "how many sites TestMillionFollowed has")

// processorTime is that of this process, which is what a test can hold on a machine that has other things to do as well.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestMillionFollowed: a scheduler that follows a control plane takes in a version with one change among a million names in hardly any time, since what decodes versions
// has the rest in the same memory.
func TestMillionFollowed(t *testing.T) {
	server, err := scheduler.New(scheduler.Config{Node: "s1", DNSAddr: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	var decoder decode.Decoder
	take := func(s *cdn.Snapshot) (decoding, applying time.Duration) {
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		runtime.GC() // that it marks at the same time is not our time
		start := processorTime(t)
		got, err := decoder.Snapshot(text)
		if err != nil {
			t.Fatal(err)
		}
		decoded := processorTime(t)
		if err := server.Apply(got); err != nil {
			t.Fatal(err)
		}
		return decoded - start, processorTime(t) - decoded
	}
	s := &cdn.Snapshot{
		Generation: 1,
		Fleet: cdn.Fleet{
			Zone:  "cdn.test",
			POPs:  []cdn.POP{{Name: "p1", Region: "r", Tier: cdn.TierEdge}},
			Nodes: []cdn.Node{{Name: "e1", POP: "p1", Roles: []cdn.Role{cdn.RoleEdge}, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}},
		},
		Sites: make([]cdn.Site, *sites),
	}
	for i := range s.Sites {
		s.Sites[i].Name = cdn.SiteName(fmt.Sprintf("site-%05d", i))
		for j := range 100 {
			s.Sites[i].Domains = append(s.Sites[i].Domains, cdn.Domain(fmt.Sprintf("www.shop-%d.customer-%d.example", j, i)))
		}
	}
	decoding, applying := take(s)
	t.Logf("the whole: decoded in %v, applied in %v of processor time", decoding, applying)
	var decoded, applied []time.Duration
	for i := range 5 {
		s.Generation++
		fresh := cdn.Domain(fmt.Sprintf("new-%d.example", i))
		s.Sites[i*len(s.Sites)/10].Domains[7] = fresh
		decoding, applying := take(s)
		decoded, applied = append(decoded, decoding), append(applied, applying)
		if _, err := server.Explain(fresh, netip.Addr{}); err != nil {
			t.Error(err)
		}
	}
	slices.Sort(decoded)
	slices.Sort(applied)
	t.Logf("change of one: decoded in %v (longest %v), applied in %v (longest %v)", decoded[2], decoded[4], applied[2], applied[4])
	if *sites >= 10_000 && applied[2] > 10*time.Millisecond {
		t.Errorf("the change of one takes %v, want at most 10 ms", applied[2])
	}
}
