package index

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestSizeClass(t *testing.T) {
	for n, want := range map[int64]uint8{
		-1: 0, 0: 0, 1: 1, 512: 1, 513: 2, 31 * 512: 31, 31*512 + 1: 32, 32 * 512: 32, 32*512 + 1: 33,
		1 << 20: 0x80, 1<<20 + 1: 0x81, 30 << 14 * 512: 254, 30<<14*512 + 1: 255, 256 << 20: 255, 1 << 40: 255,
	} {
		if got := SizeClass(n); got != want {
			t.Errorf("SizeClass(%d) = %#x, want %#x", n, got, want)
		}
	}
	for class := range 255 {
		c := uint8(class)
		if SizeClass(Octets(c)) != c || SizeClass(Octets(c)+1) != c+1 {
			t.Errorf("class %d ends at %d octets, but they have class %d and one more %d", c, Octets(c), SizeClass(Octets(c)), SizeClass(Octets(c)+1))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, 256<<20).Draw(t, "n")
		if got := Octets(SizeClass(n)); got < n || got > n+max(511, n/15) {
			t.Fatalf("%d octets are read as %d", n, got)
		}
	})
}

func TestExpiry(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Date(2026, 11, 25, 12, 0, 0, 1, time.UTC)
	for _, c := range []struct {
		name        string
		ahead       time.Duration // of the instant
		later       time.Duration // when one asks
		want, known bool
	}{
		{"it does not pass early", time.Hour, time.Hour - 1, false, true},
		{"it passes at most a unit late", time.Hour, time.Hour + 1024*time.Second, true, true},
		{"it has passed long ago", time.Hour, 380 * day, true, true},
		{"it was behind at once", -time.Hour, 0, true, true},
		{"it was far behind", -1000 * day, 0, true, true},
		{"it is far ahead", 386 * day, 385 * day, false, true},
		{"it is too far ahead to be said", 389 * day, 400 * day, false, false},
		{"it seems to be ahead when too far behind", time.Hour, 400 * day, false, true},
	} {
		e := ExpiryAt(now, now.Add(c.ahead))
		if got := e.Passed(now.Add(c.later)); got != c.want || (e != 0) != c.known {
			t.Errorf("%s: passed %t, number %d", c.name, got, e)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "now"), 0)
		ahead := time.Duration(rapid.Int64Range(0, int64(387*day)).Draw(t, "ahead"))
		switch e := ExpiryAt(now, now.Add(ahead)); {
		case e.Passed(now.Add(ahead - 1)):
			t.Fatal("it passes early")
		case ahead < 386*day && !e.Passed(now.Add(ahead+2048*time.Second)):
			t.Fatal("it passes late")
		}
	})
}

// TestPacking has every field at its bounds keep what it is, beside its neighbours.
func TestPacking(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Entry{
			Location: Location{
				Segment: rapid.OneOf(rapid.Just[uint32](MaxSegment), rapid.Uint32Range(0, MaxSegment)).Draw(t, "segment"),
				Offset:  rapid.OneOf(rapid.Just[uint32](MaxOffset), rapid.Uint32Range(0, MaxOffset)).Draw(t, "offset"),
			},
			Class: rapid.Byte().Draw(t, "class"), Frequency: rapid.Uint8Range(0, MaxFrequency).Draw(t, "frequency"),
			Flags: Flags(rapid.Byte().Draw(t, "flags")), Expiry: Expiry(rapid.Uint16().Draw(t, "expiry")),
		}
		tag := rapid.Uint32().Draw(t, "tag")
		name, place := want.name(tag), want.place()
		if got := unpack(name, place); got != want || tagOf(name) != tag || place == 0 || place&locationMask != want.word() {
			t.Fatalf("%+v became %+v (%#x, %#x)", want, got, name, place)
		}
	})
}
