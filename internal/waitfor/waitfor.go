// Package waitfor has tests wait for what other goroutines and processes do, where nothing tells when it is done.
//
// It is not for what can be told: a channel, or testing/synctest, is quicker and says more.
package waitfor

import (
	"testing"
	"time"
)

// interval is how often it is looked.
const interval = 5 * time.Millisecond

// That waits until something holds, and returns how long that took. If it does not hold in time, the test fails and ends; what says
// for what it waited.
func That(tb testing.TB, within time.Duration, what string, holds func() bool) time.Duration {
	tb.Helper()
	start := time.Now()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for !holds() {
		if time.Since(start) > within {
			tb.Fatalf("not within %s: %s", within, what)
		}
		<-tick.C
	}
	return time.Since(start)
}
