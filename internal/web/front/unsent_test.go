package front

import "testing"

func TestUnsent(t *testing.T) {
	for n, want := range map[int]int{0: 1 << 20, 1: 1 << 20, 256: 1 << 20, 2048: 128 << 10, 4096: 64 << 10, 100_000: 16 << 10} {
		if got := unsentOf(n); got != want {
			t.Errorf("of %d connections each may have %d octets unsent, want %d", n, got, want)
		}
	}
}
