package waitfor_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"nearcast/internal/waitfor"
)

// failing is a test that notes how it fails.
type failing struct {
	testing.TB

	text string
}

func (f *failing) Fatalf(format string, args ...any) {
	f.text = fmt.Sprintf(format, args...)
	panic(f)
}

func TestThat(t *testing.T) {
	for name, test := range map[string]struct {
		after time.Duration // when it holds
		took  time.Duration
		fails string
	}{
		"at once": {0, 0, ""},
		"later":   {time.Second, time.Second, ""},
		"at last": {time.Minute, time.Minute, ""},
		"never":   {time.Hour, 0, "not within 1m0s: the file is there"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, begin := &failing{TB: t}, time.Now()
				defer func() {
					if r := recover(); r != nil && r != any(f) || f.text != test.fails {
						t.Errorf("%q (%v), want %q", f.text, r, test.fails)
					}
				}()
				took := waitfor.That(f, time.Minute, "the file is there", func() bool { return time.Since(begin) >= test.after })
				if took != test.took {
					t.Errorf("took %v, want %v", took, test.took)
				}
			})
		})
	}
}
