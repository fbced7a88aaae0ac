package parentds_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"nearcast/control/parentds"
)

const (
	wanted = "shop.example. IN DS 44132 13 2 1C0C1899E105A3942BEA803F290CDD503D13FD7DC83BEAD00AD2AF6DC568E478"
	old    = "shop.example. 3600 IN DS 10177 13 2 DF689AC2BE13185E46907FF56D1BF5BFA3511838F870A1587FC0977AE4AAF749"
	soa    = "example. 900 IN SOA ns.example. host.example. 1 2 3 4 900"
)

// serve answers on a loopback address, over UDP and TCP, until the test ends.
func serve(t *testing.T, handler dns.HandlerFunc) string {
	t.Helper()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", udp.LocalAddr().String())
	if err != nil {
		t.Skip(err) // somebody has the port
	}
	for _, s := range []*dns.Server{{PacketConn: udp, Handler: handler}, {Listener: tcp, Handler: handler}} {
		started, done := make(chan struct{}), make(chan error, 1)
		s.NotifyStartedFunc = func() { close(started) }
		go func() { done <- s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() {
			if err := s.Shutdown(); err != nil {
				t.Error(err)
			}
			<-done
		})
	}
	return udp.LocalAddr().String()
}

// answer returns a handler that says the same to everybody: records, after "|" those of the authority.
func answer(t *testing.T, rcode int, records string, flags ...string) dns.HandlerFunc {
	t.Helper()
	return func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetRcode(q, rcode)
		here, above, _ := strings.Cut(records, "|")
		for section, text := range map[*[]dns.RR]string{&m.Answer: here, &m.Ns: above} {
			for line := range strings.Lines(text) {
				record, err := dns.NewRR(line)
				if err != nil {
					t.Error(err)
				}
				*section = append(*section, record)
			}
		}
		for _, f := range flags {
			switch {
			case f == "aa":
				m.Authoritative = true
			case f == "tc" && w.RemoteAddr().Network() == "udp":
				m.Answer, m.Truncated = nil, true
			case f == "other":
				m.Question[0].Name = "other.example."
			case f == "echo":
				*m = *q
			}
		}
		if err := w.WriteMsg(m); err != nil {
			t.Error(err)
		}
	}
}

// told is an answer in short: "has", "none", the tags, or why nothing is known.
func told(a *parentds.Answer) string {
	switch {
	case a.Error != "":
		return a.Error
	case a.Has:
		return "has"
	case len(a.Found) == 0:
		return "none"
	}
	return a.Found[0].String()
}

func TestAsk(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler dns.HandlerFunc
		want    string
		ttl     uint32
	}{
		{"the new one", answer(t, dns.RcodeSuccess, strings.Replace(wanted, "IN", "300 IN", 1)), "has", 300},
		{"both", answer(t, dns.RcodeSuccess, old+"\n"+strings.Replace(wanted, "IN", "3600 IN", 1)), "has", 3600},
		{"in lower case", answer(t, dns.RcodeSuccess, strings.ToLower(strings.Replace(wanted, "IN", "300 IN", 1))), "has", 300},
		{"the old one", answer(t, dns.RcodeSuccess, old), "10177 13 2 DF689AC2BE13185E46907FF56D1BF5BFA3511838F870A1587FC0977AE4AAF749", 3600},
		{"of another zone", answer(t, dns.RcodeSuccess, strings.Replace(wanted, "shop.example. IN", "other.example. 300 IN", 1)), "none", 0},
		{"the tag, and another digest", answer(t, dns.RcodeSuccess, strings.Replace(strings.Replace(wanted, "IN", "60 IN", 1), "1C0C", "1C0D", 1)), "44132 13 2 1C0D1899E105A3942BEA803F290CDD503D13FD7DC83BEAD00AD2AF6DC568E478", 60},
		{"long", answer(t, dns.RcodeSuccess, strings.Replace(wanted, "IN", "300 IN", 1), "tc"), "has", 300},
		{"none", answer(t, dns.RcodeSuccess, "|"+soa), "none", 900},
		{"no such zone", answer(t, dns.RcodeNameError, "|"+soa), "none", 900},
		{"none, of the server itself", answer(t, dns.RcodeSuccess, "", "aa"), "none", 0},
		{"an echo", answer(t, dns.RcodeSuccess, "", "echo"), "ADDR answers another question", 0},
		{"a referral", answer(t, dns.RcodeSuccess, "|example. 900 IN NS ns.example."), "ADDR does not know, and names others to ask", 0},
		{"SERVFAIL", answer(t, dns.RcodeServerFailure, ""), "ADDR answers SERVFAIL", 0},
		{"REFUSED", answer(t, dns.RcodeRefused, ""), "ADDR answers REFUSED", 0},
		{"another question", answer(t, dns.RcodeSuccess, wanted, "other"), "ADDR answers another question", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			addr := serve(t, tt.handler)
			asker, err := parentds.At(addr)
			if err != nil {
				t.Fatal(err)
			}
			got := asker.Ask(t.Context(), []string{wanted})
			if len(got) != 1 || told(&got[0]) != strings.Replace(tt.want, "ADDR", addr, 1) || got[0].TTL != tt.ttl || got[0].From != addr || got[0].Zone != "shop.example" {
				t.Errorf("%+v, want %s with the TTL %d", got, tt.want, tt.ttl)
			}
		})
	}
}

