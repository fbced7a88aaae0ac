package coding_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"

	stdgzip "compress/gzip"

	"nearcast/edge/coding"
	"nearcast/internal/racing"
)

func TestATruncatedStreamIsAnError(t *testing.T) {
	data := append(page(3000), noise(300)...)
	for _, c := range codings {
		coded := encode(t, bytes.NewReader(data), c)
		for cut := range coded {
			got, err := decode(t, bytes.NewReader(coded[:cut]), c, coding.Limits{})
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s cut to %d of %d: %v", c, cut, len(coded), err)
			}
			if !bytes.HasPrefix(data, got) {
				t.Errorf("%s cut to %d of %d: other octets", c, cut, len(coded))
			}
		}
	}
}

func TestHowTheCodedSourceIsCutUpMakesNoDifference(t *testing.T) {
	racing.Alone(t)
	for _, c := range codings {
		for _, s := range samples() {
			coded := encode(t, bytes.NewReader(s.data), c)
			lim := coding.Limits{MaxRatio: 1 << 20}
			for _, size := range []int{1, 2, 7, 100} {
				if got, err := decode(t, chunks{bytes.NewReader(coded), size}, c, lim); err != nil || !bytes.Equal(got, s.data) {
					t.Errorf("%s, %s by %d octets: %d octets, %v", c, s.name, size, len(got), err)
				}
			}
			for last := range min(40, len(coded)) { // a last read that is very short
				src := io.MultiReader(bytes.NewReader(coded[:len(coded)-last]), bytes.NewReader(coded[len(coded)-last:]))
				if got, err := decode(t, src, c, lim); err != nil || !bytes.Equal(got, s.data) {
					t.Errorf("%s, %s, the last %d octets apart: %d octets, %v", c, s.name, last, len(got), err)
				}
			}
		}
	}
}

func TestAnythingAfterTheEndIsAnError(t *testing.T) {
	for _, c := range codings {
		coded := encode(t, bytes.NewReader(page(3000)), c)
		for _, garbage := range []string{"\x00", "x", "\r\n", "garbage", strings.Repeat("\x00", 100_000)} {
			for name, src := range map[string]io.Reader{
				"at-once": bytes.NewReader(append(bytes.Clone(coded), garbage...)),
				"later":   io.MultiReader(bytes.NewReader(coded), strings.NewReader(garbage)),
				"slowly":  iotest.OneByteReader(bytes.NewReader(append(bytes.Clone(coded), garbage...))),
			} {
				if _, err := decode(t, src, c, coding.Limits{}); err == nil {
					t.Errorf("%s, %d octets of garbage %s: no error", c, len(garbage), name)
				}
			}
		}
	}
}

func TestADamagedStreamIsAnError(t *testing.T) {
	data := page(2000)
	for _, c := range []coding.Coding{coding.Gzip, coding.Zstd} { // br has no checksum
		coded := encode(t, bytes.NewReader(data), c)
		for i := range coded {
			damaged := bytes.Clone(coded)
			damaged[i] ^= 0x10
			got, err := decode(t, bytes.NewReader(damaged), c, coding.Limits{})
			if err == nil && !bytes.Equal(got, data) {
				t.Errorf("%s: octet %d changed, and the wrong content is taken for right", c, i)
			}
		}
	}
}

func TestSeveralMembersAreOneBody(t *testing.T) { // RFC 1952 section 2.2, RFC 8878 section 3.1
	for _, c := range []coding.Coding{coding.Gzip, coding.Zstd} {
		coded := append(encode(t, strings.NewReader("one, "), c), encode(t, strings.NewReader("two"), c)...)
		if got, err := decode(t, bytes.NewReader(coded), c, coding.Limits{}); err != nil || string(got) != "one, two" {
			t.Errorf("%s: %q, %v", c, got, err)
		}
	}
}

func TestManyEmptyMembersAreNothing(t *testing.T) {
	for _, c := range []coding.Coding{coding.Gzip, coding.Zstd} {
		coded := bytes.Repeat(encode(t, strings.NewReader(""), c), 100_000)
		if got, err := decode(t, bytes.NewReader(coded), c, coding.Limits{}); err != nil || len(got) != 0 {
			t.Errorf("%s: %d octets, %v", c, len(got), err)
		}
	}
}

func TestTheStandardLibrarysGzipIsDecoded(t *testing.T) {
	data := page(100_000)
	var b bytes.Buffer
	w := stdgzip.NewWriter(&b)
	w.Name, w.Comment, w.Extra = "page.html", "a page", make([]byte, 60_000)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := decode(t, iotest.HalfReader(&b), coding.Gzip, coding.Limits{}); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d octets, %v", len(got), err)
	}
}

func TestAZstdWindowBeyondEightMebibytesIsRefused(t *testing.T) { // RFC 9659 section 3
	for _, tt := range []struct {
		window int
		ok     bool
	}{{8 << 20, true}, {16 << 20, false}} {
		var b bytes.Buffer
		w, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(tt.window), zstd.WithSingleSegment(false))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(page(300_000)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := decode(t, &b, coding.Zstd, coding.Limits{}); (err == nil) != tt.ok {
			t.Errorf("a window of %d octets: %v", tt.window, err)
		}
	}
}

func TestAnErrorOfTheCodedSourceIsPassedOn(t *testing.T) {
	broken := errors.New("the disk is gone")
	for _, c := range codings {
		coded := encode(t, bytes.NewReader(page(200_000)), c)
		for _, cut := range []int{0, 1, 5, 100, len(coded) / 2, len(coded)} {
			src := io.MultiReader(bytes.NewReader(coded[:cut]), iotest.ErrReader(broken))
			if _, err := decode(t, src, c, coding.Limits{}); err != broken { // the very error
				t.Errorf("%s after %d octets: %v", c, cut, err)
			}
		}
	}
}

func TestADecoderIsAsGoodAsNewAfterADamagedStream(t *testing.T) {
	data := page(30_000)
	for _, c := range codings {
		coded := encode(t, bytes.NewReader(data), c)
		for i := range 50 {
			damaged := bytes.Clone(coded[:len(coded)-i*7])
			damaged[i*11] ^= 0xff
			if _, err := decode(t, bytes.NewReader(damaged), c, coding.Limits{}); err != nil && strings.Contains(err.Error(), "panicked") {
				t.Error(err)
			}
			if got, err := decode(t, bytes.NewReader(coded), c, coding.Limits{}); err != nil || !bytes.Equal(got, data) {
				t.Fatalf("%s: %d octets, %v", c, len(got), err)
			}
		}
	}
}
