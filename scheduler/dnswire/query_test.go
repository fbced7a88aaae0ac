package dnswire_test

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"nearcast/scheduler/dnswire"
)

// octets reads hexadecimal digits with spaces, and "text" between quotes.
func octets(t testing.TB, text string) []byte {
	t.Helper()
	var out []byte
	for i, part := range strings.Split(text, `"`) {
		if i%2 == 1 {
			out = append(out, part...)
			continue
		}
		b, err := hex.DecodeString(strings.Join(strings.Fields(part), ""))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b...)
	}
	return out
}

const (
	header   = `1234 0100 0001 0000 0000 0000 ` // a query with RD
	header1  = `1234 0100 0001 0000 0000 0001 ` // with one additional record
	question = `03 "www" 04 "test" 00 0001 0001 `
	opt0     = `00 0029 04d0 00 00 0000 0000 `
)

// withOptions is a query with an OPT record that has the options.
func withOptions(t testing.TB, options string) []byte {
	t.Helper()
	data := octets(t, options)
	packet := octets(t, header1+question+`00 0029 04d0 00 00 8000`)
	return append(append(packet, byte(len(data)>>8), byte(len(data))), data...)
}

// What makes a packet a query, section by section of RFC 1035, 6891, 8945, 1995 and 9619.
func TestParse(t *testing.T) {
	soa := ` c00c 0006 0001 00000000 0018 c00c c00c 00000007 00000001 00000001 00000001 00000001`
	for _, test := range []struct {
		name, packet string
		want         dnswire.Status
	}{
		{"plain", header + question, dnswire.OK},
		{"root", header + `00 0002 0001`, dnswire.OK},
		{"short", `1234 0100 0001 0000 0000 00`, dnswire.Silent},
		{"empty", ``, dnswire.Silent},
		{"answer", `1234 8100 0001 0000 0000 0000` + question, dnswire.Silent},
		{"notify", `1234 2000 0001 0000 0000 0000` + question, dnswire.OtherOpcode},
		{"opcode15", `1234 7800 0000 0000 0000 0000`, dnswire.OtherOpcode},
		{"answernotify", `1234 a000 0001 0000 0000 0000` + question, dnswire.Silent},
		{"flags", `1234 07ff 0001 0000 0000 0000` + question, dnswire.OK}, // AA, TC, RA, Z, RCODE mean nothing in a query
		{"noquestion", `1234 0100 0000 0000 0000 0000`, dnswire.Malformed},
		{"twoquestions", `1234 0100 0002 0000 0000 0000` + question + question, dnswire.Malformed},
		{"noquestionopt", `1234 0100 0000 0000 0000 0001` + opt0, dnswire.Malformed},
		{"cookie", `1234 0100 0000 0000 0000 0001 00 0029 04d0 00 00 0000 000c 000a 0008 0011223344556677`, dnswire.OnlyCookie},
		{"cookiebad", `1234 0100 0000 0000 0000 0001 00 0029 04d0 00 00 0000 0008 000a 0004 00112233`, dnswire.Malformed},
		{"cookietail", `1234 0100 0000 0000 0000 0001 00 0029 04d0 00 00 0000 000c 000a 0008 0011223344556677 00`, dnswire.Malformed},
		{"cookietsig", `1234 0100 0000 0000 0000 0002 00 0029 04d0 00 00 0000 000c 000a 0008 0011223344556677 01 "k" 00 00fa 00ff 00000000 0000`, dnswire.Malformed},
		{"missing", header, dnswire.Malformed},
		{"cutname", header + `03 "ww"`, dnswire.Malformed},
		{"cuttype", header + `03 "www" 00 0001 00`, dnswire.Malformed},
		{"pointer", header + `c00c 0001 0001`, dnswire.Malformed},
		{"label64", header + `40 "` + strings.Repeat("a", 64) + `" 00 0001 0001`, dnswire.Malformed},
		{"label63", header + `3f "` + strings.Repeat("a", 63) + `" 00 0001 0001`, dnswire.OK},
		{"name255", header + strings.Repeat(`3f "`+strings.Repeat("a", 63)+`" `, 3) + `3d "` + strings.Repeat("a", 61) + `" 00 0001 0001`, dnswire.OK},
		{"name256", header + strings.Repeat(`3f "`+strings.Repeat("a", 63)+`" `, 3) + `3e "` + strings.Repeat("a", 62) + `" 00 0001 0001`, dnswire.Malformed},
		{"trailing", header + question + `00`, dnswire.Malformed},
		{"answers", `1234 0100 0001 0001 0000 0000` + question + `c00c 0001 0001 00000000 0004 00000000`, dnswire.Malformed},
		{"authority", `1234 0100 0001 0000 0001 0000` + question + soa, dnswire.Malformed},
		{"ixfr", `1234 0000 0001 0000 0001 0000 04 "test" 00 00fb 0001` + soa, dnswire.OK},
		{"ixfrtwo", `1234 0000 0001 0000 0002 0000 04 "test" 00 00fb 0001` + soa + soa, dnswire.Malformed},
		{"ixfrother", `1234 0000 0001 0000 0001 0000 04 "test" 00 00fb 0001 c00c 0001 0001 00000000 0004 00000000`, dnswire.Malformed},
		{"ixfrscrap", `1234 0000 0001 0000 0001 0000 04 "test" 00 00fb 0001 c00c 0006 0001 00000000 0004 c00c c00c`, dnswire.Malformed},
		{"additional", header1 + question + `c00c 0001 0001 00000000 0004 00000000`, dnswire.OK},
		{"forward", header1 + question + `c01a 0001 0001 00000000 0004 00000000`, dnswire.Malformed},
		{"cutrecord", header1 + question + `c00c 0001 0001 00000000 0004 000000`, dnswire.Malformed},
		{"opt", header1 + question + opt0, dnswire.OK},
		{"cutopt", header1 + question + `00 0029 04d0 00 00 0000`, dnswire.Malformed},
		{"noopt", header1 + question, dnswire.Malformed},
		{"twoopts", `1234 0100 0001 0000 0000 0002` + question + opt0 + opt0, dnswire.Malformed},
		{"optowner", header1 + question + `c00c 0029 04d0 00 00 0000 0000`, dnswire.Malformed},
		{"version1", header1 + question + `00 0029 04d0 00 01 0000 0003 ffffff`, dnswire.OK}, // whatever version 1 may mean
		{"tsig", header1 + question + `01 "k" 00 00fa 00ff 00000000 0000`, dnswire.OK},
		{"tsigfirst", `1234 0100 0001 0000 0000 0002` + question + `01 "k" 00 00fa 00ff 00000000 0000` + opt0, dnswire.Malformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			var q dnswire.Query
			if got := q.Parse(octets(t, test.packet)); got != test.want {
				t.Errorf("status %d, want %d", got, test.want)
			}
		})
	}
}

