package onbehalf_test

import (
	"cmp"
	"strings"
	"testing"
	"time"

	"nearcast/internal/onbehalf"
)

func at(scheme string) string { return scheme + "://www.shop.example/a" }

func TestVerify(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	good := onbehalf.Sign("secret", now, "GET", "https", at("https"), "192.0.2.1")
	for _, test := range []struct {
		name, field, secret, client string
		now                         time.Time
		ok                          bool
		method                      string // if not GET
	}{
		{"good", good, "secret", "192.0.2.1", now, true, ""},
		{"a little late", good, "secret", "192.0.2.1", now.Add(time.Minute), true, ""},
		{"a clock behind", good, "secret", "192.0.2.1", now.Add(-time.Minute), true, ""},
		{"late", good, "secret", "192.0.2.1", now.Add(61 * time.Second), false, ""},
		{"another client", good, "secret", "192.0.2.2", now, false, ""},
		{"another method", good, "secret", "192.0.2.1", now, false, "POST"},
		{"another secret", good, "Secret", "192.0.2.1", now, false, ""},
		{"no secret", onbehalf.Sign("", now, "GET", "https", at("https"), "192.0.2.1"), "", "192.0.2.1", now, false, ""},
		{"another scheme", strings.Replace(good, "https", "http", 1), "secret", "192.0.2.1", now, false, ""},
		{"another time", strings.Replace(good, "1800000000", "1800000001", 1), "secret", "192.0.2.1", now, false, ""},
		{"a word more", good + " x", "secret", "192.0.2.1", now, false, ""},
		{"no code", strings.Join(strings.Split(good, " ")[:3], " "), "secret", "192.0.2.1", now, false, ""},
		{"none", "", "secret", "192.0.2.1", now, false, ""},
		{"huge time", "front 99999999999999999999 http x", "secret", "192.0.2.1", now, false, ""},
		{"a scheme that is none", onbehalf.Sign("secret", now, "GET", "ftp", at("ftp"), "192.0.2.1"), "secret", "192.0.2.1", now, false, ""},
	} {
		scheme, ok := onbehalf.Verify(test.now, test.secret, test.field, cmp.Or(test.method, "GET"), test.client, at)
		if ok != test.ok || ok && scheme != "https" {
			t.Errorf("%s: %q, %t", test.name, scheme, ok)
		}
	}
}

func FuzzVerify(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	f.Add(onbehalf.Sign("secret", now, "GET", "https", at("https"), "192.0.2.1"))
	f.Add("front 1 http x")
	f.Fuzz(func(t *testing.T, field string) {
		scheme, ok := onbehalf.Verify(now, "secret", field, "GET", "192.0.2.1", at)
		if ok && field != onbehalf.Sign("secret", now, "GET", scheme, at(scheme), "192.0.2.1") && !strings.HasPrefix(field, "front 1") {
			t.Fatalf("%q is genuine", field)
		}
	})
}
