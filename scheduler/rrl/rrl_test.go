package rrl_test

import (
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/scheduler/rrl"
)

const (
	second = int64(time.Second)
	start  = 1_700_000_000 * second
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// ask asks n times from an address, at equal steps from a time on, and returns how many were answered.
func ask(l *rrl.Limiter, from netip.Addr, n int, now, step int64) (answered int) {
	for i := range n {
		if l.Admit(from, now+int64(i)*step) == rrl.Answer {
			answered++
		}
	}
	return answered
}

func TestRateAndBurst(t *testing.T) {
	for _, test := range []struct {
		name       string
		cfg        cdn.RateLimit
		from       string
		n          int
		step       int64
		answered   int
		difference int // that is allowed
	}{
		{"burst", rrl.Default(), "192.0.2.1", 1000, 0, 125, 0},
		{"burst, IPv6", rrl.Default(), "2001:db8::1", 1000, 0, 125, 0},
		{"burst, mapped", rrl.Default(), "::ffff:192.0.2.1", 1000, 0, 125, 0},
		{"at the rate", rrl.Default(), "192.0.2.1", 10_000, second / 50, 10_000, 0},
		{"twice the rate for 10 s", rrl.Default(), "192.0.2.1", 1000, second / 100, 500 + 125, 1},
		{"10,000 a second for 10 s", rrl.Default(), "192.0.2.1", 100_000, second / 10_000, 500 + 125, 1},
		{"default burst", cdn.RateLimit{PerSecond: 10}, "192.0.2.1", 1000, 0, 25, 0},
		{"a burst of its own", cdn.RateLimit{PerSecond: 10, Burst: 3}, "192.0.2.1", 1000, 0, 3, 0},
		{"one a second", cdn.RateLimit{PerSecond: 1, Burst: 1}, "192.0.2.1", 100, second / 2, 50, 0},
		{"a high rate", cdn.RateLimit{PerSecond: 1_000_000, Burst: 1000}, "192.0.2.1", 100_000, 100, 10_000 + 1000, 1},
		{"a rate beyond what is measured", cdn.RateLimit{PerSecond: 1 << 40, Burst: 10}, "192.0.2.1", 100, 0, 10, 0},
		{"a burst beyond what is measured", cdn.RateLimit{PerSecond: 1, Burst: 1 << 60}, "192.0.2.1", 10_000, 0, 2199, 0},
		{"off", cdn.RateLimit{}, "192.0.2.1", 100_000, 0, 100_000, 0},
		{"exempt", rrl.Default(), "127.0.0.1", 10_000, 0, 10_000, 0},
		{"exempt, IPv6", rrl.Default(), "::1", 10_000, 0, 10_000, 0},
		{"beside the exempt", rrl.Default(), "127.0.0.2", 10_000, 0, 125, 0},
		{"exempt by configuration", cdn.RateLimit{PerSecond: 50, Exempt: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}, "192.0.2.9", 10_000, 0, 10_000, 0},
		{"nobody exempt", cdn.RateLimit{PerSecond: 50, Exempt: []netip.Prefix{}}, "127.0.0.1", 10_000, 0, 125, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := ask(rrl.New(test.cfg, [16]byte{1}), addr(test.from), test.n, start, test.step)
			if got < test.answered-test.difference || got > test.answered+test.difference {
				t.Errorf("%d of %d answered, want %d", got, test.n, test.answered)
			}
		})
	}
}