// Servers of a parent that are named must all have it; of the system's resolvers one that answers is enough.
func TestServers(t *testing.T) {
	has := serve(t, answer(t, dns.RcodeSuccess, strings.Replace(wanted, "IN", "300 IN", 1)))
	none := serve(t, answer(t, dns.RcodeSuccess, "|"+soa))
	fails := serve(t, answer(t, dns.RcodeServerFailure, ""))
	for _, tt := range []struct {
		servers []string
		want    string
	}{
		{[]string{has, has}, "has"},
		{[]string{has, none}, "none"},
		{[]string{none, has}, "none"},
		{[]string{has, fails}, fails + " answers SERVFAIL"},
	} {
		asker, err := parentds.At(tt.servers...)
		if err != nil {
			t.Fatal(err)
		}
		if got := asker.Ask(t.Context(), []string{wanted}); told(&got[0]) != tt.want {
			t.Errorf("%+v, want %s", got, tt.want)
		}
	}
	for _, bad := range []string{"resolver.example", "192.0.2.1:dns", "", "192.0.2.1:99999"} {
		if _, err := parentds.At(bad); err == nil {
			t.Errorf("%q is a resolver", bad)
		}
	}
}

func TestSystem(t *testing.T) {
	file := filepath.Join(t.TempDir(), "resolv.conf")
	if _, err := parentds.System(file); err == nil {
		t.Error("a file that is not there names resolvers")
	}
	if err := os.WriteFile(file, []byte("search example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := parentds.System(file); err == nil || !strings.Contains(err.Error(), "names no resolver") {
		t.Errorf("an empty file: %v", err)
	}
	if err := os.WriteFile(file, []byte("nameserver 192.0.2.1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := parentds.System(file); err != nil {
		t.Error(err)
	}
}

// Of the resolvers that the system has, the first that answers says it all, whatever others would say.
func TestFirstThatAnswers(t *testing.T) {
	has := serve(t, answer(t, dns.RcodeSuccess, strings.Replace(wanted, "IN", "300 IN", 1)))
	host, port, err := net.SplitHostPort(has)
	if err != nil {
		t.Fatal(err)
	}
	fails, err := net.ListenPacket("udp", "127.0.0.77:"+port) // junk for an answer
	if err != nil {
		t.Skip(err) // not every system has the whole of 127.0.0.0/8
	}
	defer fails.Close()
	go func() {
		packet := make([]byte, 512)
		for {
			n, from, err := fails.ReadFrom(packet)
			if err != nil {
				return
			}
			reply := new(dns.Msg)
			if reply.Unpack(packet[:n]) != nil {
				continue
			}
			text, err := new(dns.Msg).SetRcode(reply, dns.RcodeServerFailure).Pack()
			if err == nil {
				fails.WriteTo(text, from)
			}
		}
	}()
	file := filepath.Join(t.TempDir(), "resolv.conf")
	for _, list := range []string{"127.0.0.77 " + host, host + " 127.0.0.77"} {
		if err := os.WriteFile(file, []byte("nameserver "+strings.Join(strings.Fields(list), "\nnameserver ")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		asker, err := parentds.SystemAt(file, port)
		if err != nil {
			t.Fatal(err)
		}
		if got := asker.Ask(t.Context(), []string{wanted}); told(&got[0]) != "has" || got[0].From != has {
			t.Errorf("%s: %+v", list, got)
		}
	}
}

// A server that is silent costs no more time than there is.
func TestSilence(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	asker, err := parentds.At(conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	got := asker.Ask(ctx, []string{wanted, "junk", "shop.example. IN A 192.0.2.1"})
	if len(got) != 3 || !strings.Contains(got[0].Error, "does not answer in time") || got[1].Error == "" || got[2].Error == "" {
		t.Errorf("%+v", got)
	}
}
