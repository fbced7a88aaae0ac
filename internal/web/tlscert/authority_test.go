package tlscert_test

import (
	"crypto/tls"
	"net"
	"testing"

	"nearcast/internal/web/tlscert"
)

// RFC 9113 section 9.1.1, RFC 9110 section 15.5.20.
func TestAuthority(t *testing.T) {
	ca := newAuthority(t)
	k := open(
		t, tlscert.Options{},
		ca.pair(t, leaf{names: []string{"a.test", "*.a.test", "shared.test"}, ips: []net.IP{net.ParseIP("192.0.2.1"), net.ParseIP("2001:db8::1")}}),
		ca.pair(t, leaf{names: []string{"b.test"}}),
		ca.pair(t, leaf{names: []string{"both.test", "shared.test"}}),
		ca.pair(t, leaf{names: []string{"both.test", "rsa-only.test"}, key: rsaKey()}),
	)
	for _, v := range []struct {
		name, host string
		want       bool
	}{
		{"a.test", "a.test", true},
		{"a.test", "A.tEsT", true},
		{"A.test", "a.test.", true},
		{"a.test", "www.a.test", true},
		{"www.a.test", "a.test", true},
		{"www.a.test", "WWW2.a.test.", true},
		{"a.test", "x.y.a.test", false},
		{"a.test", ".a.test", false},
		{"a.test", "192.0.2.1", true},
		{"a.test", "[2001:db8::1]", true},
		{"a.test", "192.0.2.2", false},
		{"a.test", "b.test", false},
		{"b.test", "a.test", false},
		{"b.test", "", false},
		{"k.test", "\u212a.test", false}, // the Kelvin sign
		{"nobody.test", "nobody.test", true},
		{"nobody.test", "a.test", true}, // it got the first certificate
		{"nobody.test", "b.test", false},
		{"shared.test", "shared.test", true},
		{"shared.test", "a.test", false}, // it may have got the other one
		{"both.test", "rsa-only.test", false},
		{"", "anything.test", true},
	} {
		if got := k.Authority(&tls.ConnectionState{ServerName: v.name}, v.host); got != v.want {
			t.Errorf("%q on a connection for %q: got %v", v.host, v.name, got)
		}
	}
	if !k.Authority(nil, "a.test") {
		t.Error("refused without TLS")
	}
	state := tls.ConnectionState{ServerName: "a.test"}
	for _, host := range []string{"a.test", "A.TEST.", "www.a.test", "b.test"} {
		if n := testing.AllocsPerRun(100, func() { k.Authority(&state, host) }); n > 0 {
			t.Errorf("%q: %v allocations", host, n)
		}
	}
}
