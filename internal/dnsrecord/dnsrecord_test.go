package dnsrecord_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"nearcast/internal/dnsrecord"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct{ name, typ, data, want string }{
		{"@", "A", "192.0.2.1", "c0000201"},
		{"www", "aaaa", "2001:db8::1", "20010db8000000000000000000000001"},
		{"*.dev", "CNAME", "WWW", "03777777016100"},
		{"x", "CNAME", "Other.Example.", "056f74686572076578616d706c6500"},
		{"x", "CNAME", "@", "016100"},
		{"x", "MX", "10 Mail", "000a046d61696c016100"},
		{"_acme-challenge.x", "TXT", "token", "05746f6b656e"},
		{"x", "TXT", `"a;b (c)" "d"`, "07613b62202863290164"},
		{"x", "TXT", `a\;b`, "03613b62"},
		{"x", "CAA", `0 issue "ca.example"`, "0005697373756563612e6578616d706c65"},
		{"x", "HTTPS", "1 . alpn=h2 port=8443", "00010000010003026832" + "0003000220fb"},
		{"_s._tcp", "SRV", "1 2 53 B", "00010002003501620161" + "00"},
		{"x", "TYPE65400", `\# 2 0102`, "0102"},
		{"x", "NS", "b", "0162016100"},
	} {
		r, err := dnsrecord.Parse("a", tt.name, tt.typ, tt.data)
		if err != nil || hex.EncodeToString(r.Data) != tt.want {
			t.Errorf("%s %s %s: %x, %v, want %s", tt.name, tt.typ, tt.data, r.Data, err, tt.want)
		}
	}
}

func TestMistakes(t *testing.T) {
	for _, tt := range []struct{ name, typ, data, want string }{
		{"x", "A", "x", "bad A"},
		{"x", "A", "0.0.0.0", "not the address of a machine"},
		{"x", "AAAA", "::ffff:192.0.2.1", "not the address"},
		{"x", "A", "192.0.2.1 x", "garbage"},
		{"x", "A", "192.0.2.1\ny IN A 192.0.2.2", "control character"},
		{"x", "A", "192.0.2.1 ; no", "comment"},
		{"x", "TXT", `"a`, "not closed"},
		{"x", "TXT", " ", "empty"},
		{"x", "TXT", strings.Repeat("a", 20000), "20000 octets"},
		{"x", "MX", "mail", "MX"},
		{"x", "SOA", "a b 1 2 3 4 5", "made by the servers"},
		{"x", "DNAME", "b", "not supported"},
		{"x", "AXFR", "b", "for messages"},
		{"x", "TYPE6", "b", "made by the servers"},
		{"x", "TYPE0", "b", "not known"},
		{"x", "$INCLUDE", "/etc/passwd", "not known"},
		{"", "A", "192.0.2.1", "empty"},
		{"x.", "A", "192.0.2.1", "relative"},
		{"x y", "A", "192.0.2.1", "' '"},
		{"a.*.b", "A", "192.0.2.1", "asterisk"},
		{"*a", "A", "192.0.2.1", "asterisk"},
		{"a..b", "A", "192.0.2.1", "0 octets"},
		{strings.Repeat("a", 64), "A", "192.0.2.1", "64 octets"},
		{strings.Repeat("abc.", 62) + "abcd", "A", "192.0.2.1", "too long"},
	} {
		r, err := dnsrecord.Parse("ab.example", tt.name, tt.typ, tt.data)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q %s %q: %x, %v, want %q", tt.name, tt.typ, tt.data, r.Data, err, tt.want)
		}
	}
}

// FuzzParse: what is taken is a record that can be read from a message, and is read the same from its own text.
func FuzzParse(f *testing.F) {
	f.Add("www", "TXT", `"a b" c`)
	f.Add("@", "MX", "10 mail")
	f.Add("*.x", "HTTPS", "1 . alpn=h2,h3 ipv4hint=192.0.2.1")
	f.Add("x", "TYPE65400", `\# 1 00`)
	f.Add("x", "CAA", `0 issue "ca.example"`)
	f.Add("x", "NAPTR", `1 2 "u" "E2U+sip" "!^.*$!sip:a@b!" .`)
	f.Add("x", "LOC", "52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m")
	f.Fuzz(func(t *testing.T, name, typ, data string) {
		r, err := dnsrecord.Parse("zone.example", name, typ, data)
		if err != nil {
			return
		}
		packet := append(bytes.Clone(r.Owner), byte(r.Type>>8), byte(r.Type), 0, 1, 0, 0, 0, 0, byte(len(r.Data)>>8), byte(len(r.Data)))
		packet = append(packet, r.Data...)
		rr, end, err := dns.UnpackRR(packet, 0)
		if err != nil || end != len(packet) {
			t.Fatalf("%q %s %q: %x cannot be read: %v", name, typ, data, r.Data, err)
		}
		if !strings.HasSuffix(strings.ToLower(rr.Header().Name), "zone.example.") {
			t.Errorf("%s is not in the zone", rr.Header().Name)
		}
	})
}
