package dnswire_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"nearcast/scheduler/dnswire"
	"nearcast/scheduler/rr"
)

func parse(t testing.TB, packet []byte) *dnswire.Query {
	t.Helper()
	q := new(dnswire.Query)
	if s := q.Parse(packet); s != dnswire.OK {
		t.Fatalf("%x: status %d", packet, s)
	}
	return q
}

// ask is a query for www.CDN.test with letters in both cases.
func ask(t testing.TB) *dnswire.Query {
	return parse(t, octets(t, header+`03 "www" 03 "CDN" 04 "test" 00 0001 0001`))
}

func name(t testing.TB, text string) []byte {
	t.Helper()
	out, err := dnswire.ParseName(nil, text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// unpack has the oracle read an answer.
func unpack(t testing.TB, packet []byte) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	if err := m.Unpack(packet); err != nil {
		t.Fatalf("%x: %v", packet, err)
	}
	return m
}

// An answer, octet by octet: RFC 1035 section 4.
func TestWrite(t *testing.T) {
	var w dnswire.Writer
	w.Begin([]byte("before"), ask(t))
	w.Record(dnswire.Answer, dnswire.AtQuestion, rr.TypeA, 20, []byte{192, 0, 2, 1})
	w.Record(dnswire.Authority, name(t, "cdn.test"), rr.TypeNS, 3600, name(t, "ns1.cdn.test"))
	w.Record(dnswire.Additional, name(t, "ns1.cdn.test"), rr.TypeA, 0x01020304, []byte{192, 0, 2, 53})
	w.Record(dnswire.Additional, name(t, "NS1.cdn.test"), rr.TypeAAAA, 1, make([]byte, 16))
	got := w.End(dnswire.Ending{AA: true})
	want := octets(t, `"before" 1234 8500 0001 0001 0001 0002 03 "www" 03 "CDN" 04 "test" 00 0001 0001
		c00c 0001 0001 00000014 0004 c0000201
		c010 0002 0001 00000e10 000e 03 "ns1" 03 "cdn" 04 "test" 00
		03 "ns1" c010 0001 0001 01020304 0004 c0000235
		c048 001c 0001 00000001 0010 00000000000000000000000000000000`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("octets (-want +got):\n%s", diff)
	}
}

// Headers: which bits come from the query and which from the answer.
func TestHeader(t *testing.T) {
	opt := &dnswire.OPT{Keepalive: dnswire.NoKeepalive}
	for _, test := range []struct {
		name, query string
		ending      dnswire.Ending
		want        string // the answer's header
		rcode       int    // with the bits of OPT
	}{
		{"rd", `1234 0100 0001 0000 0000 0000` + question, dnswire.Ending{}, `1234 8100 0001 0000 0000 0000`, 0},
		{"cd", `1234 0010 0001 0000 0000 0000` + question, dnswire.Ending{AA: true}, `1234 8410 0001 0000 0000 0000`, 0},
		{"ad", `1234 0020 0001 0000 0000 0000` + question, dnswire.Ending{}, `1234 8000 0001 0000 0000 0000`, 0}, // asks, does not say
		{"bits", `1234 0000 0001 0000 0000 0000` + question, dnswire.Ending{AA: true, TC: true, AD: true, Rcode: dnswire.Refused}, `1234 8625 0001 0000 0000 0000`, 5},
		{"notimp", `1234 2900 0001 0000 0000 0000` + question, dnswire.Ending{Rcode: dnswire.NotImpl}, `1234 a904 0000 0000 0000 0000`, 4},
		{"noquestion", `1234 0000 0000 0000 0000 0000`, dnswire.Ending{Rcode: dnswire.FormError}, `1234 8001 0000 0000 0000 0000`, 1},
		{"badvers", header + question, dnswire.Ending{Rcode: dnswire.BadVersion, OPT: opt}, `1234 8100 0001 0000 0000 0001`, 16},
		{"badcookie", header + question, dnswire.Ending{Rcode: dnswire.BadCookie, OPT: opt}, `1234 8107 0001 0000 0000 0001`, 23},
		{"inexpressible", header + question, dnswire.Ending{Rcode: dnswire.BadCookie}, `1234 8102 0001 0000 0000 0000`, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			var q dnswire.Query
			q.Parse(octets(t, test.query))
			var w dnswire.Writer
			w.Begin(nil, &q)
			got := w.End(test.ending)
			if want := octets(t, test.want); !slices.Equal(want, got[:12]) {
				t.Errorf("header %x, want %x", got[:12], want)
			}
			if m := unpack(t, got); m.Rcode != test.rcode {
				t.Errorf("rcode %d, want %d", m.Rcode, test.rcode)
			}
		})
	}
}

