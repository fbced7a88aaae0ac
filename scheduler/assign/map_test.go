package assign_test

import (
	"bytes"
	"math"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"nearcast/cdn"
	"nearcast/scheduler/assign"
)

// split makes the map of one group that overfills A, B, C by their capacities: those are its shares in percent.
func split(t *testing.T, a, b, c float64) *assign.Map {
	t.Helper()
	p := problem(t, "A=1 B=1 C=1 Z=1000 | x=200!: A 1, B 1, C 1")
	for i, capacity := range []float64{a, b, c} {
		p.POPs[i].Capacity = capacity
	}
	m, _, err := assign.Solve(p)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// picks sends so many clients.
func picks(m *assign.Map, n int) []int {
	out := make([]int, n)
	for i := range out {
		client := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24)
		out[i], _ = m.Pick(0, assign.Key(client, "www.shop.example"))
	}
	return out
}

// TestPick checks that clients are divided by weight, and that not many more move than have to if weights change: by 5 % about 5 %.
func TestPick(t *testing.T) {
	const n = 60000
	before := picks(split(t, 50, 30, 20), n)
	var count [3]float64
	for _, p := range before {
		count[p]++
	}
	for p, want := range []float64{0.50, 0.30, 0.20} {
		if got := count[p] / n; math.Abs(got-want) > 0.01 {
			t.Errorf("POP %d has %.3f of the clients, want %.2f", p, got, want)
		}
	}
	for _, tt := range []struct{ a, b, c, least, most float64 }{
		{50, 30, 20, 0, 0},
		{45, 35, 20, 0.045, 0.065}, // C keeps its share, but a few clients change places with it
		{50, 25, 25, 0.045, 0.08},
		{55, 27, 18, 0.045, 0.055}, // only A grows: nobody moves but to it
		{25, 45, 30, 0.24, 0.26},   // only A shrinks
	} {
		moved := 0.0
		for i, p := range picks(split(t, tt.a, tt.b, tt.c), n) {
			if p != before[i] {
				moved++
			}
		}
		if moved/n < tt.least || moved/n > tt.most {
			t.Errorf("to %v/%v/%v: %.3f of the clients move, want %v to %v", tt.a, tt.b, tt.c, moved/n, tt.least, tt.most)
		}
	}
}

// TestPickLoss checks that if a POP goes, only its own clients move.
func TestPickLoss(t *testing.T) {
	before := picks(split(t, 50, 30, 20), 5000)
	p := problem(t, "A=50 B=30 C=20down Z=1000 | x=200!: A 1, B 1, C 1")
	m, _, err := assign.Solve(p)
	if err != nil {
		t.Fatal(err)
	}
	for i, pop := range picks(m, 5000) {
		if before[i] != 2 && before[i] != pop {
			t.Fatalf("client %d was at POP %d and is now at %d", i, before[i], pop)
		}
	}
}

func TestPickNone(t *testing.T) {
	m, _, err := assign.Solve(problem(t, "A=10down B=20 | x=6!: A 5"))
	if err != nil {
		t.Fatal(err)
	}
	if pop, ok := m.Pick(0, 1); ok {
		t.Errorf("a group without a POP got %d", pop)
	}
}

// TestKey checks that clients, names and lengths of prefixes are told apart.
func TestKey(t *testing.T) {
	seen := make(map[uint64]string)
	for _, client := range []string{"10.0.0.0/24", "10.0.1.0/24", "10.0.0.0/16", "2001:db8::/48", "2001:db8::/32"} {
		for _, name := range []cdn.Domain{"a.example", "b.example", ""} {
			key := assign.Key(netip.MustParsePrefix(client), name)
			if was, ok := seen[key]; ok {
				t.Errorf("%s %s has the key of %s", client, name, was)
			}
			seen[key] = client + " " + string(name)
		}
	}
}

func TestAllocations(t *testing.T) {
	m := split(t, 50, 30, 20)
	client := netip.MustParsePrefix("2001:db8::/48")
	if n := testing.AllocsPerRun(100, func() { m.Pick(0, assign.Key(client, "www.shop.example")) }); n != 0 {
		t.Errorf("a pick allocates %v times", n)
	}
}

// TestDigest checks that the digest is of everything that a map says.
func TestDigest(t *testing.T) {
	seen := make(map[assign.Digest]string)
	for _, text := range []string{
		"A=10 B=10 | x=1: A 1, B 2",
		"A=10 B=10 | x=1: A 2, B 1",
		"A=10 B=10 | y=1: A 1, B 2",
		"A=10 C=10 | x=1: A 1, C 2",
		"A=10 B=10 | x=1!: A 1",
		"A=10 B=10 | x=15: A 1, B 2",
		"A=10 B=10 | x=16: A 1, B 2",
		"A=10 B=10 | x=1: A 1, B 2 | y=1: A 1, B 2",
	} {
		m, _, err := assign.Solve(problem(t, text))
		if err != nil {
			t.Fatal(err)
		}
		if was, ok := seen[m.Digest()]; ok {
			t.Errorf("%s has the digest of %s", text, was)
		}
		seen[m.Digest()] = text
	}
}

// TestRoundTrip checks that a map survives being written and read.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, _, err := assign.Solve(problems().Draw(t, "problem"))
		if err != nil {
			t.Fatal(err)
		}
		b, _ := m.AppendBinary(nil)
		got, err := assign.ParseMap(b)
		if err != nil {
			t.Fatal(err)
		}
		if got.Digest() != m.Digest() || text(got) != text(m) {
			t.Fatalf("wrote %s, read %s", text(m), text(got))
		}
	})
}

// FuzzParseMap checks that nothing makes the parser fail otherwise than by an error, and that what it takes has one form only.
func FuzzParseMap(f *testing.F) {
	var t testing.T
	for _, s := range []string{"A=10 B=10 | x=15: A 1, B 2 | y=1!: B 3", "A=10down | x=1!: A 1"} {
		m, _, err := assign.Solve(problem(&t, s))
		if err != nil {
			f.Fatal(err)
		}
		b, _ := m.AppendBinary(nil)
		f.Add(b)
		f.Add(b[:len(b)-1])
		f.Add(append(b, 0))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := assign.ParseMap(b)
		if err != nil {
			return
		}
		again, _ := m.AppendBinary(nil)
		if !bytes.Equal(again, b) {
			t.Fatalf("read %q, wrote %q", b, again)
		}
		for g := range m.Len() {
			if pop, ok := m.Pick(g, 42); ok && pop >= len(m.POPs()) {
				t.Fatalf("group %d goes to POP %d of %d", g, pop, len(m.POPs()))
			}
		}
	})
}

func BenchmarkPick(b *testing.B) {
	p := world(1, 10, 5, 4, 0.5)
	c := assign.NewController(assign.Settings{})
	r, err := c.Step(time.Unix(1e9, 0), assign.Input{Problem: *p})
	if err != nil {
		b.Fatal(err)
	}
	divided := 0
	for g := range r.Map.Len() {
		if r.Map.Shares(g)[0].Weight < assign.Whole {
			divided = g
		}
	}
	client := netip.MustParsePrefix("192.0.2.0/24")
	b.ReportAllocs()
	for b.Loop() {
		r.Map.Pick(divided, assign.Key(client, "www.shop.example"))
	}
}
