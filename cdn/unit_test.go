package cdn_test

import (
	"math"
	"testing"
	"time"

	"nearcast/cdn"
)

var durations = []struct {
	name, in string
	want     time.Duration // negative: refused
	text     string        // the shortest form; empty: the same as in
}{
	{"seconds", "90s", 90 * time.Second, "1m30s"},
	{"minutes", "10m", 10 * time.Minute, ""},
	{"hours", "100h", 100 * time.Hour, ""},
	{"mixed", "1h30m", 90 * time.Minute, ""},
	{"fraction", "1.5h", 90 * time.Minute, "1h30m"},
	{"days", "7d", 7 * 24 * time.Hour, ""},
	{"day", "24h", 24 * time.Hour, "1d"},
	{"both", "1d12h", 36 * time.Hour, "36h"},
	{"twenty", "20m", 20 * time.Minute, ""},
	{"ten", "10h", 10 * time.Hour, ""},
	{"sub", "1ms500us", 1500 * time.Microsecond, "1.5ms"},
	{"zero", "0", 0, "0s"},
	{"zero-days", "0d", 0, "0s"},
	{"longest", "65535d", 65535 * 24 * time.Hour, ""},
	{"empty", "", -1, ""},
	{"unitless", "5", -1, ""},
	{"only-unit", "d", -1, ""},
	{"negative", "-5s", -1, ""},
	{"minus-zero", "-0s", -1, ""},
	{"plus", "+5s", -1, ""},
	{"negative-days", "-1d", -1, ""},
	{"negative-rest", "1d-1s", -1, ""},
	{"positive-rest", "1d+1s", -1, ""},
	{"order", "1h1d", -1, ""},
	{"twice", "1d1d", -1, ""},
	{"half-day", "1.5d", -1, ""},
	{"space", "5 s", -1, ""},
	{"word", "soon", -1, ""},
	{"long", "65536d", -1, ""},
	{"too-long", "65535d1ns", -1, ""},
	{"long-hours", "1680000h", -1, ""},
	{"overflow", "9999999999h", -1, ""},
}

func TestParseDuration(t *testing.T) {
	for _, tt := range durations {
		t.Run(tt.name, func(t *testing.T) {
			got, err := cdn.ParseDuration(tt.in)
			wantKind(t, err, tt.want >= 0)
			if err != nil || tt.want < 0 {
				return
			}
			if got.Std() != tt.want {
				t.Errorf("ParseDuration(%q) = %v, want %v", tt.in, got.Std(), tt.want)
			}
			want := tt.text
			if want == "" {
				want = tt.in
			}
			if got.String() != want {
				t.Errorf("ParseDuration(%q).String() = %q, want %q", tt.in, got, want)
			}
		})
	}
}

func FuzzParseDuration(f *testing.F) {
	for _, tt := range durations {
		f.Add(tt.in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		d, err := cdn.ParseDuration(in)
		if err != nil {
			wantKind(t, err, false)
			return
		}
		if d < 0 {
			t.Errorf("ParseDuration(%q) = %d", in, d)
		}
		if again, err := cdn.ParseDuration(d.String()); again != d || err != nil {
			t.Errorf("ParseDuration(%q) = %q, which parses as %q, %v", in, d, again, err)
		}
	})
}

var sizes = []struct {
	name, in string
	want     int64  // negative: refused
	text     string // the shortest form; empty: the same as in
}{
	{"bytes", "4096", 4096, "4KiB"},
	{"unit", "17B", 17, ""},
	{"binary", "512MiB", 512 << 20, ""},
	{"decimal", "10GB", 10e9, "9765625KiB"},
	{"kilo", "1KB", 1000, "1000B"},
	{"tera", "3TiB", 3 << 40, ""},
	{"space", "64 MiB", 64 << 20, "64MiB"},
	{"zero", "0", 0, "0B"},
	{"largest", "9223372036854775807", math.MaxInt64, "9223372036854775807B"},
	{"empty", "", -1, ""},
	{"only-unit", "MiB", -1, ""},
	{"negative", "-1", -1, ""},
	{"plus", "+1", -1, ""},
	{"fraction", "1.5GiB", -1, ""},
	{"case", "1mib", -1, ""},
	{"letter", "1G", -1, ""},
	{"twice", "1KiBKiB", -1, ""},
	{"hex", "0x10", -1, ""},
	{"overflow", "8388608TiB", -1, ""},
	{"huge", "99999999999999999999", -1, ""},
}

func TestParseSize(t *testing.T) {
	for _, tt := range sizes {
		t.Run(tt.name, func(t *testing.T) {
			got, err := cdn.ParseSize(tt.in)
			wantKind(t, err, tt.want >= 0)
			if err != nil || tt.want < 0 {
				return
			}
			want := tt.text
			if want == "" {
				want = tt.in
			}
			if int64(got) != tt.want || got.String() != want {
				t.Errorf("ParseSize(%q) = %d, written %q; want %d, %q", tt.in, got, got, tt.want, want)
			}
		})
	}
}

func FuzzParseSize(f *testing.F) {
	for _, tt := range sizes {
		f.Add(tt.in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		n, err := cdn.ParseSize(in)
		if err != nil {
			wantKind(t, err, false)
			return
		}
		if again, err := cdn.ParseSize(n.String()); n < 0 || again != n || err != nil {
			t.Errorf("ParseSize(%q) = %q, which parses as %q, %v", in, n, again, err)
		}
	})
}
