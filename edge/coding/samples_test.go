package coding_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"

	stdgzip "compress/gzip"

	"nearcast/edge/coding"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var codings = []coding.Coding{coding.Gzip, coding.Brotli, coding.Zstd}

// page makes so many octets that look like a page: the same ones each time.
func page(size int) []byte {
	chance := rand.New(rand.NewPCG(1, uint64(size)))
	words := []string{"<div class=", "\"price\"", "</div>\n", "shipping ", "the ", "of ", "{\"id\":", "true,", "&nbsp;", "größe "}
	var b bytes.Buffer
	for b.Len() < size {
		b.WriteString(words[chance.IntN(len(words))])
		if chance.IntN(5) == 0 {
			fmt.Fprintf(&b, "%d ", chance.IntN(1<<20))
		}
	}
	return b.Bytes()[:size]
}

// noise makes so many octets that nothing can be made of: the same ones each time.
func noise(size int) []byte {
	b := make([]byte, size)
	seed := [32]byte{7}
	if _, err := rand.NewChaCha8(seed).Read(b); err != nil {
		panic(err)
	}
	return b
}

type sample struct {
	name string
	data []byte
}

func samples() []sample {
	return []sample{
		{"nothing", nil},
		{"one-octet", []byte("x")},
		{"short-page", page(900)},
		{"page", page(50_000)},
		{"block-less-one", page(1<<16 - 1)},
		{"block", page(1 << 16)},
		{"block-and-one", page(1<<16 + 1)},
		{"two-blocks", page(1 << 17)},
		{"noise", noise(150_000)},
		{"zeros", make([]byte, 300_000)},
		{"mixed", bytes.Join([][]byte{page(100_000), noise(100_000), make([]byte, 100_000), page(100_000)}, nil)},
	}
}

// longPage is longer than the windows of the encoders.
func longPage() sample { return sample{"long-page", page(1_300_001)} }

// chunks is a reader that gives at most so many octets at a time.
type chunks struct {
	r    io.Reader
	size int
}

func (c chunks) Read(p []byte) (int, error) { return c.r.Read(p[:min(len(p), c.size)]) }

// encode codes all of src.
func encode(t testing.TB, src io.Reader, c coding.Coding) []byte {
	t.Helper()
	r, err := coding.NewReader(src, c)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	coded, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("encoding %s: %v", c, err)
	}
	return coded
}

// decode takes the coding off with the decoder under test.
func decode(t testing.TB, src io.Reader, c coding.Coding, lim coding.Limits) ([]byte, error) {
	t.Helper()
	r, err := coding.NewDecoder(src, c, lim)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	return io.ReadAll(r)
}

// oracle takes the coding off with another implementation, or the library itself where there is no other.
func oracle(coded []byte, c coding.Coding) ([]byte, error) {
	switch src := bytes.NewReader(coded); c {
	case coding.Gzip:
		r, err := stdgzip.NewReader(src)
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	case coding.Brotli:
		return io.ReadAll(brotli.NewReader(src))
	default:
		r, err := zstd.NewReader(src, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return io.ReadAll(r)
	}
}
