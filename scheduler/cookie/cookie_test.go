package cookie_test

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"sync"
	"testing"

	"nearcast/scheduler/cookie"
)

const (
	day = 24 * 60 * 60
	now = 1_700_000_000/day*day + day/2 // noon
)

var client = netip.MustParseAddr("192.0.2.1")

func octets(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestVectors has the examples of RFC 9018 appendix A.
func TestVectors(t *testing.T) {
	const first = "e5e973e5a6b2a43f48e7dc849e37bfcf"
	for _, test := range []struct {
		name           string
		secret, before string
		client         string
		now            int64
		option, cookie string
		valid          bool
	}{
		{"A.1 learning", first, "", "198.51.100.100", 1559731985, "2464c4abcf10c957", "2464c4abcf10c957010000005cf79f111f8130c3eee29480", false},
		{
			"A.2 renewing", first, "", "198.51.100.100", 1559734385, "2464c4abcf10c957010000005cf79f111f8130c3eee29480",
			"2464c4abcf10c957010000005cf7a871d4a564a1442aca77", true,
		},
		{
			"A.3 reserved octets", first, "", "203.0.113.203", 1559734700, "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5",
			"fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e", false, // the RFC's own is from 06:46, two hours before
		},
		{
			"A.3 in time", first, "", "203.0.113.203", 1559727985 + 1800, "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5",
			"fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", true,
		},
		{
			"A.4 another secret", "445536bcd2513298075a5d379663c962", "dd3bdf9344b678b185a6f5cb60fca715", "2001:db8:220:1:59de:d0f4:8769:82b8", 1559741961,
			"22681ab97d52c298010000005cf7c57926556bd0934c72f8", "22681ab97d52c298010000005cf7c609a6bb79d16625507a", true,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var others [][]byte
			if test.before != "" {
				others = append(others, octets(t, test.before))
			}
			j := cookie.NewFixed(octets(t, test.secret), others...)
			j.SetDay(test.now)
			got, valid := j.Check(nil, netip.MustParseAddr(test.client), octets(t, test.option), test.now)
			if hex.EncodeToString(got) != test.cookie || valid != test.valid {
				t.Errorf("got %x, valid: %v, want %s, %v", got, valid, test.cookie, test.valid)
			}
		})
	}
}

var secret = []byte("a secret of the fleet")

// made is a cookie of a time.
func made(at int64) []byte {
	c, _ := cookie.New(secret).Check(nil, client, []byte("12345678"), at)
	return c
}

func TestAge(t *testing.T) {
	for _, test := range []struct {
		age          int64
		valid, fresh bool
	}{
		{0, true, true},
		{1800, true, true},
		{1801, true, false},
		{3600, true, false},
		{3601, false, false},
		{day, false, false},
		{1 << 31, false, false},
		{-1, true, true},
		{-300, true, true},
		{-301, false, false},
		{-day, false, false},
	} {
		for _, at := range []int64{now, now + day/2, now + day/2 + 10, now + day/2 - 10, 1 << 32, 1<<32 + 10, 0, -1} { // also around midnight, 2106 and 1970
			got, valid := cookie.New(secret).Check(nil, client, made(at-test.age), at)
			if valid != test.valid || bytes.Equal(got, made(at-test.age)) != test.fresh {
				t.Errorf("%d s old at %d: valid %v, %x, want %v, kept: %v", test.age, at, valid, got, test.valid, test.fresh)
			}
			if _, valid := cookie.New(secret).Check(nil, client, got, at); !valid {
				t.Errorf("%d s old at %d: what was sent instead is not valid", test.age, at)
			}
		}
	}
}

