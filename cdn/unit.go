package cdn

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a [time.Duration] that people write as "90s", "10m", "1h30m" or "7d".
// It is never negative.
type Duration time.Duration

// maxDuration is far beyond any use, and near enough for sums not to overflow.
const maxDuration = math.MaxUint16 * 24 * time.Hour

// ParseDuration parses a duration of at least zero. Beside the units of
// [time.ParseDuration] it knows "d" for 24 hours, in a whole number at the front.
func ParseDuration(s string) (Duration, error) {
	rest, days := s, time.Duration(0)
	n, after, inDays := strings.Cut(s, "d")
	if inDays {
		v, err := strconv.ParseUint(n, 10, 16)
		if err != nil {
			return 0, Errorf(Invalid, "", `duration %q: want a number with a unit, such as "90s", "10m" or "7d"`, clip(s))
		}
		days, rest = time.Duration(v)*24*time.Hour, after
	}
	var d time.Duration
	if rest != "" || !inDays {
		var err error
		if d, err = time.ParseDuration(rest); err != nil {
			return 0, Errorf(Invalid, "", `duration %q: want a number with a unit, such as "90s", "10m" or "7d"`, clip(s))
		}
	}
	if strings.ContainsAny(rest, "+-") || d > maxDuration-days {
		return 0, Errorf(Invalid, "", "duration %q: must be between 0 and 65535d, without a sign", clip(s))
	}
	return Duration(days + d), nil
}

// Std returns d as a [time.Duration].
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String formats d the way [ParseDuration] reads it, shortest form.
func (d Duration) String() string {
	if day := 24 * time.Hour; d > 0 && time.Duration(d)%day == 0 {
		return strconv.FormatInt(int64(time.Duration(d)/day), 10) + "d"
	}
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText implements [encoding.TextMarshaler].
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler] with [ParseDuration].
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := ParseDuration(string(text))
	if err == nil {
		*d = v
	}
	return err
}

// Size is a number of bytes that people write as "512MiB", "10GB" or "4096".
type Size int64

var sizeUnits = []struct { //nolint:gochecknoglobals // a table that nobody changes
	suffix string
	factor int64
}{
	{"KiB", 1 << 10},
	{"MiB", 1 << 20},
	{"GiB", 1 << 30},
	{"TiB", 1 << 40},
	{"KB", 1e3},
	{"MB", 1e6},
	{"GB", 1e9},
	{"TB", 1e12},
	{"B", 1},
	{"", 1},
}

// ParseSize parses a whole number of bytes with an optional unit: B, KB, MB, GB,
// TB (powers of 1000) or KiB, MiB, GiB, TiB (powers of 1024).
func ParseSize(s string) (Size, error) {
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 63)
		if err != nil || n > math.MaxInt64/uint64(u.factor) {
			break
		}
		return Size(int64(n) * u.factor), nil
	}
	return 0, Errorf(Invalid, "", `size %q: want a whole number of bytes with an optional unit, such as "512MiB" or "10GB"`, clip(s))
}

// String formats n with the largest binary unit that divides it.
func (n Size) String() string {
	for i := 3; i >= 0; i-- {
		if f := sizeUnits[i].factor; n != 0 && int64(n)%f == 0 {
			return fmt.Sprintf("%d%s", int64(n)/f, sizeUnits[i].suffix)
		}
	}
	return fmt.Sprintf("%dB", int64(n))
}

// MarshalText implements [encoding.TextMarshaler].
func (n Size) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler] with [ParseSize].
func (n *Size) UnmarshalText(text []byte) error {
	v, err := ParseSize(string(text))
	if err == nil {
		*n = v
	}
	return err
}
