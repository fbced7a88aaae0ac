package respond_test

import (
	"testing"
	"time"

	"github.com/miekg/dns"

	"nearcast/scheduler/respond"
)

// Who sends an OPT record gets one, also with what is no query of ours (RFC 6891 section 6.1.1), and its cookie.
func TestOPTOfOthers(t *testing.T) {
	f := start(t, snapshot())
	for name, edit := range map[string]func(*dns.Msg){
		"notify":        func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify },
		"update":        func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate },
		"opcode 15":     func(m *dns.Msg) { m.Opcode = 15 },
		"two questions": func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) },
		"no question":   func(m *dns.Msg) { m.Question, m.IsEdns0().Option = nil, nil },
	} {
		q := withCookie("cdn.test.", dns.TypeSOA, "0011223344556677")
		q.IsEdns0().SetDo()
		edit(q)
		r := f.ask(t, q, "127.0.0.1", respond.UDP)
		if o := r.IsEdns0(); o == nil || o.Version() != 0 || o.UDPSize() != 1232 || !o.Do() || r.Rcode == dns.RcodeSuccess {
			t.Errorf("%s: %v", name, r)
		}
		if len(q.IsEdns0().Option) > 0 && len(cookieOf(t, r)) != 48 {
			t.Errorf("%s: no cookie: %v", name, r)
		}
	}
	if r := f.ask(t, &dns.Msg{MsgHdr: dns.MsgHdr{Opcode: dns.OpcodeNotify}}, "127.0.0.1", respond.UDP); r.IsEdns0() != nil {
		t.Errorf("an OPT record that nobody asked for: %v", r)
	}
}

// A query without a question is for a cookie, if it has such an option (RFC 7873 section 5.4).
func TestOnlyCookie(t *testing.T) {
	f := start(t, snapshot())
	given := ""
	ask := func(what, cookie string, transport respond.Transport, rcode int) {
		t.Helper()
		q := withCookie("cdn.test.", dns.TypeSOA, cookie)
		q.Question = nil
		r := f.ask(t, q, "127.0.0.1", transport)
		if r.Rcode != rcode || len(r.Question)+len(r.Answer)+len(r.Ns) > 0 || r.Authoritative || r.Truncated {
			t.Errorf("%s: %v, want %s alone", what, r, dns.RcodeToString[rcode])
		}
		given = cookieOf(t, r)
		if len(given) != 48 || given[:16] != cookie[:16] {
			t.Errorf("%s: the cookie is %s", what, given)
		}
	}
	const client = "0011223344556677"
	for _, transport := range []respond.Transport{respond.UDP, respond.TCP} {
		ask("the client's half", client, transport, dns.RcodeSuccess)
		good := given
		ask("a good one", good, transport, dns.RcodeSuccess)
		if given != good {
			t.Errorf("a good cookie is replaced: %s, %s", good, given)
		}
		ask("a bad one", client+"00"+good[18:], transport, dns.RcodeBadCookie)
		ask("a short one", client+"0102030405060708", transport, dns.RcodeBadCookie)
		f.now = f.now.Add(2 * time.Hour)
		ask("an old one", good, transport, dns.RcodeBadCookie)
		if given[:16] != client || given == good {
			t.Errorf("an old cookie is not replaced: %s", given)
		}
	}
	q := withCookie("cdn.test.", dns.TypeSOA, client)
	q.Question = nil
	q.IsEdns0().SetVersion(1)
	if r := f.ask(t, q, "127.0.0.1", respond.UDP); r.Rcode != dns.RcodeBadVers {
		t.Errorf("of another version: %v", r)
	}
}
