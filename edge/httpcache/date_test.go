package httpcache_test

import (
	"testing"
	"time"

	"nearcast/edge/httpcache"
)

// dateTests: RFC 9110 section 5.6.7 and RFC 9111 section 4.2, read in March 2026.
var dateTests = []struct {
	value string
	want  string // in the form of RFC 3339; empty for none
}{
	{"Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37Z"},
	{"sun, 06 nov 1994 08:49:37 gmt", "1994-11-06T08:49:37Z"},
	{"Sunday, 06-Nov-94 08:49:37 GMT", "1994-11-06T08:49:37Z"},
	{"SUNDAY, 06-NOV-94 08:49:37 GMT", "1994-11-06T08:49:37Z"},
	{"Sun Nov  6 08:49:37 1994", "1994-11-06T08:49:37Z"},
	{"Sun Nov 16 08:49:37 1994", "1994-11-16T08:49:37Z"},
	{"Sunday, 01-Mar-76 11:00:00 GMT", "2076-03-01T11:00:00Z"},
	{"Sunday, 01-Mar-76 13:00:00 GMT", "1976-03-01T13:00:00Z"},
	{"Sunday, 06-Nov-30 08:49:37 GMT", "2030-11-06T08:49:37Z"},
	{"Sunday, 06-Nov-77 08:49:37 GMT", "1977-11-06T08:49:37Z"},
	{"Sun, 06 Nov 9999 08:49:37 GMT", "9999-11-06T08:49:37Z"},
	{"0", ""},
	{"-1", ""},
	{"", ""},
	{"Sun, 06 Nov 1994 08:49:37 UTC", ""},
	{"Sun, 06 Nov 1994 08:49:37 PST", ""},
	{"Sunday, 06-Nov-94 08:49:37 PST", ""},
	{"Sun, 06 Nov 1994 08:49:37 +0000", ""},
	{"Sun, 6 Nov 1994 08:49:37 GMT", ""},
	{"Sun, 06 Nov 1994 8:49:37 GMT", ""},
	{"Sun, 06 Nov 1994 08:49:37.5 GMT", ""},
	{"Sun, 06 Nov 94 08:49:37 GMT", ""},
	{"Sun, 31 Feb 1994 08:49:37 GMT", ""},
	{"Sun 06 Nov 1994 08:49:37 GMT", ""},
	{"1994-11-06T08:49:37Z", ""},
	{"Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT", ""},
}

func TestParseDate(t *testing.T) {
	for _, tt := range dateTests {
		got, err := httpcache.ParseDate(tt.value, epoch)
		switch {
		case tt.want == "" && err == nil:
			t.Errorf("ParseDate(%q) = %v, want an error", tt.value, got)
		case tt.want != "" && (err != nil || got.Format(time.RFC3339) != tt.want):
			t.Errorf("ParseDate(%q) = %v, %v, want %s", tt.value, got, err, tt.want)
		}
	}
}

func FuzzParseDate(f *testing.F) {
	for _, tt := range dateTests {
		f.Add(tt.value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		got, err := httpcache.ParseDate(value, epoch)
		if err != nil {
			return
		}
		again, err := httpcache.ParseDate(got.Format("Mon, 02 Jan 2006 15:04:05 GMT"), epoch)
		if err != nil || !again.Equal(got) || got.Location() != time.UTC {
			t.Errorf("%q is %v, which is read back as %v, %v", value, got, again, err)
		}
	})
}
