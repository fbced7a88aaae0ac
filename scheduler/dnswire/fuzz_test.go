package dnswire_test

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"nearcast/scheduler/dnswire"
	"nearcast/scheduler/rr"
)

// FuzzParse has the oracle read whatever we take for a query: it must take it too, and find the same in it. Not compared are, because we do
// not read them and the oracle does: other records than OPT in the additional section, and other options than those we know; and the
// options of another version than 0.
func FuzzParse(f *testing.F) {
	f.Add(steered(f))
	for _, options := range []string{
		`0008 000b 0002 38 00 20010db8000900`, `000a 0010 0011223344556677 8899aabbccddeeff`, `0003 0000 000b 0002 0064 000c 0005 0000000000`,
		`0008 0004 0000 00 00`, `fde9 0003 010203`,
	} {
		f.Add(withOptions(f, options))
	}
	for _, packet := range []string{
		header + question, header + `00 0002 0001`, header + `c00c 0001 0001`, `1234 2000 0001 0000 0000 0000` + question,
		`1234 0000 0001 0000 0001 0000 04 "test" 00 00fb 0001 c00c 0006 0001 00000000 0018 c00c c00c 00000007 00000001 00000001 00000001 00000001`,
		header1 + question + `c00c 0001 0001 00000000 0004 00000000`, header1 + question + `01 "k" 00 00fa 00ff 00000000 0000`,
		`1234 2000 0001 0001 0000 0001` + question + `c00c 0006 0001 00000000 0002 c00c 00 0029 04d0 00 00 8000 0000`,
		`1234 0100 0000 0000 0000 0001 00 0029 04d0 00 00 0000 000c 000a 0008 0011223344556677`,
		header1 + `3f "` + strings.Repeat("a", 63) + `" 02 "\." 00 0001 0001` + opt0,
	} {
		f.Add(octets(f, packet))
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		var q dnswire.Query
		status := q.Parse(packet)
		checkAnswer(t, &q)
		if status == dnswire.OK && onlyKnown(packet) {
			compare(t, packet, &q)
		}
	})
}

// onlyKnown reports whether the oracle reads nothing in a well-formed query that we do not.
func onlyKnown(packet []byte) bool {
	if packet[11] == 0 && packet[10] == 0 {
		return true
	}
	off := 12
	for packet[off] != 0 {
		off += 1 + int(packet[off])
	}
	off += 5
	if packet[9] != 0 || packet[10] != 0 || packet[11] != 1 || packet[off] != 0 || packet[off+1] != 0 || packet[off+2] != 41 || packet[off+6] != 0 {
		return false
	}
	for off += 11; off < len(packet); off += 4 + int(packet[off+2])<<8 + int(packet[off+3]) {
		if packet[off] != 0 || !slices.Contains([]byte{3, 8, 10, 11, 12}, packet[off+1]) {
			return false
		}
	}
	return true
}

func compare(t *testing.T, packet []byte, q *dnswire.Query) {
	t.Helper()
	m := new(dns.Msg)
	if err := m.Unpack(packet); err != nil {
		t.Fatalf("%x is refused by the oracle: %v", packet, err)
	}
	asked := m.Question[0]
	if m.Id != q.ID || m.Opcode != int(q.Opcode) || m.RecursionDesired != q.RD || m.CheckingDisabled != q.CD || m.AuthenticatedData != q.AD ||
		asked.Qtype != q.Type || asked.Qclass != q.Class || dns.CountLabel(asked.Name) != q.Labels {
		t.Errorf("%x is %+v, want %v", packet, q, m)
	}
	wire := make([]byte, 256)
	if n, err := dns.PackDomainName(asked.Name, wire, 0, nil, false); err != nil || string(wire[:n]) != string(q.Name) {
		t.Errorf("name %x, want %x (%v)", q.Name, wire[:n], err)
	}
	if soa := m.Ns; len(soa) == 1 && soa[0].(*dns.SOA).Serial != q.Serial {
		t.Errorf("serial %d, want %v", q.Serial, soa[0])
	}
	opt := m.IsEdns0()
	if (opt != nil) != q.EDNS {
		t.Fatalf("EDNS %t, want %v", q.EDNS, opt)
	}
	if opt != nil {
		compareOPT(t, opt, q)
	}
}

