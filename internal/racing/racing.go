// Package racing lets tests know whether the race detector is on, which makes them ten times as long, takes memory of its own and has pools forget.
//
// A package whose tests ask is tested once more by `make test`, without the detector. It is not for making less of a test of what several goroutines do.
package racing

import "testing"

// Alone skips a test of what one goroutine computes for long if the race detector is on, which has nothing to see there.
func Alone(tb testing.TB) {
	tb.Helper()
	if Enabled {
		tb.Skip("one goroutine computes for long: `make test` runs this without the race detector")
	}
}
