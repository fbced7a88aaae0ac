package coding_test

import (
	"bytes"
	"io"
	"strconv"
	"testing"

	"nearcast/edge/coding"
)

func BenchmarkEncode(b *testing.B) {
	for _, c := range codings {
		for _, size := range []int{4 << 10, 64 << 10, 1 << 20} {
			data := page(size)
			b.Run(string(c)+"/"+sizeName(size), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(size))
				coded := int64(0)
				for b.Loop() {
					r, err := coding.NewReader(bytes.NewReader(data), c)
					if err != nil {
						b.Fatal(err)
					}
					if coded, err = io.Copy(io.Discard, r); err != nil {
						b.Fatal(err)
					}
					r.Close()
				}
				b.ReportMetric(float64(size)/float64(coded), "ratio")
			})
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, c := range codings {
		for _, size := range []int{4 << 10, 64 << 10, 1 << 20} {
			coded := encode(b, bytes.NewReader(page(size)), c)
			b.Run(string(c)+"/"+sizeName(size), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					r, err := coding.NewDecoder(bytes.NewReader(coded), c, coding.Limits{})
					if err != nil {
						b.Fatal(err)
					}
					if n, err := io.Copy(io.Discard, r); err != nil || n != int64(size) {
						b.Fatal(n, err)
					}
					r.Close()
				}
			})
		}
	}
}

func BenchmarkNegotiate(b *testing.B) {
	accept := []string{"gzip, deflate, br, zstd"}
	offered := []coding.Coding{coding.Zstd, coding.Brotli, coding.Gzip}
	b.ReportAllocs()
	for b.Loop() {
		if coding.Negotiate(accept, offered) != coding.Zstd {
			b.Fatal("not zstd")
		}
	}
}

func BenchmarkNormalise(b *testing.B) {
	accept := []string{"gzip, deflate, br, zstd"}
	offered := []coding.Coding{coding.Zstd, coding.Brotli, coding.Gzip}
	b.ReportAllocs()
	for b.Loop() {
		if coding.Normalise(accept, offered) != "br, gzip, zstd" {
			b.Fatal("another one")
		}
	}
}

func sizeName(size int) string {
	if size < 1<<20 {
		return strconv.Itoa(size>>10) + "KiB"
	}
	return "1MiB"
}