func compareOPT(t *testing.T, opt *dns.OPT, q *dnswire.Query) {
	t.Helper()
	want := dnswire.Query{EDNS: true, Size: max(opt.UDPSize(), 512), Version: opt.Version(), DO: opt.Do()}
	for _, option := range opt.Option {
		switch o := option.(type) {
		case *dns.EDNS0_SUBNET:
			want.Subnet = dnswire.Subnet{Present: true, Family: o.Family, Source: o.SourceNetmask}
			if o.SourceNetmask > 0 {
				addr, _ := netip.AddrFromSlice(o.Address)
				if o.Family == 1 {
					addr = addr.Unmap()
				}
				want.Subnet.Addr = addr
			}
		case *dns.EDNS0_COOKIE:
			if want.Cookie == nil {
				want.Cookie, _ = hex.DecodeString(o.Cookie)
			}
		case *dns.EDNS0_NSID:
			want.NSID = true
		case *dns.EDNS0_TCP_KEEPALIVE:
			want.Keepalive = true
		case *dns.EDNS0_PADDING:
			want.Padding = true
		}
	}
	if q.Size != want.Size || q.Version != want.Version || q.DO != want.DO || q.Subnet != want.Subnet || string(q.Cookie) != string(want.Cookie) ||
		q.NSID != want.NSID || q.Keepalive != want.Keepalive || q.Padding != want.Padding {
		t.Errorf("%+v, want %+v", q, want)
	}
}

// checkAnswer makes an answer to what was read, however much that was, and has the oracle read it.
func checkAnswer(t *testing.T, q *dnswire.Query) {
	t.Helper()
	var w dnswire.Writer
	w.Begin(nil, q)
	owner := q.Name
	if q.Question != nil {
		w.Record(dnswire.Answer, nil, rr.TypeA, 20, []byte{192, 0, 2, 1})
		if q.Labels > 0 {
			owner = append([]byte("\x01x"), q.Name[1+q.Name[0]:]...) // as long a name at most, unless the label is empty
		}
		w.Record(dnswire.Additional, owner, rr.TypeAAAA, 20, make([]byte, 16))
		w.Record(dnswire.Additional, owner, rr.TypeTXT, 20, []byte("\x01x"))
	}
	opt := &dnswire.OPT{Size: 1232, DO: q.DO, Subnet: &q.Subnet, Scope: min(q.Subnet.Source, 20), Cookie: q.Cookie, NSID: "x", Keepalive: 100, PadTo: 128}
	packet := w.End(dnswire.Ending{AA: true, Rcode: dnswire.BadVersion, OPT: opt})
	m := new(dns.Msg)
	if err := m.Unpack(packet); err != nil {
		t.Fatalf("%x is refused by the oracle: %v", packet, err)
	}
	if m.Id != q.ID || !m.Response || m.Rcode != int(dnswire.BadVersion) || len(packet)%128 != 0 || m.IsEdns0().Do() != q.DO || q.Question != nil && len(m.Extra) != 3 {
		t.Errorf("%x is %v", packet, m)
	}
	if q.Question == nil {
		return
	}
	wire := make([]byte, 256)
	for i, want := range [][]byte{q.Name, owner, owner} {
		got := append(m.Answer, m.Extra...)[i].Header().Name
		if n, err := dns.PackDomainName(got, wire, 0, nil, false); err != nil || !dnswire.Equal(wire[:n], want) { // in the question's letter case
			t.Errorf("owner %x, want %x (%v)", wire[:n], want, err)
		}
	}
}

// FuzzNames compares with the oracle what names as text are in wire form.
func FuzzNames(f *testing.F) {
	for _, name := range []string{".", "www.example.", `a\.b.c`, `\000\255.x`, `a\`, `\256`, "a..b", strings.Repeat("a.", 127)} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := dnswire.ParseName(nil, text)
		if err != nil {
			return
		}
		wire := make([]byte, 256)
		if strings.ContainsFunc(text, func(r rune) bool { return r > '~' }) {
			text = dnswire.FormatName(got) // the oracle takes runes for octets where it looks for the last dot
		}
		n, err := dns.PackDomainName(dns.Fqdn(text), wire, 0, nil, false)
		if err != nil || string(wire[:n]) != string(got) {
			t.Fatalf("%q is %x, want %x (%v)", text, got, wire[:n], err)
		}
		back, err := dnswire.ParseName(nil, dnswire.FormatName(got))
		if err != nil || string(back) != string(got) {
			t.Errorf("%q comes back as %x (%v), want %x", dnswire.FormatName(got), back, err, got)
		}
		if !dnswire.Equal(got, dnswire.Lower(nil, got)) {
			t.Errorf("%x is not %x in lower case", got, dnswire.Lower(nil, got))
		}
	})
}
