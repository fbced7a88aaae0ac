package coding_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"nearcast/edge/coding"
	"nearcast/internal/racing"
)

func TestWhatIsCodedCanBeDecodedByOthers(t *testing.T) {
	for _, c := range codings {
		for _, s := range append(samples(), longPage()) {
			t.Run(string(c)+"/"+s.name, func(t *testing.T) {
				coded := encode(t, bytes.NewReader(s.data), c)
				if got, err := oracle(coded, c); err != nil || !bytes.Equal(got, s.data) {
					t.Errorf("the oracle has %d octets, %v; want the %d that went in", len(got), err, len(s.data))
				}
				if got, err := decode(t, bytes.NewReader(coded), c, coding.Limits{MaxRatio: 1 << 20}); err != nil || !bytes.Equal(got, s.data) {
					t.Errorf("the decoder has %d octets, %v; want the %d that went in", len(got), err, len(s.data))
				}
			})
		}
	}
}

func TestOctetsDependOnOctetsOnly(t *testing.T) {
	racing.Alone(t)
	for _, c := range codings {
		for _, s := range samples() {
			t.Run(string(c)+"/"+s.name, func(t *testing.T) {
				want := encode(t, bytes.NewReader(s.data), c)
				for _, size := range []int{1, 7, 4096, 1 << 20} {
					if got := encode(t, chunks{bytes.NewReader(s.data), size}, c); !bytes.Equal(got, want) {
						t.Errorf("read by %d octets the result differs", size)
					}
				}
				for name, src := range map[string]io.Reader{
					"octets-with-the-end": iotest.DataErrReader(bytes.NewReader(s.data)),
					"empty-reads":         &hesitant{r: bytes.NewReader(s.data)},
				} {
					if got := encode(t, src, c); !bytes.Equal(got, want) {
						t.Errorf("%s: the result differs", name)
					}
				}
			})
		}
	}
}

// hesitant returns nothing every other time.
type hesitant struct {
	r    io.Reader
	wait bool
}

func (h *hesitant) Read(p []byte) (int, error) {
	if h.wait = !h.wait; h.wait {
		return 0, nil
	}
	return h.r.Read(p)
}

func TestOctetsOfALongSourceDependOnOctetsOnly(t *testing.T) {
	s := longPage()
	for _, c := range codings {
		if got := encode(t, chunks{bytes.NewReader(s.data), 1001}, c); !bytes.Equal(got, write(t, newWriter(t, c), s.data)) {
			t.Errorf("%s: read by 1001 octets the result differs", c)
		}
	}
}