// pointersTo is a query with a record whose owner is a chain of so many pointers.
func pointersTo(t testing.TB, chain int) []byte {
	t.Helper()
	packet := octets(t, `1234 0100 0001 0000 0000 0002`+question+`00 000a 0001 00000000`)
	packet = append(packet, byte((chain-1)*2>>8), byte((chain-1)*2))
	to := 12
	for range chain {
		packet = append(packet, 0xC0|byte(to>>8), byte(to))
		to = len(packet) - 2
	}
	return append(packet, octets(t, `0001 0001 00000000 0000`)...)
}

// A name with many pointers is refused, as the oracle refuses it: each record of a long query could have the same ones.
func TestPointers(t *testing.T) {
	for _, test := range []struct {
		chain int
		want  dnswire.Status
	}{{1, dnswire.OK}, {126, dnswire.OK}, {127, dnswire.Malformed}, {5000, dnswire.Malformed}} {
		packet := pointersTo(t, test.chain)
		if got := new(dnswire.Query).Parse(packet); got != test.want {
			t.Errorf("%d pointers: status %d, want %d", test.chain, got, test.want)
		}
		if err := new(dns.Msg).Unpack(packet); (err == nil) != (test.want == dnswire.OK) {
			t.Errorf("%d pointers: the oracle says %v", test.chain, err)
		}
	}
}

// What is no query of ours has its OPT read all the same, if the message can be read: the answer must have one, too (RFC 6891 section 6.1.1).
func TestFindOPT(t *testing.T) {
	const opt, cookie = `00 0029 04d0 00 00 8000 0000`, `00 0029 04d0 00 00 8000 000c 000a 0008 0011223344556677`
	for _, test := range []struct {
		name, packet string
		edns         bool
		cookie       int
	}{
		{"notify", `1234 2000 0001 0000 0000 0001` + question + opt, true, 0},
		{"notifysoa", `1234 2000 0001 0001 0000 0001` + question + `c00c 0006 0001 00000000 0002 c00c ` + opt, true, 0},
		{"update", `1234 2800 0001 0001 0001 0002` + question + `c00c 0001 00fe 00000000 0000 c00c 0001 00ff 00000000 0000 ` + cookie + `01 "k" 00 00fa 00ff 00000000 0000`, true, 8},
		{"opcode15", `1234 7800 0000 0000 0000 0001` + cookie, true, 8},
		{"twoquestions", `1234 0000 0002 0000 0000 0001` + question + question + opt, true, 0},
		{"plain", `1234 2000 0001 0000 0000 0000` + question, false, 0},
		{"twoopts", `1234 2000 0001 0000 0000 0002` + question + opt + cookie, false, 0},
		{"optowner", `1234 2000 0001 0000 0000 0001` + question + `c00c 0029 04d0 00 00 0000 0000`, false, 0},
		{"optanswer", `1234 2000 0001 0001 0000 0000` + question + opt, false, 0},
		{"cutopt", `1234 2000 0001 0000 0000 0001` + question + `00 0029 04d0 00 00 8000`, false, 0},
		{"cutquestion", `1234 2000 0002 0000 0000 0001` + question, false, 0},
		{"badcookie", `1234 2000 0001 0000 0000 0001` + question + `00 0029 04d0 00 00 8000 0008 000a 0004 00112233`, false, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			var q dnswire.Query
			if s := q.Parse(octets(t, test.packet)); s == dnswire.OK || s == dnswire.Silent || q.EDNS != test.edns || q.DO != test.edns || len(q.Cookie) != test.cookie {
				t.Errorf("status %d, EDNS %t, DO %t, cookie %x", s, q.EDNS, q.DO, q.Cookie)
			}
		})
	}
}

