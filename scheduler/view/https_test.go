package view_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"nearcast/cdn"
)

// What HTTPS records say of a POP is what miekg/dns reads from their text, but for hints of addresses.
func TestService(t *testing.T) {
	for _, test := range []struct {
		name  string
		fleet *cdn.HTTPS
		pop   []string // ALPN
		want  string   // empty: no record
		alpn  []string
	}{
		{"none", nil, []string{"h2"}, "", nil},
		{"defaults", &cdn.HTTPS{}, nil, `1 . alpn="h2,http/1.1"`, []string{"h2", "http/1.1"}},
		{"443", &cdn.HTTPS{Port: 443}, nil, `1 . alpn="h2,http/1.1"`, []string{"h2", "http/1.1"}},
		{"port", &cdn.HTTPS{Port: 8443}, nil, `1 . alpn="h2,http/1.1" port="8443"`, []string{"h2", "http/1.1"}},
		{"fleet", &cdn.HTTPS{ALPN: []string{"http/1.1"}}, nil, `1 . alpn="http/1.1"`, []string{"http/1.1"}},
		{"pop", &cdn.HTTPS{ALPN: []string{"http/1.1"}}, []string{"h3", "h2"}, `1 . alpn="h3,h2"`, []string{"h3", "h2"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := snapshot()
			s.Fleet.HTTPS, s.Fleet.POPs[0].ALPN = test.fleet, test.pop
			p := compile(t, s)
			if diff := cmp.Diff(test.alpn, p.ALPN("p1")); diff != "" || p.Secure() != (test.fleet != nil) {
				t.Errorf("secure %t, ALPN (-want +got):\n%s", p.Secure(), diff)
			}
			got := ""
			if data := p.Service("p1"); data != nil {
				head := []byte{0, 0, byte(dns.TypeHTTPS), 0, 1, 0, 0, 0, 0, 0, byte(len(data))}
				record, end, err := dns.UnpackRR(append(head, data...), 0)
				if err != nil || end != len(head)+len(data) {
					t.Fatalf("%x: %v", data, err)
				}
				got = record.String()
			}
			want := test.want
			if want != "" {
				record, err := dns.NewRR(fmt.Sprintf(". 0 IN HTTPS %s", want))
				if err != nil {
					t.Fatal(err)
				}
				want = record.String()
			}
			if got != want {
				t.Errorf("%q, want %q", got, want)
			}
			for _, other := range []cdn.POPName{"hub", "vacant", "none"} {
				if p.Service(other) != nil || p.ALPN(other) != nil {
					t.Errorf("there is a service of %s, which no visitor is sent to", other)
				}
			}
		})
	}
}
