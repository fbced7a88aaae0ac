package httpcache_test

import (
	"testing"
	"time"

	"nearcast/edge/httpcache"
)

// TestAge: RFC 9111 section 4.2.3.
func TestAge(t *testing.T) {
	tests := []struct {
		name  string
		lines []string
		delay time.Duration // from request to response
		now   int           // seconds after the response
		want  time.Duration
	}{
		{"resident", nil, 0, 10, 10 * time.Second},
		{"field", []string{"Age: 100"}, 0, 10, 110 * time.Second},
		{"delay", []string{"Age: 100"}, 4 * time.Second, 10, 114 * time.Second},
		{"apparent", []string{"Date: " + date(-50)}, 0, 10, 60 * time.Second},
		{"larger", []string{"Date: " + date(-50), "Age: 20"}, 0, 0, 50 * time.Second},
		{"clock", []string{"Date: " + date(50)}, 0, 10, 10 * time.Second},
		{"list", []string{"Age: 7, 100"}, 0, 0, 7 * time.Second},
		{"lines", []string{"Age: 7", "Age: 100"}, 0, 0, 7 * time.Second},
		{"malformed", []string{"Age: 7.5"}, 0, 3, 3 * time.Second},
		{"negative", []string{"Age: -7"}, 0, 3, 3 * time.Second},
		{"backwards", nil, 0, -10, 0},
		{"overflow", []string{"Age: 99999999999999999999"}, 0, 5, 1<<31*time.Second + 5*time.Second},
		{"ancient", []string{"Date: Mon, 01 Jan 0001 00:00:00 GMT"}, 0, 0, 1 << 31 * time.Second},
		{"quicker", []string{"Age: 5"}, -4 * time.Second, 0, 5 * time.Second},
		{"nodate", []string{"Date: never"}, 0, 10, 10 * time.Second},
		{"space", []string{"Age:  7 , x"}, 0, 0, 7 * time.Second},
		{"empty", []string{"Age: , 7"}, 0, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := header(tt.lines...)
			if h["Date"] == nil {
				h.Set("Date", date(0))
			}
			r := httpcache.NewResponse(get(), 200, h, epoch.Add(-tt.delay), epoch)
			if got := r.Age(after(tt.now)); got != tt.want {
				t.Errorf("Age() = %v, want %v", got, tt.want)
			}
		})
	}
	if got := httpcache.AgeField(1999 * time.Millisecond); got != "1" {
		t.Errorf("AgeField(1.999s) = %q, want 1", got)
	}
}
