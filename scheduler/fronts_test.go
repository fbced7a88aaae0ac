package scheduler_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"nearcast/cdn"
	"nearcast/internal/freeport"
	"nearcast/internal/testcert"
	"nearcast/internal/web/tlscert"
	"nearcast/scheduler"
	"nearcast/scheduler/transfer"
)

// apart has two POPs, and this machine is near the second.
func apart() *cdn.Snapshot {
	s := snapshot(7)
	here := cdn.Location{Longitude: 90}
	s.Fleet.POPs = append(s.Fleet.POPs, cdn.POP{Name: "p2", Tier: cdn.TierEdge, Location: here})
	s.Fleet.Nodes = append(s.Fleet.Nodes,
		cdn.Node{Name: "f1", POP: "p2", Roles: []cdn.Role{cdn.RoleEdge}, Addresses: []netip.Addr{netip.MustParseAddr("198.51.100.1")}},
		cdn.Node{Name: "s1", Roles: []cdn.Role{cdn.RoleScheduler}, Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.1")}},
	)
	s.Fleet.Clients = []cdn.ClientPrefix{{Prefix: netip.MustParsePrefix("127.0.0.0/8"), Location: here}}
	s.Fleet.Zones = []cdn.Zone{{
		Name:        "cdn.test",
		Records:     []cdn.Record{{Name: "@", Type: "TXT", Data: "hello"}, {Name: "sub", Type: "NS", Data: "ns.sub"}, {Name: "ns.sub", Type: "A", Data: "192.0.2.99"}},
		Secondaries: []cdn.Secondary{{Key: keyName}},
	}}
	return s
}

// everything is a configuration with every front and a key of secondaries.
func everything(t *testing.T) scheduler.Config {
	t.Helper()
	cfg := config(slog.New(slog.DiscardHandler))
	cert, key := testcert.Write(t, "127.0.0.1")
	cfg.TLSAddrs, cfg.Certificates = []string{"127.0.0.1:0"}, []tlscert.Pair{{Chain: cert, Key: key}}
	cfg.TSIGKeys = transfer.Keys{keyName: {Algorithm: "hmac-sha256", Secret: []byte(keySecret)}}
	return cfg
}

// anyTLS believes every certificate.
func anyTLS() *tls.Config { return &tls.Config{InsecureSkipVerify: true} } //nolint:gosec // the test's own

// do sends a request and returns the answer with its body.
func do(t *testing.T, method, url, host string, body []byte) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Host, req.Close = host, true
	req.Header.Set("Content-Type", "application/dns-message")
	resp, err := (&http.Transport{TLSClientConfig: anyTLS(), DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, text
}

// Whatever a visitor asks, and over what, it is sent to the same node.
func TestEveryFront(t *testing.T) {
	s := start(t, everything(t))
	if err := s.Apply(apart()); err != nil {
		t.Fatal(err)
	}
	secure, plain, query := s.TLSAddrs()[0].String(), s.HTTPAddr().String(), new(dns.Msg)
	query.SetQuestion("www.shop.example.cdn.test.", dns.TypeA)
	packet, err := query.Pack()
	if err != nil {
		t.Fatal(err)
	}
	doh := func(base string) func(*testing.T) string {
		return func(t *testing.T) string {
			t.Helper()
			_, body := do(t, http.MethodPost, base+"/dns-query", "", packet)
			answer := new(dns.Msg)
			if err := answer.Unpack(body); err != nil {
				t.Fatalf("%q: %v", body, err)
			}
			return addresses(answer)
		}
	}
	over := func(network, addr string) func(*testing.T) string {
		return func(t *testing.T) string {
			t.Helper()
			answer, _, err := (&dns.Client{Net: network, TLSConfig: anyTLS()}).Exchange(query, addr)
			if err != nil {
				t.Fatal(err)
			}
			return addresses(answer)
		}
	}
	for name, ask := range map[string]func(*testing.T) string{
		"udp": over("udp", s.DNSAddr().String()), "tcp": over("tcp", s.DNSAddr().String()), "dot": over("tcp-tls", secure),
		"doh": doh("https://" + secure), "doh behind a proxy": doh("http://" + plain),
		"httpdns": func(t *testing.T) string {
			t.Helper()
			_, body := do(t, http.MethodGet, "https://"+secure+"/resolve?host=www.shop.example", "", nil)
			var answer struct{ Answers []struct{ IPs []string } }
			if err := json.Unmarshal(body, &answer); err != nil || len(answer.Answers) != 1 {
				t.Fatalf("%q: %v", body, err)
			}
			return strings.Join(answer.Answers[0].IPs, " ")
		},
		"redirect": func(t *testing.T) string {
			t.Helper()
			resp, _ := do(t, http.MethodGet, "http://"+plain+"/a", "www.shop.example", nil)
			if got := resp.Header.Get("Location"); got != "http://f1.www.shop.example.cdn.test/a" {
				t.Fatalf("%d to %q", resp.StatusCode, got)
			}
			return "198.51.100.1" // f1's
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := ask(t); got != "198.51.100.1" {
				t.Errorf("sent to %q, want 198.51.100.1", got)
			}
		})
	}
}

func addresses(m *dns.Msg) string {
	var all []string
	for _, r := range m.Answer {
		if a, ok := r.(*dns.A); ok {
			all = append(all, a.A.String())
		}
	}
	return strings.Join(all, " ")
}

const (
	keyName   = "tsig.test"
	keySecret = "0123456789abcdef0123456789abcdef"
	keyBase64 = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
)

// What is signed is answered and signed, over datagrams and streams; what is signed wrongly is refused. miekg/dns checks the answers' signatures.
func TestSignedQueries(t *testing.T) {
	s := start(t, everything(t))
	if err := s.Apply(apart()); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, question string
		kind           uint16
		secret         string
		rcode          int
		want           string // what an answer has in it
	}{
		{"SOA", "cdn.test.", dns.TypeSOA, keyBase64, dns.RcodeSuccess, " 7 "},
		{"steered", "www.shop.example.cdn.test.", dns.TypeA, keyBase64, dns.RcodeSuccess, "198.51.100.1"},
		{"missing", "none.cdn.test.", dns.TypeA, keyBase64, dns.RcodeNameError, ""},
		{"another secret", "cdn.test.", dns.TypeSOA, "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=", dns.RcodeNotAuth, ""},
	} {
		for _, network := range []string{"udp", "tcp"} {
			t.Run(test.name+" over "+network, func(t *testing.T) {
				q := new(dns.Msg)
				q.SetQuestion(test.question, test.kind)
				q.SetTsig(keyName+".", dns.HmacSHA256, 300, time.Now().Unix())
				client := dns.Client{Net: network, TsigSecret: map[string]string{keyName + ".": test.secret}}
				answer, _, err := client.Exchange(q, s.DNSAddr().String())
				if answer == nil || answer.Rcode != test.rcode || answer.IsTsig() == nil {
					t.Fatalf("%v, %v", answer, err)
				}
				if (err == nil) != (test.rcode != dns.RcodeNotAuth) { // who has another secret cannot believe what is said
					t.Errorf("the answer's signature: %v", err)
				}
				if test.want != "" && (len(answer.Answer) != 1 || !strings.Contains(answer.Answer[0].String(), test.want)) {
					t.Errorf("%v, want %q", answer.Answer, test.want)
				}
			})
		}
	}
}

