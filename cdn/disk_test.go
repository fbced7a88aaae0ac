package cdn_test

import (
	"testing"

	"nearcast/cdn"
)

func TestParseDisk(t *testing.T) {
	for text, want := range map[string]cdn.Disk{
		"/var/cache/nearcast:100GiB": {Path: "/var/cache/nearcast", Size: 100 << 30},
		"C:/cache:2GiB":              {Path: "C:/cache", Size: 2 << 30},
		"relative:1GiB":              {Path: "relative", Size: 1 << 30},
		"10GB":                       {Size: 10e9},
	} {
		got, err := cdn.ParseDisk(text)
		if err != nil || got != want {
			t.Errorf("%q: %+v (%v), want %+v", text, got, err, want)
		}
		if again, err := cdn.ParseDisk(got.String()); err != nil || again != want {
			t.Errorf("%q: again from %q: %+v (%v)", text, got, again, err)
		}
	}
	for text, want := range map[string]string{
		"":            `disk "": want PATH:SIZE, such as "/var/cache/nearcast:100GiB": size "": want a whole number of bytes with an optional unit, such as "512MiB" or "10GB"`,
		"/cache":      `disk "/cache": want PATH:SIZE, such as "/var/cache/nearcast:100GiB": size "/cache": want a whole number of bytes with an optional unit, such as "512MiB" or "10GB"`,
		":10GiB":      `disk ":10GiB": want PATH:SIZE, such as "/var/cache/nearcast:100GiB", or a size alone`,
		"/c:100MiB":   `disk "/c:100MiB": want at least 1GiB`,
		"/c:10 much":  `disk "/c:10 much": want PATH:SIZE, such as "/var/cache/nearcast:100GiB": size "10 much": want a whole number of bytes with an optional unit, such as "512MiB" or "10GB"`,
		"/cache:-1GB": `disk "/cache:-1GB": want PATH:SIZE, such as "/var/cache/nearcast:100GiB": size "-1GB": want a whole number of bytes with an optional unit, such as "512MiB" or "10GB"`,
	} {
		if _, err := cdn.ParseDisk(text); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