// host returns a random address within a prefix of IPv4.
func host(r *rand.Rand, within string) netip.Addr {
	p := netip.MustParsePrefix(within)
	a := p.Addr().As4()
	v := uint32(a[0])<<24 | uint32(a[1])<<16 | uint32(a[2])<<8 | uint32(a[3])
	v |= r.Uint32() >> p.Bits()
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

// A victim's network is shot at with its own addresses as senders. It gets what its tier allows, and its neighbours, who ask 20 times a second, notice nothing.
func TestSpoofedNetwork(t *testing.T) {
	for _, test := range []struct {
		spoofed    string
		perSecond  float64 // that may be answered
		neighbours []string
	}{
		{"198.51.100.77/32", 50, []string{"198.51.100.78", "198.51.100.76"}},
		{"198.51.100.0/24", 50 * 32, []string{"198.51.101.1", "198.51.99.1", "198.51.96.200", "198.51.111.3"}},
		{"198.51.96.0/20", 50 * 256, []string{"198.51.112.1", "198.51.95.1", "198.51.127.9"}},
		{"198.51.64.0/18", 50 * 768, []string{"198.51.128.1", "198.51.63.1"}},
	} {
		t.Run(test.spoofed, func(t *testing.T) {
			const perSecond, seconds = 50_000, 2
			l := rrl.New(rrl.Default(), [16]byte{2})
			r := rand.New(rand.NewPCG(1, 2))
			answered := 0
			for i := range int64(perSecond * seconds) {
				now := start + i*second/perSecond
				if l.Admit(host(r, test.spoofed), now) == rrl.Answer {
					answered++
				}
				if i%(perSecond/20) != 0 {
					continue
				}
				for _, n := range test.neighbours {
					if l.Admit(addr(n), now) != rrl.Answer {
						t.Fatalf("the neighbour %s is limited after %v", n, time.Duration(now-start))
					}
				}
			}
			if limit := test.perSecond * (seconds + 2.5); float64(answered) > 1.001*limit {
				t.Errorf("%d answers went to the victim, want at most %.0f", answered, limit)
			}
			if floor := test.perSecond * seconds; float64(answered) < 0.95*floor {
				t.Errorf("%d answers went to the victim, want about %.0f: others of it ask, too", answered, floor)
			}
		})
	}
}

// A flood from addresses that are made up, a million a second, does not make the limiter forget who has had too much.
func TestFloodOfSources(t *testing.T) {
	const perSecond, n = 1_000_000, 500_000
	l := rrl.New(rrl.Default(), [16]byte{3})
	r := rand.New(rand.NewPCG(3, 4))
	victims := make([]netip.Addr, 100)
	for i := range victims {
		victims[i] = netip.AddrFrom4([4]byte{192, 0, byte(i), 1})
	}
	answered := make(map[netip.Addr]int)
	for i := range int64(n) {
		now := start + i*second/perSecond
		l.Admit(host(r, "0.0.0.0/1"), now)
		if i%10 == 0 { // 1000 a second each
			if v := victims[i/10%100]; l.Admit(v, now) == rrl.Answer {
				answered[v]++
			}
		}
	}
	for _, v := range victims {
		if got, want := answered[v], 50*n/perSecond+125; got > want+want/50 {
			t.Errorf("%d answers went to %s, want at most %d", got, v, want)
		}
	}
}

// At loads as they are, nobody is limited but who asks too much: 100,000 queries a second from 30,000 resolvers, some of which ask much.
func TestFalsePositives(t *testing.T) {
	const perSecond, seconds = 100_000, 3
	l := rrl.New(rrl.Default(), [16]byte{5})
	r := rand.New(rand.NewPCG(5, 6))
	popular := rand.NewZipf(r, 1.05, 20, 29_999)
	resolvers := make([]netip.Addr, 30_000)
	for i := range resolvers {
		resolvers[i] = host(r, "0.0.0.0/0")
	}
	model := make(map[netip.Prefix]int64) // when the bucket of a network is full again, ns since start
	wrong, limited := 0, 0
	for i := range int64(perSecond * seconds) {
		now := i * second / perSecond
		from := resolvers[popular.Uint64()]
		want, got := modelAdmits(model, from, now), l.Admit(from, start+now) == rrl.Answer
		if !got {
			limited++
		}
		if want && !got {
			wrong++
		}
	}
	t.Logf("%d of %d limited, %d of them wrongly", limited, perSecond*seconds, wrong)
	if wrong > perSecond*seconds/100_000 {
		t.Errorf("%d of %d queries are limited wrongly, want 1 in 100,000 at most", wrong, perSecond*seconds)
	}
	if limited == 0 {
		t.Error("nobody is limited: the load has nobody who asks too much")
	}
}

// modelAdmits is the same limit with a map without bounds.
func modelAdmits(full map[netip.Prefix]int64, from netip.Addr, now int64) bool {
	var networks [4]netip.Prefix
	var costs [4]int64
	for i, length := range []int{32, 24, 20, 18} {
		networks[i], _ = from.Prefix(length)
		times := []int64{1, 32, 256, 768}[i]
		costs[i] = second / 50 / times
		if max(full[networks[i]]-now, 0)+costs[i] > 125*times*costs[i] {
			return false
		}
	}
	for i, n := range networks {
		full[n] = max(full[n], now) + costs[i]
	}
	return true
}

func TestSlip(t *testing.T) {
	for _, test := range []struct{ slip, slipped int }{{0, 1000}, {1, 1000}, {2, 500}, {5, 200}, {1000, 1}} {
		l := rrl.New(cdn.RateLimit{PerSecond: 1, Burst: 1, Slip: test.slip}, [16]byte{})
		l.Admit(addr("192.0.2.1"), start)
		got := make(map[rrl.Verdict]int)
		for range 1000 {
			got[l.Admit(addr("192.0.2.1"), start)]++
		}
		if got[rrl.Slip] != test.slipped || got[rrl.Drop] != 1000-test.slipped {
			t.Errorf("slip %d: %d slipped, %d dropped, want %d slipped", test.slip, got[rrl.Slip], got[rrl.Drop], test.slipped)
		}
	}
}

// A clock that is set does not lock anybody out for longer than filling a bucket takes, and a bit.
func TestTimeJumps(t *testing.T) {
	for _, jump := range []time.Duration{
		-time.Nanosecond, -time.Millisecond, -time.Second, -3 * time.Second, -7 * time.Second, -time.Hour, -5 * time.Hour, -100 * 24 * time.Hour,
		time.Second, time.Hour, 5 * time.Hour, 100 * 24 * time.Hour, 17592186 * time.Millisecond, // the last is where slots wrap around
	} {
		l := rrl.New(rrl.Default(), [16]byte{7})
		if got := ask(l, addr("192.0.2.1"), 1000, start, 0); got != 125 {
			t.Fatalf("%d answered, want 125", got)
		}
		now := start + int64(jump)
		if got := ask(l, addr("192.0.2.1"), 1000, now, 0); got > 125 {
			t.Errorf("jump of %v: %d answered at once, want 125 at most", jump, got)
		}
		if got := ask(l, addr("192.0.2.1"), 1000, now+int64(8500*time.Millisecond), 0); got != 125 {
			t.Errorf("jump of %v: %d answered 8.5 s later, want 125", jump, got)
		}
	}
}

// Clocks of processors that differ by a little do not empty the table.
func TestSkew(t *testing.T) {
	l := rrl.New(rrl.Default(), [16]byte{8})
	answered := 0
	for i := range int64(10_000) {
		if l.Admit(addr("192.0.2.1"), start+i*second/1000-i%2*second/100) == rrl.Answer {
			answered++
		}
	}
	if answered > 500+125+1 {
		t.Errorf("%d answered in 10 s, want at most 626", answered)
	}
}

func TestConcurrent(t *testing.T) {
	const workers, each = 8, 5000
	l := rrl.New(cdn.RateLimit{PerSecond: 50, Slip: 4}, [16]byte{9})
	var answered [4]atomic.Int64
	var slipped, beyond atomic.Int64
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 0))
			for i := range each {
				l.Admit(host(r, "0.0.0.0/1"), start)
				k := i % len(answered)
				switch l.Admit(netip.AddrFrom4([4]byte{192, 0, byte(16 * k), 1}), start) {
				case rrl.Answer:
					answered[k].Add(1)
				case rrl.Slip:
					slipped.Add(1)
					beyond.Add(1)
				case rrl.Drop:
					beyond.Add(1)
				}
			}
		})
	}
	all.Wait()
	for k := range answered {
		if got := answered[k].Load(); got < 125 || got > 125+workers {
			t.Errorf("%d answered, want 125, and at most one more for each that asks at once", got)
		}
	}
	if got, want := slipped.Load(), beyond.Load()/4; got != want {
		t.Errorf("%d of %d slipped, want %d", got, beyond.Load(), want)
	}
}

