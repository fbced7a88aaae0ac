package prefixtable_test

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"nearcast/internal/prefixtable"
)

func entry(prefix string, number int32) prefixtable.Entry {
	return prefixtable.Entry{Prefix: netip.MustParsePrefix(prefix), Number: number}
}

func TestNewRefuses(t *testing.T) {
	for _, prefix := range []netip.Prefix{{}, netip.MustParsePrefix("::ffff:10.0.0.0/104")} {
		if _, err := prefixtable.New([]prefixtable.Entry{{Prefix: prefix}}); err == nil {
			t.Errorf("%q is accepted", prefix)
		}
	}
}

func TestBuilderRefuses(t *testing.T) {
	for name, prefixes := range map[string][]string{
		"lower address":  {"10.0.0.0/8", "9.0.0.0/8"},
		"longer first":   {"10.0.0.0/16", "10.0.0.0/8"},
		"bits behind":    {"10.0.0.1/8"},
		"mapped":         {"::ffff:10.0.0.0/104"},
		"lower after v4": {"2001:db8::/32", "10.0.0.0/8", "2001::/16"},
	} {
		t.Run(name, func(t *testing.T) {
			var b prefixtable.Builder
			var err error
			for _, p := range prefixes {
				err = b.Add(netip.MustParsePrefix(p), 1)
			}
			if err == nil {
				t.Error("accepted")
			}
		})
	}
}

// Of equal prefixes the later counts, and None makes a hole.
func TestNone(t *testing.T) {
	x, err := prefixtable.New([]prefixtable.Entry{entry("10.0.0.0/8", 1), entry("10.0.0.0/8", 2), entry("10.1.0.0/16", prefixtable.None)})
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string][2]int{"10.0.0.1": {2, 16}, "10.1.0.1": {prefixtable.None, 16}, "10.2.0.1": {2, 15}, "11.0.0.0": {prefixtable.None, 8}} {
		if n, length := x.Lookup(netip.MustParseAddr(addr)); n != want[0] || length != want[1] {
			t.Errorf("%s: %d in /%d, want %v", addr, n, length, want)
		}
	}
}

// draw draws prefixes that nest, of both families, some at the ends of the address space.
func draw(t *rapid.T, label string) []prefixtable.Entry {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) prefixtable.Entry {
		addr := drawAddr(t)
		bits := rapid.IntRange(0, addr.BitLen()).Draw(t, "bits")
		return prefixtable.Entry{Prefix: netip.PrefixFrom(addr, bits), Number: int32(rapid.IntRange(-1, 2).Draw(t, "number"))}
	}), 0, 12).Draw(t, label)
}

func drawAddr(t *rapid.T) netip.Addr {
	low := rapid.SampledFrom([]byte{0, 1, 7, 128, 254, 255}).Draw(t, "low")
	high := rapid.SampledFrom([]byte{0, 10, 11, 255}).Draw(t, "high")
	if rapid.Bool().Draw(t, "six") {
		return netip.AddrFrom16([16]byte{high, low, 7: low, 8: high, 15: low})
	}
	return netip.AddrFrom4([4]byte{high, low, high, low})
}

// naive is the longest match, found by looking at every prefix.
func naive(entries []prefixtable.Entry, addr netip.Addr) int {
	best, number := -1, prefixtable.None
	for _, e := range entries {
		if e.Prefix.Contains(addr) && e.Prefix.Bits() >= best {
			best, number = e.Prefix.Bits(), int(e.Number)
		}
	}
	return number
}

// uniform reports whether every address of a prefix has the same number: the places where it can change are
// where a prefix begins and the address after its end.
func uniform(number func(netip.Addr) int, around netip.Prefix, entries ...prefixtable.Entry) bool {
	want := number(around.Masked().Addr())
	for _, e := range entries {
		for _, a := range []netip.Addr{e.Prefix.Masked().Addr(), lastOf(e.Prefix).Next()} {
			if a.IsValid() && around.Contains(a) && number(a) != want {
				return false
			}
		}
	}
	return true
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// checkAt compares a table with a model at an address: the number, that the scope is uniform, and that the scope twice as large is not.
func checkAt(t *rapid.T, x *prefixtable.Table, model func(netip.Addr) int, a netip.Addr, entries []prefixtable.Entry) {
	number, length := x.Lookup(a)
	if want := model(a); number != want {
		t.Fatalf("%s has %d, want %d", a, number, want)
	}
	if around := netip.PrefixFrom(a, length); !uniform(model, around, entries...) {
		t.Fatalf("the scope %s has several numbers", around)
	}
	if length == 0 {
		return
	}
	if wider := netip.PrefixFrom(a, length-1); uniform(model, wider, entries...) {
		t.Fatalf("the scope /%d of %s could be one shorter", length, a)
	}
}

// TestNaive: numbers are those of the longest match, and scopes the shortest that hold.
func TestNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := draw(t, "entries")
		x, err := prefixtable.New(entries)
		if err != nil {
			t.Fatal(err)
		}
		a := drawAddr(t)
		checkAt(t, x, func(a netip.Addr) int { return naive(entries, a) }, a, entries)
	})
}

