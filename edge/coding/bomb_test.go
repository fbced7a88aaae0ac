package coding_test

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"testing"

	"nearcast/edge/coding"
)

// zeros is an endless source of them.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestABombStopsEarly(t *testing.T) {
	const tenGiB = 10 << 30
	for _, c := range codings {
		t.Run(string(c), func(t *testing.T) {
			coded, err := coding.NewReader(io.LimitReader(zeros{}, tenGiB), c)
			if err != nil {
				t.Fatal(err)
			}
			defer coded.Close()
			src := &counted{r: coded}
			r, err := coding.NewDecoder(src, c, coding.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			n, err := io.Copy(io.Discard, r)
			runtime.ReadMemStats(&after)
			if !errors.Is(err, coding.ErrBomb) {
				t.Errorf("after %d octets: %v", n, err)
			}
			if n > 8<<20 || src.n > 1<<17 {
				t.Errorf("%d octets became %d before it stopped", src.n, n)
			}
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
				t.Errorf("%d octets of memory were taken", grown)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	flat := make([]byte, 3<<20)
	tests := []struct {
		name string
		data []byte
		lim  coding.Limits
		want int // octets that come out
		bomb bool
	}{
		{"short-and-flat", flat[:1<<20], coding.Limits{}, 1 << 20, false},
		{"long-and-flat", flat, coding.Limits{}, 1 << 20, true},
		{"long-and-flat-allowed", flat, coding.Limits{MaxRatio: 1 << 20}, 3 << 20, false},
		{"just-the-size", flat[:5000], coding.Limits{MaxSize: 5000}, 5000, false},
		{"one-more", flat[:5001], coding.Limits{MaxSize: 5000}, 5000, true},
		{"ordinary", page(2 << 20), coding.Limits{}, 2 << 20, false},
		{"ratio-of-one", page(2 << 20), coding.Limits{MaxRatio: 1}, 1 << 20, true},
		{"noise", noise(2 << 20), coding.Limits{MaxRatio: 2}, 2 << 20, false},
	}
	for _, tt := range tests {
		for _, c := range codings {
			t.Run(tt.name+"/"+string(c), func(t *testing.T) {
				got, err := decode(t, bytes.NewReader(encode(t, bytes.NewReader(tt.data), c)), c, tt.lim)
				if len(got) != tt.want || errors.Is(err, coding.ErrBomb) != tt.bomb || !tt.bomb && err != nil {
					t.Errorf("%d octets, %v; want %d", len(got), err, tt.want)
				}
			})
		}
	}
}
