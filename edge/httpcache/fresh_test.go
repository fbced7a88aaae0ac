package httpcache_test

import (
	"testing"
	"time"

	"nearcast/edge/httpcache"
)

// TestLifetime: RFC 9111 section 4.2.1, in order of precedence, and 4.2.2.
func TestLifetime(t *testing.T) {
	tests := []struct {
		name   string
		status int
		lines  []string
		policy httpcache.Policy
		want   time.Duration
	}{
		{"nothing", 200, nil, httpcache.Policy{}, 0},
		{"maxage", 200, []string{"Cache-Control: max-age=60"}, httpcache.Policy{}, 60 * time.Second},
		{"smaxage", 200, []string{"Cache-Control: max-age=60, s-maxage=90"}, httpcache.Policy{}, 90 * time.Second},
		{"shorter", 200, []string{"Cache-Control: max-age=60, s-maxage=0"}, httpcache.Policy{}, 0},
		{"overexpires", 200, []string{"Cache-Control: max-age=60", "Expires: " + date(5)}, httpcache.Policy{}, 60 * time.Second},
		{"expires", 200, []string{"Expires: " + date(30)}, httpcache.Policy{}, 30 * time.Second},
		{"past", 200, []string{"Expires: " + date(-30)}, httpcache.Policy{}, 0},
		{"zero", 200, []string{"Expires: 0", "Last-Modified: " + date(-1000)}, httpcache.Policy{}, 0},
		{"fastclock", 200, []string{"Date: " + date(100), "Expires: " + date(130)}, httpcache.Policy{}, 30 * time.Second},
		{"malformed", 200, []string{"Cache-Control: max-age=1x", "Expires: " + date(30)}, httpcache.Policy{}, 0},
		{"heuristic", 200, []string{"Last-Modified: " + date(-1000)}, httpcache.Policy{}, 100 * time.Second},
		{"capped", 200, []string{"Last-Modified: " + date(-100*86400)}, httpcache.Policy{}, 24 * time.Hour},
		{"future", 200, []string{"Last-Modified: " + date(1000)}, httpcache.Policy{}, 0},
		{"forbidden", 403, []string{"Last-Modified: " + date(-1000)}, httpcache.Policy{}, 0},
		{"public", 599, []string{"Last-Modified: " + date(-1000), "Cache-Control: public"}, httpcache.Policy{}, 100 * time.Second},
		{"policy", 200, []string{"Cache-Control: max-age=60, s-maxage=90"}, httpcache.Policy{TTL: time.Hour}, time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := response(tt.status, tt.lines...).Lifetime(tt.policy); got != tt.want {
				t.Errorf("Lifetime() = %v, want %v", got, tt.want)
			}
		})
	}
}

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