// TestMergeNaive is the same for two tables one over the other.
func TestMergeNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		over, under := draw(t, "over"), draw(t, "under")
		x, err := prefixtable.New(over)
		if err != nil {
			t.Fatal(err)
		}
		y, err := prefixtable.New(under)
		if err != nil {
			t.Fatal(err)
		}
		combine := func(o, u int32) int32 { return max(o*2, u) }
		if len(over)+len(under) == 0 {
			return
		}
		model := func(a netip.Addr) int { return int(combine(int32(naive(over, a)), int32(naive(under, a)))) }
		merged := prefixtable.Merge(x, y, combine)
		for a, number := range merged.Ranges() {
			if want := model(a); number != want {
				t.Fatalf("the range at %s has %d, want %d", a, number, want)
			}
		}
		a, has := drawAddr(t), func(es []prefixtable.Entry, four bool) bool {
			for _, e := range es {
				if e.Prefix.Addr().Is4() == four {
					return true
				}
			}
			return false
		}
		if has(over, a.Is4()) || has(under, a.Is4()) {
			checkAt(t, merged, model, a, append(over, under...))
		}
	})
}

// TestIndex: a table that is large enough for an index finds the same as the search without.
func TestIndex(t *testing.T) {
	entries := many(9000)
	x, err := prefixtable.New(entries)
	if err != nil {
		t.Fatal(err)
	}
	if x.Len() < 8000 {
		t.Fatalf("%d ranges are too few", x.Len())
	}
	for i, e := range entries {
		addr := e.Prefix.Addr()
		for _, a := range []netip.Addr{addr, lastOf(e.Prefix), addr.Prev(), lastOf(e.Prefix).Next()} {
			if !a.IsValid() {
				continue
			}
			if n, _ := x.Lookup(a); i%37 == 0 && n != naive(entries, a) {
				t.Fatalf("%s has %d, want %d", a, n, naive(entries, a))
			}
		}
	}
}

// many returns prefixes like those of a routing table: /24 and, around some, /16; and /48 in /32.
func many(n int) (entries []prefixtable.Entry) {
	for i := range n {
		x := uint32(i) * 2654435761
		e := prefixtable.Entry{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(x >> 24), byte(x >> 16), byte(x >> 8)}), 24), Number: int32(x % 1000)}
		switch {
		case i%5 == 4:
			e.Prefix = netip.PrefixFrom(netip.AddrFrom16([16]byte{0x2a, byte(x >> 24), byte(x >> 16), byte(x >> 8), 0, byte(x)}), 48)
		case i%16 == 0:
			e.Prefix = netip.PrefixFrom(e.Prefix.Addr(), 16).Masked()
		}
		entries = append(entries, e)
	}
	return entries
}

func TestLookupAllocatesNothing(t *testing.T) {
	x, err := prefixtable.New(many(9000))
	if err != nil {
		t.Fatal(err)
	}
	for _, addr := range []string{"192.0.2.1", "::ffff:192.0.2.1", "2a01:db8::1", "fe80::1%eth0"} {
		a := netip.MustParseAddr(addr)
		if n := testing.AllocsPerRun(100, func() { x.Lookup(a) }); n != 0 {
			t.Errorf("a lookup of %s allocates %v times", addr, n)
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	x, err := prefixtable.New(many(1_000_000))
	if err != nil {
		b.Fatal(err)
	}
	for _, bench := range []struct {
		name string
		addr func(uint32) netip.Addr
	}{
		{"v4", func(x uint32) netip.Addr {
			return netip.AddrFrom4([4]byte{byte(x >> 24), byte(x >> 16), byte(x >> 8), byte(x)})
		}},
		{"v6", func(x uint32) netip.Addr {
			return netip.AddrFrom16([16]byte{0x2a, byte(x >> 24), byte(x >> 16), byte(x >> 8), 0, byte(x)})
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			i := uint32(0)
			for b.Loop() {
				i += 2654435761
				x.Lookup(bench.addr(i))
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	entries := many(1_000_000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := prefixtable.New(entries); err != nil {
			b.Fatal(err)
		}
	}
}