// An IXFR over UDP is answered with the SOA, so that who has another comes over a stream.
func TestTransferOverUDP(t *testing.T) {
	s := start(t, everything(t))
	if err := s.Apply(apart()); err != nil {
		t.Fatal(err)
	}
	q := new(dns.Msg)
	q.SetIxfr("cdn.test.", 1, "ns1.cdn.test.", "hostmaster.cdn.test.")
	q.SetTsig(keyName+".", dns.HmacSHA256, 300, time.Now().Unix())
	client := dns.Client{TsigSecret: map[string]string{keyName + ".": keyBase64}}
	answer, _, err := client.Exchange(q, s.DNSAddr().String())
	if err != nil || len(answer.Answer) != 1 || answer.Answer[0].Header().Rrtype != dns.TypeSOA {
		t.Errorf("%v, %v", answer, err)
	}
}

// transferred is the copy of the zone that a secondary gets, sorted, without the SOA at its end.
func transferred(t *testing.T, s *scheduler.Server) (records []string) {
	t.Helper()
	q := new(dns.Msg)
	q.SetAxfr("cdn.test.")
	q.SetTsig(keyName+".", dns.HmacSHA256, 300, time.Now().Unix())
	tr := dns.Transfer{TsigSecret: map[string]string{keyName + ".": keyBase64}}
	parts, err := tr.In(q, s.DNSAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	for part := range parts {
		if part.Error != nil {
			t.Fatal(part.Error)
		}
		for _, r := range part.RR {
			records = append(records, strings.ReplaceAll(r.String(), "\t", " "))
		}
	}
	records = records[:len(records)-1]
	slices.Sort(records)
	return records
}

// A copy is made of the configuration: schedulers that have measured other things give the same.
func TestSameCopies(t *testing.T) {
	one, other := start(t, everything(t)), start(t, everything(t))
	for _, s := range []*scheduler.Server{one, other} {
		if err := s.Apply(apart()); err != nil {
			t.Fatal(err)
		}
	}
	other.ApplyTable(down(1, "f1"))
	want := transferred(t, one)
	if diff := cmp.Diff(want, transferred(t, other)); diff != "" {
		t.Errorf("two schedulers (-one +other):\n%s", diff)
	}
	steered := 0
	for _, record := range want {
		if strings.HasPrefix(record, "www.shop.example.cdn.test. 20 IN A ") {
			steered++
		}
	}
	if steered != 2 { // a node of each POP
		t.Errorf("%d addresses of the site in %q", steered, want)
	}
	for _, part := range []string{
		`cdn.test. 3600 IN TXT "hello"`, "cdn.test. 3600 IN NS ns1.cdn.test.", "ns1.cdn.test. 3600 IN A 203.0.113.1", "sub.cdn.test. 3600 IN NS ns.sub.cdn.test.",
		"ns.sub.cdn.test. 3600 IN A 192.0.2.99", "www.shop.example.cdn.test. 20 IN A 198.51.100.1",
	} {
		if !slices.Contains(want, part) {
			t.Errorf("%q is not in %q", part, want)
		}
	}
}

// A part that cannot begin leaves nothing open: the ports can be had at once.
func TestNothingLeftOpen(t *testing.T) {
	s := start(t, everything(t))
	addr := freeport.Addr(t)
	cfg := everything(t)
	cfg.DNSAddr, cfg.HTTPDNSKeys = addr, map[string][]byte{"app": []byte("short")}
	if _, err := scheduler.New(cfg); err == nil {
		t.Error("a key that is too short")
	}
	cfg = everything(t)
	cfg.DNSAddr, cfg.TLSAddrs = addr, []string{s.TLSAddrs()[0].String()}
	if _, err := scheduler.New(cfg); err == nil {
		t.Error("two schedulers on one port")
	}
	cfg = everything(t)
	cfg.DNSAddr = addr
	last := start(t, cfg)
	if got := last.DNSAddr().String(); got != addr {
		t.Errorf("listens on %s, want %s", got, addr)
	}
}