func TestReadsOfTheResultDoNotChangeIt(t *testing.T) {
	data := page(300_000)
	for _, c := range codings {
		want := encode(t, bytes.NewReader(data), c)
		for _, size := range []int{1, 100, 1 << 20} {
			r, err := coding.NewReader(bytes.NewReader(data), c)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(chunks{r, size})
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s taken by %d octets differs, %v", c, size, err)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// writer is an encoder of a library.
type writer interface {
	io.WriteCloser
	Reset(dst io.Writer)
}

// newWriter makes an encoder with the settings that the package has.
func newWriter(t *testing.T, c coding.Coding) writer {
	t.Helper()
	var w writer
	var err error
	switch c {
	case coding.Gzip:
		w, err = gzip.NewWriterLevel(io.Discard, 6)
	case coding.Brotli:
		w = brotli.NewWriterOptions(io.Discard, brotli.WriterOptions{Quality: 5, LGWin: 20})
	default:
		w, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20), zstd.WithZeroFrames(true))
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// write codes with an encoder, by the same blocks as the package.
func write(t *testing.T, w writer, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w.Reset(&b)
	for len(data) > 0 {
		n := min(len(data), 1<<16)
		if _, err := w.Write(data[:n]); err != nil {
			t.Fatal(err)
		}
		data = data[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestUsedEncodersMakeTheOctetsOfFreshOnes(t *testing.T) {
	racing.Alone(t)
	for _, c := range codings {
		t.Run(string(c), func(t *testing.T) {
			want := make(map[string][]byte)
			for _, s := range samples() {
				want[s.name] = write(t, newWriter(t, c), s.data)
			}
			for _, before := range samples()[7:] {
				encode(t, bytes.NewReader(before.data), c)
				for _, s := range samples() {
					if got := encode(t, bytes.NewReader(s.data), c); !bytes.Equal(got, want[s.name]) {
						t.Errorf("%s differs after %s", s.name, before.name)
					}
				}
			}
		})
	}
}

func TestEncodersDoNotWearOut(t *testing.T) {
	racing.Alone(t)
	// The libraries number the octets of all streams in 31 bits and start again in time: gzip takes 32 KiB of
	// numbers for each reuse, zstd its window. The pools forget at random under the race detector,
	// so this is without them.
	data := page(100)
	for c, reuses := range map[coding.Coding]int{coding.Gzip: 1<<16 + 10, coding.Brotli: 1 << 8, coding.Zstd: 1<<11 + 10} {
		t.Run(string(c), func(t *testing.T) {
			want := encode(t, bytes.NewReader(data), c)
			w := newWriter(t, c)
			for i := range reuses {
				if got := write(t, w, data); !bytes.Equal(got, want) {
					t.Fatalf("use %d differs", i)
				}
			}
		})
	}
}

func TestAnErrorOfTheSourceIsPassedOn(t *testing.T) {
	broken := errors.New("the origin hung up")
	for _, c := range codings {
		for _, failure := range []error{broken, io.ErrUnexpectedEOF, fmt.Errorf("reading: %w", io.EOF)} {
			for _, size := range []int{0, 10, 1 << 16, 500_000} {
				src := io.MultiReader(bytes.NewReader(page(size)), iotest.ErrReader(failure))
				r, err := coding.NewReader(src, c)
				if err != nil {
					t.Fatal(err)
				}
				var got bytes.Buffer
				n, err := io.Copy(&got, r)
				if err != failure { // the very error
					t.Errorf("%s after %d octets: error %v, want %v", c, size, err, failure)
				}
				if _, again := r.Read(make([]byte, 1)); again != failure { // the very error
					t.Errorf("%s: the next Read has %v", c, again)
				}
				if _, err := decode(t, &got, c, coding.Limits{}); !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("%s: the %d octets of a truncated source look complete: %v", c, n, err)
				}
				r.Close()
			}
		}
	}
}

func TestASourceWithoutProgressIsGivenUp(t *testing.T) {
	for _, c := range codings {
		r, err := coding.NewReader(idle{}, c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Read(make([]byte, 10)); !errors.Is(err, io.ErrNoProgress) {
			t.Errorf("encoding %s: %v", c, err)
		}
		r.Close()
		if _, err := decode(t, idle{}, c, coding.Limits{}); !errors.Is(err, io.ErrNoProgress) {
			t.Errorf("decoding %s: %v", c, err)
		}
	}
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

func TestACoderReadsNothingBeforeItIsRead(t *testing.T) {
	for _, c := range codings {
		src := &counted{r: bytes.NewReader(page(100))}
		r, err := coding.NewReader(src, c)
		if err != nil {
			t.Fatal(err)
		}
		d, err := coding.NewDecoder(src, c, coding.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := r.Read(nil); n != 0 || err != nil || src.n != 0 {
			t.Errorf("%s: Read(nil) = %d, %v; the source has given %d octets", c, n, err, src.n)
		}
		for range 2 {
			r.Close()
			d.Close()
		}
		for _, closed := range []io.Reader{r, d} {
			if _, err := closed.Read(make([]byte, 1)); !errors.Is(err, coding.ErrClosed) {
				t.Errorf("%s: a read after Close has %v", c, err)
			}
		}
	}
}

// counted counts the octets that were read of it.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func TestOtherCodingsHaveNoCoder(t *testing.T) {
	for _, c := range []coding.Coding{coding.Identity, "deflate", "GZIP", "dcz"} {
		if _, err := coding.NewReader(nil, c); !errors.Is(err, coding.ErrUnsupported) {
			t.Errorf("NewReader(%q): %v", c, err)
		}
		if _, err := coding.NewDecoder(nil, c, coding.Limits{}); !errors.Is(err, coding.ErrUnsupported) {
			t.Errorf("NewDecoder(%q): %v", c, err)
		}
	}
}