// Options: RFC 7871 section 6, 7873 section 5.2, 5001, 7828, 7830, 6891 section 6.1.2.
func TestParseOptions(t *testing.T) {
	const c8, c16 = `0011223344556677 `, `0011223344556677 8899aabbccddeeff `
	for _, test := range []struct {
		name, options string
		ok            bool
		want          string // what is told of them
	}{
		{"none", ``, true, ``},
		{"subnet", `0008 0007 0001 18 00 0a0b0c`, true, `10.11.12.0/24`},
		{"host", `0008 0008 0001 20 00 0a0b0c0d`, true, `10.11.12.13/32`},
		{"odd", `0008 0006 0001 0c 00 0ab0`, true, `10.176.0.0/12`},
		{"six", `0008 000b 0002 38 00 20010db8000900`, true, `2001:db8:9::/56`},
		{"mapped", `0008 0014 0002 80 00 00000000000000000000ffff0a000001`, true, `::ffff:10.0.0.1/128`},
		{"anybody", `0008 0004 0001 00 00`, true, `family 1`},
		{"anybody6", `0008 0004 0002 00 00`, true, `family 2`},
		{"nofamily", `0008 0004 0000 00 00`, true, `family 0`},
		{"bits", `0008 0007 0001 14 00 0a0bff`, false, ``},
		{"bit", `0008 0007 0001 17 00 0a0b01`, false, ``},
		{"morebits", `0008 0006 0001 08 00 0a0b`, false, ``},
		{"fewer", `0008 0006 0001 18 00 0a0b`, false, ``},
		{"scope", `0008 0007 0001 18 18 0a0b0c`, false, ``},
		{"long", `0008 0009 0001 21 00 0a0b0c0d00`, false, ``},
		{"long6", `0008 0015 0002 81 00 0000000000000000000000000000000000`, false, ``},
		{"family3", `0008 0005 0003 08 00 0a`, false, ``},
		{"family3empty", `0008 0004 0003 00 00`, false, ``},
		{"family0", `0008 0005 0000 08 00 0a`, false, ``},
		{"scrap", `0008 0003 0001 18`, false, ``},
		{"subnettwice", `0008 0007 0001 18 00 0a0b0c 0008 0007 0001 18 00 0a0b0c`, false, ``},
		{"cookie", `000a 0008` + c8, true, `cookie 8`},
		{"cookie16", `000a 0010` + c16, true, `cookie 16`},
		{"cookie40", `000a 0028` + c16 + c16 + c8, true, `cookie 40`},
		{"cookie41", `000a 0029` + c16 + c16 + c8 + `00`, false, ``},
		{"cookie15", `000a 000f` + c8 + `00000000000000`, false, ``},
		{"cookie9", `000a 0009` + c8 + `00`, false, ``},
		{"cookie7", `000a 0007 00000000000000`, false, ``},
		{"cookie0", `000a 0000`, false, ``},
		{"cookietwice", `000a 0008` + c8 + `000a 0001 00`, true, `cookie 8`},
		{"nsid", `0003 0000`, true, `nsid`},
		{"keepalive", `000b 0000`, true, `keepalive`},
		{"keepalive2", `000b 0002 0064`, true, `keepalive`},
		{"keepalive1", `000b 0001 64`, false, ``},
		{"padding", `000c 0005 0000000000`, true, `padding`},
		{"unknown", `fde9 0003 010203 0003 0000`, true, `nsid`},
		{"cutoption", `fde9 0003 0102`, false, ``},
		{"cuthead", `fde9 00`, false, ``},
		{"many", `0003 0000 0008 0007 0001 18 00 0a0b0c 000a 0008` + c8 + `000c 0000`, true, `10.11.12.0/24 cookie 8 nsid padding`},
	} {
		t.Run(test.name, func(t *testing.T) {
			var q dnswire.Query
			status := q.Parse(withOptions(t, test.options))
			if (status == dnswire.OK) != test.ok || !q.EDNS || !q.DO || q.Size != 1232 {
				t.Fatalf("status %d, %+v", status, q)
			}
			if got := told(&q); test.ok && got != test.want {
				t.Errorf("it says %q, want %q", got, test.want)
			}
		})
	}
}