// OPT records of answers: RFC 6891, 7871, 7873, 5001, 7828, 7830 and 8914.
func TestOPT(t *testing.T) {
	none := dnswire.NoKeepalive
	subnet := &dnswire.Subnet{Present: true, Family: 1, Source: 20, Addr: netip.MustParseAddr("10.11.176.0")}
	for _, test := range []struct {
		name string
		opt  dnswire.OPT
		want string
	}{
		{"bare", dnswire.OPT{Size: 1232, Keepalive: none}, `00 0029 04d0 00 00 0000 0000`},
		{"do", dnswire.OPT{Size: 1232, DO: true, Keepalive: none}, `00 0029 04d0 00 00 8000 0000`},
		{"co", dnswire.OPT{Size: 1232, DO: true, CO: true, Keepalive: none}, `00 0029 04d0 00 00 c000 0000`},
		{"subnet", dnswire.OPT{Subnet: subnet, Scope: 16, Keepalive: none}, `00 0029 0000 00 00 0000 000b 0008 0007 0001 14 10 0a0bb0`},
		{"subnet6", dnswire.OPT{Subnet: &dnswire.Subnet{Present: true, Family: 2, Source: 24, Addr: netip.MustParseAddr("2001:d00::")}, Scope: 48, Keepalive: none}, `00 0029 0000 00 00 0000 000b 0008 0007 0002 18 30 20010d`},
		{"anybody", dnswire.OPT{Subnet: &dnswire.Subnet{Present: true, Family: 1}, Keepalive: none}, `00 0029 0000 00 00 0000 0008 0008 0004 0001 00 00`},
		{"absent", dnswire.OPT{Subnet: &dnswire.Subnet{}, Keepalive: none}, `00 0029 0000 00 00 0000 0000`},
		{"cookie", dnswire.OPT{Cookie: []byte("0123456789abcdef"), Keepalive: none}, `00 0029 0000 00 00 0000 0014 000a 0010 "0123456789abcdef"`},
		{"nsid", dnswire.OPT{NSID: "ns1", Keepalive: none}, `00 0029 0000 00 00 0000 0007 0003 0003 "ns1"`},
		{"keepalive", dnswire.OPT{Keepalive: 100}, `00 0029 0000 00 00 0000 0006 000b 0002 0064`},
		{"close", dnswire.OPT{}, `00 0029 0000 00 00 0000 0006 000b 0002 0000`},
		{"error", dnswire.OPT{Error: &dnswire.ExtendedError{Code: 20, Text: "no"}, Keepalive: none}, `00 0029 0000 00 00 0000 0008 000f 0004 0014 "no"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			var w dnswire.Writer
			w.Begin(nil, ask(t))
			start := w.Len()
			got := w.End(dnswire.Ending{OPT: &test.opt})[start:]
			if diff := cmp.Diff(octets(t, test.want), got); diff != "" {
				t.Errorf("octets (-want +got):\n%s", diff)
			}
			if test.opt.Len() != len(got) {
				t.Errorf("length %d foretold, is %d", test.opt.Len(), len(got))
			}
		})
	}
}

// Padding makes the whole message a multiple, also where exactly the option's head fits (RFC 8467 section 4.1).
func TestPadding(t *testing.T) {
	for records := range 60 {
		var w dnswire.Writer
		w.Begin(make([]byte, 2), ask(t))
		for range records {
			w.Record(dnswire.Answer, dnswire.AtQuestion, rr.TypeTXT, 1, []byte("\x03abc"))
		}
		got := w.End(dnswire.Ending{OPT: &dnswire.OPT{Keepalive: dnswire.NoKeepalive, PadTo: 468}})[2:]
		if len(got)%468 != 0 || len(unpack(t, got).Answer) != records {
			t.Errorf("%d octets with %d records", len(got), records)
		}
	}
	var w dnswire.Writer
	w.Begin(nil, ask(t))
	w.Record(dnswire.Answer, dnswire.AtQuestion, rr.TypeTXT, 1, []byte(strings.Repeat("\xff"+strings.Repeat("x", 255), 255)))
	if got := w.End(dnswire.Ending{OPT: &dnswire.OPT{Keepalive: dnswire.NoKeepalive, PadTo: 468}}); len(got) > 65535 {
		t.Errorf("%d octets", len(got))
	}
}

// What was written since a mark can be taken back, and owners that went with it are not pointed to.
func TestReset(t *testing.T) {
	var w dnswire.Writer
	w.Begin(nil, ask(t))
	w.Record(dnswire.Answer, dnswire.AtQuestion, rr.TypeA, 20, []byte{192, 0, 2, 1})
	m := w.Mark()
	w.Record(dnswire.Additional, name(t, "elsewhere.example"), rr.TypeA, 1, []byte{192, 0, 2, 2})
	w.Reset(m)
	w.Record(dnswire.Authority, name(t, "elsewhere.example"), rr.TypeNS, 1, name(t, "ns.example"))
	r := unpack(t, w.End(dnswire.Ending{}))
	if len(r.Answer) != 1 || len(r.Ns) != 1 || len(r.Extra) != 0 || r.Ns[0].Header().Name != "elsewhere.example." {
		t.Errorf("%v", r)
	}
	defer func() {
		if recover() == nil {
			t.Error("a record for a section that is over does not panic")
		}
	}()
	w.Record(dnswire.Answer, dnswire.AtQuestion, rr.TypeA, 20, []byte{192, 0, 2, 1})
}

// Owners are compressed by the question, and read back as they were.
func TestOwner(t *testing.T) {
	for _, test := range []struct {
		owner string
		len   int // octets that it takes
	}{
		{"www.cdn.test.", 2},
		{"cdn.test.", 2},
		{"TEST.", 2},
		{".", 1},
		{"x.www.cdn.test.", 4},
		{`\000.www.cdn.test.`, 4},
		{"wwx.cdn.test.", 6},
		{"a.b.test.", 6},
		{"ww.cdn.test.", 5},
		{"w.cdn.test.", 4},
		{"www.cdn.tesu.", 14},
		{"xtest.", 7},
		{`x\.cdn.test.`, 8},
		{"a.very.much.longer.name.than.the.question.is.test.", 47},
	} {
		var w dnswire.Writer
		w.Begin(nil, ask(t))
		before := w.Len()
		w.Record(dnswire.Answer, name(t, test.owner), rr.TypeA, 20, []byte{192, 0, 2, 1})
		if got := w.Len() - before - 14; got != test.len {
			t.Errorf("%s takes %d octets, want %d", test.owner, got, test.len)
		}
		if got := unpack(t, w.End(dnswire.Ending{})).Answer[0].Header().Name; !strings.EqualFold(got, test.owner) {
			t.Errorf("%s comes back as %s", test.owner, got)
		}
	}
}