func TestMemory(t *testing.T) {
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	l := rrl.New(rrl.Default(), [16]byte{10})
	empty := heap() - before
	r := rand.New(rand.NewPCG(7, 8))
	now := start
	allocated := testing.AllocsPerRun(300_000, func() {
		now += 100
		l.Admit(host(r, "0.0.0.0/0"), now)
	})
	full := heap() - before
	if allocated != 0 || empty > 3<<19 || full > empty+64<<10 {
		t.Errorf("%v allocations; %d octets empty, %d after 300,000 sources: want none, and the same 1.4 MiB", allocated, empty, full)
	}
	runtime.KeepAlive(l)
}

func BenchmarkAdmit(b *testing.B) {
	r := rand.New(rand.NewPCG(9, 10))
	sources := make([]netip.Addr, 1<<16)
	for i := range sources {
		sources[i] = host(r, "0.0.0.0/0")
	}
	six := make([]netip.Addr, len(sources))
	for i, a := range sources {
		six[i] = netip.AddrFrom16([16]byte{0x20, 1, a.As4()[0], a.As4()[1], a.As4()[2], a.As4()[3]})
	}
	exempt := []netip.Addr{addr("127.0.0.1")}
	for _, bench := range []struct {
		name string
		cfg  cdn.RateLimit
		from []netip.Addr
		step int64
	}{
		{"off", cdn.RateLimit{}, sources, 1000},
		{"exempt", rrl.Default(), exempt, 1000},
		{"answered/one", rrl.Default(), sources[:1], second / 40},
		{"answered/65536", rrl.Default(), sources, 10_000},
		{"answered/65536/v6", rrl.Default(), six, 10_000},
		{"limited/one", rrl.Default(), sources[:1], 100},
	} {
		b.Run(bench.name, func(b *testing.B) {
			l := rrl.New(bench.cfg, [16]byte{11})
			b.ReportAllocs()
			now, i := start, 0
			for b.Loop() {
				l.Admit(bench.from[i], now)
				now += bench.step
				i = (i + 1) & (len(bench.from) - 1)
			}
		})
	}
	b.Run("parallel/65536", func(b *testing.B) {
		l := rrl.New(rrl.Default(), [16]byte{12})
		var clock atomic.Int64
		b.RunParallel(func(p *testing.PB) {
			now, i := start, int(clock.Add(1))*777
			for p.Next() {
				l.Admit(sources[i&(len(sources)-1)], now)
				now += 10_000
				i++
			}
		})
	})
}