// told is what the options say, as text.
func told(q *dnswire.Query) string {
	var out []string
	if s := q.Subnet; s.Present {
		if s.Source > 0 {
			out = append(out, netip.PrefixFrom(s.Addr, int(s.Source)).String())
			if s.Addr.Is4In6() { // which no Prefix may be
				out[0] = s.Addr.String() + "/128"
			}
		} else {
			out = append(out, fmt.Sprintf("family %d", s.Family))
		}
	}
	if q.Cookie != nil {
		out = append(out, fmt.Sprintf("cookie %d", len(q.Cookie)))
	}
	if q.NSID {
		out = append(out, "nsid")
	}
	if q.Keepalive {
		out = append(out, "keepalive")
	}
	if q.Padding {
		out = append(out, "padding")
	}
	return strings.Join(out, " ")
}

// What a query says, and that a second one says nothing of the first.
func TestQuery(t *testing.T) {
	var q dnswire.Query
	if s := q.Parse(octets(t, `beef 0130 0001 0000 0000 0002 03 "wWw" 04 "test" 00 00fc 0003 00 0029 0100 00 00 8000 0000 01 "k" 00 00fa 00ff 00000000 0000`)); s != dnswire.OK {
		t.Fatal(s)
	}
	if q.ID != 0xbeef || !q.RD || !q.CD || !q.AD || q.Type != 252 || q.Class != 3 || q.Labels != 2 || !q.Transfer || !q.TSIG || !q.DO || q.Size != 512 {
		t.Errorf("%+v", q)
	}
	if got := dnswire.FormatName(q.Name); got != "wWw.test." || len(q.Question) != len(q.Name)+4 {
		t.Errorf("name %s, question %q", got, q.Question)
	}
	if s := q.Parse(octets(t, header+question)); s != dnswire.OK || q.ID != 0x1234 || q.CD || q.AD || q.TSIG || q.EDNS || q.DO || q.Transfer {
		t.Errorf("%d, %+v", s, q)
	}
	if s := q.Parse(octets(t, `1234 0000 0001 0000 0001 0000 04 "test" 00 00fb 0001 c00c 0006 0001 00000000 0018 c00c c00c 00000007 00000001 00000001 00000001 00000001`)); s != dnswire.OK || q.Serial != 7 {
		t.Errorf("%d, serial %d, want 7", s, q.Serial)
	}
}

func TestNames(t *testing.T) {
	for _, test := range []struct{ text, wire, back string }{
		{".", `00`, "."},
		{"a.b", `01 "a" 01 "b" 00`, "a.b."},
		{"A.b.", `01 "A" 01 "b" 00`, "A.b."},
		{`a\.b.c.`, `03 "a.b" 01 "c" 00`, `a\.b.c.`},
		{`a\.`, `02 "a." 00`, `a\..`},
		{`\000\255\97.`, ``, ``},
		{`\000\255\097.`, `03 00 ff "a" 00`, `\000\255a.`},
		{`\\.`, `01 "\" 00`, `\\.`},
		{"", ``, ``},
		{"..", ``, ``},
		{"a..b", ``, ``},
		{`a\`, ``, ``},
		{`\256`, ``, ``},
		{strings.Repeat("a", 64), ``, ``},
		{strings.Repeat("a.", 127), strings.Repeat(`01 "a" `, 127) + `00`, strings.Repeat("a.", 127)},
		{strings.Repeat("a.", 128), ``, ``},
	} {
		got, err := dnswire.ParseName([]byte("x"), test.text)
		if want := append([]byte("x"), octets(t, test.wire)...); string(got) != string(want) || (err != nil) != (test.wire == "") {
			t.Errorf("%q is %x (%v), want %x", test.text, got, err, want)
		}
		if err == nil && dnswire.FormatName(got[1:]) != test.back {
			t.Errorf("%q comes back as %q, want %q", test.text, dnswire.FormatName(got[1:]), test.back)
		}
	}
	if got := dnswire.Lower(nil, octets(t, `03 "AzZ" 02 "[@" 00`)); string(got) != string(octets(t, `03 "azz" 02 "[@" 00`)) {
		t.Errorf("in lower case: %q", got)
	}
}
