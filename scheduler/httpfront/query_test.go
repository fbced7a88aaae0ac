package httpfront

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"net/url"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestFreshness(t *testing.T) {
	a := func(ttl uint32) dns.RR {
		return &dns.A{Hdr: dns.RR_Header{Name: "a.example.", Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: ttl}, A: []byte{192, 0, 2, 1}}
	}
	soa := func(ttl, minimum uint32) dns.RR {
		return &dns.SOA{Hdr: dns.RR_Header{Name: "example.", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: ttl}, Ns: "ns.example.", Mbox: "m.example.", Minttl: minimum}
	}
	ns := &dns.NS{Hdr: dns.RR_Header{Name: "sub.example.", Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: 300}, Ns: "ns.sub.example."}
	for name, test := range map[string]struct {
		rcode             int
		answer, authority []dns.RR
		want              int
	}{
		"one":             {0, []dns.RR{a(20)}, nil, 20},
		"least":           {0, []dns.RR{a(60), a(20), a(30)}, []dns.RR{soa(5, 5)}, 20},
		"zero":            {0, []dns.RR{a(0)}, nil, 0},
		"no such name":    {dns.RcodeNameError, nil, []dns.RR{soa(3600, 60)}, 60},
		"no such type":    {0, nil, []dns.RR{soa(30, 60)}, 30},
		"referral":        {0, nil, []dns.RR{ns}, 300},
		"nothing":         {0, nil, nil, -1},
		"server failure":  {dns.RcodeServerFailure, nil, []dns.RR{soa(30, 60)}, -1},
		"refused":         {dns.RcodeRefused, nil, nil, -1},
		"no time to live": {0, []dns.RR{a(1 << 31)}, nil, 0},
	} {
		m := new(dns.Msg).SetQuestion("a.example.", dns.TypeA)
		m.Response, m.Rcode, m.Answer, m.Ns = true, test.rcode, test.answer, test.authority
		m.SetEdns0(1232, true)
		m.Compress = true
		b, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		if got := freshness(b); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
		for n := range b { // whatever is missing
			if got := freshness(b[:n]); got > max(test.want, 300) {
				t.Errorf("%s, %d octets of it: %d", name, n, got)
			}
		}
	}
}

// FuzzParameter: what is decoded is what other people's decoders make of the parameter, and there is one text for each query.
func FuzzParameter(f *testing.F) {
	f.Add("dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB")
	f.Add("ct&dns=AA&x")
	f.Add("dns=AA&dns=AA")
	f.Add("dns=AB")
	f.Add("dns=%41A")
	f.Add("dns=A\nA")
	f.Fuzz(func(t *testing.T, query string) {
		got, p := appendQuery([]byte("before"), query)
		if p != nil {
			if p.status != 400 && p.status != 413 || p.text == "" {
				t.Fatalf("%q: %+v", query, p)
			}
			return
		}
		got = bytes.TrimPrefix(got, []byte("before"))
		values, err := url.ParseQuery(query)
		if strings.Contains(query, "%") { // a name that is escaped is none of ours
			return
		}
		if err == nil && len(values["dns"]) != 1 {
			t.Fatalf("%q: %q of %q", query, got, values["dns"])
		}
		if err == nil && values.Get("dns") != base64.RawURLEncoding.EncodeToString(got) || len(got) == 0 {
			t.Fatalf("%q: %q", query, got)
		}
	})
}

// FuzzFreshness: no message is too odd, and one that others can read is good for no longer than its first record says.
func FuzzFreshness(f *testing.F) {
	m := new(dns.Msg).SetQuestion("a.example.", dns.TypeA)
	m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: "a.example.", Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 9}, A: []byte{192, 0, 2, 1}}}
	b, _ := m.Pack()
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		got := freshness(b)
		if got < -1 || got > 1<<31-1 {
			t.Fatal(got)
		}
		var m dns.Msg
		if m.Unpack(b) != nil || len(b) < 12 || int(binary.BigEndian.Uint16(b[6:])) != len(m.Answer) {
			return
		}
		for _, rr := range m.Answer {
			if ttl := rr.Header().Ttl; ttl < 1<<31 && rr.Header().Rrtype != dns.TypeOPT && got > int(ttl) {
				t.Fatalf("%d, but %v", got, rr)
			}
		}
	})
}
