package dnssec_test

import (
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"nearcast/cdn"
	"nearcast/internal/dnskey"
	"nearcast/internal/outside"
	"nearcast/scheduler/dnssec"
	"nearcast/scheduler/rr"
)

// zoneServer answers for cdn.test, whose only names are its own and d1, both with an address.
type zoneServer struct {
	t      *testing.T
	signer *dnssec.Signer
	now    int64
}

func (z *zoneServer) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg).SetReply(q)
	m.Authoritative = true
	m.SetEdns0(1232, true)
	zone, name, typ := wire(z.t, "cdn.test."), dns.CanonicalName(q.Question[0].Name), q.Question[0].Qtype
	owner := wire(z.t, name)
	exists := name == "cdn.test." || name == "d1.cdn.test."
	add := func(to *[]dns.RR, owner []byte, set rr.Set) {
		*to = append(*to, records(z.t, owner, set.Type, set.TTL, set.Data...)...)
		*to = append(*to, records(z.t, owner, rr.TypeRRSIG, set.TTL, z.signer.Sign(z.now, zone, owner, &set, set.Type == rr.TypeDNSKEY)...)...)
	}
	switch {
	case name == "cdn.test." && typ == dns.TypeDNSKEY:
		add(&m.Answer, owner, z.signer.DNSKEY())
	case exists && typ == dns.TypeA:
		_, a := set(z.t, name+" 20 A 192.0.2.1", name+" 20 A 192.0.2.2")
		add(&m.Answer, owner, a)
	default:
		_, soa := set(z.t, "cdn.test. 60 SOA ns1.cdn.test. host.cdn.test. 1 2 3 4 60")
		add(&m.Ns, zone, soa)
		types := []uint16{rr.TypeRRSIG, rr.TypeNSEC, rr.TypeNXNAME}
		if exists {
			types[2] = rr.TypeA
		}
		add(&m.Ns, owner, rr.Set{Type: rr.TypeNSEC, TTL: 60, Data: [][]byte{dnssec.AppendNSEC(nil, owner, types...)}})
	}
	if err := w.WriteMsg(m); err != nil {
		z.t.Error(err)
	}
}

// TestDelv lets BIND's validator check answers, with each of the keys as its trust anchor, and one that is not among them.
func TestDelv(t *testing.T) {
	delv := outside.Program(t, "delv", "bind9-dnsutils")
	keys := newKeys(t, cdn.KeyActive, cdn.KeyReady, cdn.KeyActive)
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: conn, Handler: &zoneServer{t: t, signer: newSigner(t, keys[:2]...), now: time.Now().Unix()}}
	done := make(chan error, 1)
	go func() { done <- server.ActivateAndServe() }()
	defer func() {
		conn.Close()
		<-done
	}()
	for i, k := range keys {
		anchor := filepath.Join(t.TempDir(), "anchor")
		text := fmt.Sprintf("trust-anchors { \"cdn.test.\" static-key 257 3 13 \"%s\"; };\n", base64.StdEncoding.EncodeToString(dnskey.Data(k.Public)[4:]))
		if err := os.WriteFile(anchor, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct{ name, typ, want string }{
			{"d1.cdn.test", "A", "; fully validated"},
			{"cdn.test", "DNSKEY", "; fully validated"},
			{"d1.cdn.test", "AAAA", "; negative response, fully validated"},
			{"no.such.cdn.test", "A", "; negative response, fully validated"},
		} {
			want := tt.want
			if i == 2 {
				want = ";; resolution failed"
			}
			_, port, _ := net.SplitHostPort(conn.LocalAddr().String())
			out, _ := exec.CommandContext(t.Context(), delv, "@127.0.0.1", "-p", port, "-a", anchor, "+root=cdn.test", tt.name, tt.typ).CombinedOutput()
			if !strings.Contains(string(out), want) {
				t.Errorf("delv %s %s with key %d: %s, want %s", tt.name, tt.typ, i, out, want)
			}
		}
	}
}
