// Package leaktest fails a package's tests if goroutines are left over, after some
// patience: for packages whose libraries stop their last goroutines by a timer.
//
// It is not needed where everything is waited for: goleak alone is stricter there.
package leaktest

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Main runs the tests and ends the process. Goroutines that are gone within the
// patience are not leaks.
func Main(m *testing.M, patience time.Duration) {
	code := m.Run()
	if code == 0 {
		err := goleak.Find() // tries for a while itself
		for deadline := time.Now().Add(patience); err != nil && time.Now().Before(deadline); {
			err = goleak.Find()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "goroutines are left over:", err)
			code = 1
		}
	}
	os.Exit(code)
}