func TestNotValid(t *testing.T) {
	good := made(now)
	flipped := func(i int) []byte {
		b := bytes.Clone(good)
		b[i] ^= 1
		return b
	}
	type test struct {
		name   string
		from   string
		option []byte
		size   int
	}
	tests := []test{
		{"nothing", "192.0.2.1", nil, 0},
		{"short", "192.0.2.1", good[:7], 0},
		{"the client's alone", "192.0.2.1", good[:8], cookie.Size},
		{"between", "192.0.2.1", good[:15], 0},
		{"another server's", "192.0.2.1", good[:16], cookie.Size},
		{"another server's, long", "192.0.2.1", append(bytes.Clone(good), make([]byte, 16)...), cookie.Size},
		{"too long", "192.0.2.1", append(bytes.Clone(good), make([]byte, 17)...), 0},
		{"another address", "192.0.2.2", good, cookie.Size},
		{"another family", "::c000:201", good, cookie.Size},
	}
	for i := range good {
		tests = append(tests, test{"flipped", "192.0.2.1", flipped(i), cookie.Size})
	}
	for _, test := range tests {
		got, valid := cookie.New(secret).Check([]byte("x"), netip.MustParseAddr(test.from), test.option, now)
		if valid || len(got) != 1+test.size || got[0] != 'x' {
			t.Errorf("%s: %x from %s: valid %v, sent %x, want %d octets", test.name, test.option, test.from, valid, got, test.size)
		}
	}
	if _, valid := cookie.New([]byte("another secret of a fleet")).Check(nil, client, good, now); valid {
		t.Error("another secret's is valid")
	}
	if _, valid := cookie.New(secret).Check(nil, netip.MustParseAddr("::ffff:192.0.2.1"), good, now); !valid {
		t.Error("the same address written as IPv6 is another")
	}
}

// When the fleet's secret is replaced, schedulers that know both believe the cookies of all.
func TestNewSecret(t *testing.T) {
	fresh := []byte("the next secret of the fleet")
	before, during, after := cookie.New(secret, fresh), cookie.New(fresh, secret), cookie.New(fresh)
	c, valid := during.Check(nil, client, made(now), now)
	if !valid || bytes.Equal(c, made(now)) {
		t.Errorf("the old secret's cookie: valid %v, and replaced by %x", valid, c)
	}
	for name, j := range map[string]*cookie.Jar{"before": before, "during": during, "after": after} {
		if _, valid := j.Check(nil, client, c, now); !valid {
			t.Errorf("the new secret's cookie is not valid %s", name)
		}
	}
}

// A client that asks every 20 minutes for three days, each time another scheduler, whose clocks differ by 4 minutes, always has a valid cookie.
func TestRotation(t *testing.T) {
	jars := []*cookie.Jar{cookie.New(secret), cookie.New(secret), cookie.New(secret)}
	skew := []int64{0, -120, 120}
	c := made(now)
	for i := range int64(3 * 72) {
		at := now + i*1200
		next, valid := jars[i%3].Check(nil, client, c, at+skew[i%3])
		if !valid {
			t.Fatalf("not valid after %d s", at-now)
		}
		c = next
	}
}

func TestConcurrent(t *testing.T) {
	j := cookie.New(secret)
	var all sync.WaitGroup
	for w := range int64(8) {
		all.Go(func() {
			for i := range int64(1000) {
				at := now + i*600 + w
				c, _ := j.Check(nil, client, []byte("12345678"), at)
				if _, valid := j.Check(nil, client, c, at+3000); !valid {
					t.Errorf("not valid: %x", c)
				}
			}
		})
	}
	all.Wait()
}

func TestAllocations(t *testing.T) {
	j, good, dst := cookie.New(secret), made(now), make([]byte, 0, cookie.Size)
	j.Check(nil, client, good, now)
	for _, option := range [][]byte{good, good[:8], good[:20]} {
		if n := testing.AllocsPerRun(1000, func() { j.Check(dst, client, option, now) }); n != 0 {
			t.Errorf("%v allocations for an option of %d octets", n, len(option))
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(made(now), now-int64(0))
	f.Add(made(now)[:8], int64(-1))
	f.Add([]byte{}, int64(1<<63-1))
	f.Fuzz(func(t *testing.T, option []byte, at int64) {
		j := cookie.New(secret)
		c, valid := j.Check(nil, client, option, at)
		if len(c) != 0 && len(c) != cookie.Size {
			t.Fatalf("sent %d octets", len(c))
		}
		if len(c) == 0 && valid {
			t.Fatal("valid, and nothing sent")
		}
		if len(c) > 0 {
			if _, valid := j.Check(nil, client, c, at); !valid {
				t.Fatalf("what is sent is not valid: %x", c)
			}
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	j, good, dst := cookie.New(secret), made(now), make([]byte, 0, cookie.Size)
	for _, bench := range []struct {
		name   string
		option []byte
	}{{"valid", good}, {"first", good[:8]}} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				j.Check(dst, client, bench.option, now)
			}
		})
	}
}
