package clientip_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"nearcast/internal/clientip"
)

// forwarded is where the trail leads.
func forwarded(peer string, fields ...string) netip.Addr {
	trail := proxies.Trail(netip.MustParseAddr(peer))
	for _, v := range slices.Backward(fields) {
		trail.Back(v)
	}
	return trail.Client()
}

var proxies = clientip.Proxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:1::/48")}

func TestForwarded(t *testing.T) {
	for name, test := range map[string]struct {
		peer   string
		fields []string
		want   string
	}{
		"nobody's proxy":        {"192.0.2.1", []string{"198.51.100.1"}, "192.0.2.1"},
		"none said":             {"10.0.0.1", nil, "10.0.0.1"},
		"one":                   {"10.0.0.1", []string{"198.51.100.1"}, "198.51.100.1"},
		"mapped peer":           {"::ffff:10.0.0.1", []string{"198.51.100.1"}, "198.51.100.1"},
		"mapped":                {"10.0.0.1", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		"invented left":         {"10.0.0.1", []string{"203.0.113.9, 198.51.100.1"}, "198.51.100.1"},
		"two proxies":           {"10.0.0.1", []string{"203.0.113.9, 198.51.100.1, 10.2.3.4"}, "198.51.100.1"},
		"two lines":             {"10.0.0.1", []string{"203.0.113.9", "198.51.100.1,10.2.3.4", "10.1.1.1"}, "198.51.100.1"},
		"across lines":          {"10.0.0.1", []string{"198.51.100.1", "10.2.3.4", "10.1.1.1"}, "198.51.100.1"},
		"all trusted":           {"10.0.0.1", []string{"10.9.9.9, 10.1.1.1"}, "10.9.9.9"},
		"IPv6":                  {"2001:db8:1::1", []string{"2001:db8::5"}, "2001:db8::5"},
		"IPv6 with port":        {"10.0.0.1", []string{"[2001:db8::5]:443"}, "2001:db8::5"},
		"IPv6 in brackets":      {"10.0.0.1", []string{"[2001:db8::5]"}, "2001:db8::5"},
		"IPv4 with port":        {"10.0.0.1", []string{"198.51.100.1:80"}, "198.51.100.1"},
		"white space":           {"10.0.0.1", []string{" \t198.51.100.1\t , 10.1.1.1 "}, "198.51.100.1"},
		"malformed left":        {"10.0.0.1", []string{"unknown, 198.51.100.1"}, "198.51.100.1"},
		"malformed":             {"10.0.0.1", []string{"198.51.100.1, unknown"}, "10.0.0.1"},
		"malformed further":     {"10.0.0.1", []string{"unknown, 10.1.1.1"}, "10.0.0.1"},
		"malformed line":        {"10.0.0.1", []string{"x", "10.1.1.1"}, "10.0.0.1"},
		"empty element":         {"10.0.0.1", []string{"198.51.100.1,"}, "10.0.0.1"},
		"empty first element":   {"10.0.0.1", []string{",10.1.1.1"}, "10.0.0.1"},
		"empty line":            {"10.0.0.1", []string{"198.51.100.1", ""}, "198.51.100.1"},
		"zone":                  {"10.0.0.1", []string{"fe80::1%eth0"}, "10.0.0.1"},
		"IPv4 in brackets":      {"10.0.0.1", []string{"[198.51.100.1]"}, "10.0.0.1"},
		"brackets that go on":   {"10.0.0.1", []string{"[2001:db8::5]x"}, "10.0.0.1"},
		"brackets without port": {"10.0.0.1", []string{"[2001:db8::5]:"}, "10.0.0.1"},
		"port of letters":       {"10.0.0.1", []string{"198.51.100.1:http"}, "10.0.0.1"},
		"very long":             {"10.0.0.1", []string{strings.Repeat("1", 10_000)}, "10.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := forwarded(test.peer, test.fields...); got.String() != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

// TestForwardedCostsNothing pins that neither a peer without such a field nor one with it costs memory.
func TestForwardedCostsNothing(t *testing.T) {
	values := []string{"203.0.113.9, 198.51.100.1", "10.2.3.4"}
	for _, n := range []int{0, len(values)} {
		peer := netip.MustParseAddr("10.0.0.1")
		last := netip.Addr{}
		got := testing.AllocsPerRun(100, func() {
			trail := proxies.Trail(peer)
			for i := n - 1; i >= 0 && !trail.Done(); i-- {
				trail.Back(values[i])
			}
			last = trail.Client()
		})
		if got != 0 || n > 0 && last.String() != "198.51.100.1" {
			t.Errorf("%d lines: %v allocations, %v", n, got, last)
		}
	}
}

// FuzzForwarded: whatever a field says, the result is an address, and one that is trusted only if a proxy might have said so.
func FuzzForwarded(f *testing.F) {
	f.Add("198.51.100.1, 10.1.1.1", "10.2.3.4")
	f.Add("[2001:db8::5]:443", "")
	f.Add("unknown", ",,")
	f.Fuzz(func(t *testing.T, first, second string) {
		peer := netip.MustParseAddr("10.0.0.1")
		got := forwarded("10.0.0.1", first, second)
		if !got.IsValid() || got.Is4In6() || got.Zone() != "" {
			t.Fatalf("%q, %q: %v", first, second, got)
		}
		if got == peer {
			return
		}
		said := false // by one of the elements, read in another way
		for element := range strings.SplitSeq(first+","+second, ",") {
			element = strings.Trim(element, " \t")
			addr, err := netip.ParseAddr(strings.Trim(element, "[]"))
			if err != nil {
				var withPort netip.AddrPort
				withPort, err = netip.ParseAddrPort(element)
				addr = withPort.Addr()
			}
			if err != nil { // a port beyond 65,535
				if i := strings.LastIndexByte(element, ':'); i >= 0 {
					addr, err = netip.ParseAddr(strings.Trim(element[:i], "[]"))
				}
			}
			said = said || err == nil && addr.Unmap() == got
		}
		if !said {
			t.Fatalf("%q, %q: %v, which nobody has said", first, second, got)
		}
		if alone := forwarded("192.0.2.1", first, second); alone.String() != "192.0.2.1" {
			t.Fatalf("a stranger was believed: %v", alone)
		}
	})
}
