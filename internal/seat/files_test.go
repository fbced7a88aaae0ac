package seat

import (
	"math"
	"syscall"
	"testing"
)

func TestAffordable(t *testing.T) {
	for _, row := range []struct {
		wanted, part int
		files        uint64
		want         int
	}{
		{100_000, 2, 524_288, 100_000},
		{100_000, 2, 200_000, 100_000},
		{100_000, 2, 20_000, 10_000},
		{4096, 8, 1024, 128},
		{4096, 8, 7, 1},
		{0, 2, 1024, 0},
		{0, 2, 0, 0},
		{100_000, 2, math.MaxUint64, 100_000}, // RLIM_INFINITY
	} {
		if got := affordable(row.wanted, row.part, row.files); got != row.want {
			t.Errorf("%d wanted, one part of %d, %d files: %d, want %d", row.wanted, row.part, row.files, got, row.want)
		}
	}
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	if got, want := Affordable(math.MaxInt, 2), affordable(math.MaxInt, 2, files.Cur); got != want {
		t.Errorf("of this process: %d, want %d", got, want)
	}
}
