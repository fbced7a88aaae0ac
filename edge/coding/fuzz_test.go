package coding_test

import (
	"bytes"
	"strings"
	"testing"
	"testing/iotest"

	"nearcast/edge/coding"
)

// FuzzRoundTrip codes anything, whole and by octets, and takes the coding off again.
func FuzzRoundTrip(f *testing.F) {
	for _, s := range samples() {
		if len(s.data) <= 1<<16+1 {
			f.Add(s.data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, c := range codings {
			coded := encode(t, bytes.NewReader(data), c)
			if again := encode(t, iotest.OneByteReader(bytes.NewReader(data)), c); !bytes.Equal(coded, again) {
				t.Errorf("%s: other octets when read by octets", c)
			}
			if got, err := oracle(coded, c); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s: the oracle has %d octets, %v", c, len(got), err)
			}
			if got, err := decode(t, bytes.NewReader(coded), c, coding.Limits{}); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s: %d octets, %v", c, len(got), err)
			}
		}
	})
}

func FuzzDecodeGzip(f *testing.F)   { fuzzDecode(f, coding.Gzip) }
func FuzzDecodeBrotli(f *testing.F) { fuzzDecode(f, coding.Brotli) }
func FuzzDecodeZstd(f *testing.F)   { fuzzDecode(f, coding.Zstd) }

// fuzzDecode holds that a decoder survives anything within its limits, and that how its source is cut
// up makes no difference.
func fuzzDecode(f *testing.F, c coding.Coding) {
	f.Helper()
	f.Add([]byte(nil))
	f.Add(noise(100))
	for _, s := range samples()[:4] {
		coded := encode(f, bytes.NewReader(s.data), c)
		f.Add(coded)
		f.Add(coded[:len(coded)/2])
		f.Add(append(bytes.Clone(coded), coded...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		const maxSize = 4 << 20
		lim := coding.Limits{MaxSize: maxSize}
		whole, err := decode(t, bytes.NewReader(data), c, lim)
		if err != nil && strings.Contains(err.Error(), "panicked") {
			t.Fatal(err)
		}
		if len(whole) > max(1<<20, min(maxSize, 100*len(data))) {
			t.Errorf("%d octets became %d", len(data), len(whole))
		}
		slow, slowErr := decode(t, iotest.OneByteReader(bytes.NewReader(data)), c, lim)
		if (err == nil) != (slowErr == nil) || err == nil && !bytes.Equal(whole, slow) {
			t.Errorf("whole: %d octets, %v; by octets: %d, %v", len(whole), err, len(slow), slowErr)
		}
	})
}
