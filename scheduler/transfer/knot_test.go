package transfer_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"nearcast/cdn"
	"nearcast/internal/freeport"
	"nearcast/internal/outside"
	"nearcast/scheduler/transfer"
)

// documented returns a block of docs/OPERATIONS.md, by its first line.
func documented(t testing.TB, first string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "OPERATIONS.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(text), first+"\n")
	block, _, end := strings.Cut(after, "```")
	if !ok || !end {
		t.Fatalf("docs/OPERATIONS.md has no block that begins with %q", first)
	}
	return block
}

// knot runs a knotd that is a secondary of the front.
func knot(t testing.TB, at string, f *front) {
	t.Helper()
	knotd := outside.Program(t, "knotd", "knot")
	dir := t.TempDir()
	conf := filepath.Join(dir, "knot.conf")
	port := func(at string) string { return strings.Replace(at, ":", "@", 1) }
	text := strings.NewReplacer("192.0.2.54@53", port(at), "192.0.2.53@53", port(f.at), "/run/knot", dir, "/var/lib/knot", dir).Replace(documented(t, "# /etc/knot/knot.conf"))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	outside.Serve(t, knotd, "-c", conf)
}

// answerOf waits until a server's answer to a question is as wanted.
func answerOf(t testing.TB, at, name string, kind uint16, want string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for {
		q := new(dns.Msg)
		q.SetQuestion(name, kind)
		a, _, err := new(dns.Client).Exchange(q, at)
		if err == nil {
			var lines []string
			for _, r := range a.Answer {
				lines = append(lines, strings.ReplaceAll(r.String(), "\t", " "))
			}
			if strings.Join(lines, "; ") == want {
				return
			}
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: got %v, %v, want %s", name, a, err, want)
		}
	}
}

// A real secondary, configured as docs/OPERATIONS.md says, gets the zone with a key, is told of changes, fetches the differences, and then answers as the zone does.
func TestKnot(t *testing.T) {
	outside.Program(t, "knotd", "knot")
	at, registry := freeport.Addr(t), prometheus.NewRegistry()
	known, err := transfer.ParseKeys(documented(t, "# /etc/nearcast/tsig.keys"))
	if err != nil {
		t.Fatal(err)
	}
	f := newFront(t, transfer.Config{Keys: known, Registry: registry})
	with := func(z *zoneFile) *zoneFile { // with refresh and retry so long that only a notification makes it come
		for i := range 50 {
			z.records = append(z.records, zoneOf(t, 1, nil, fmt.Sprintf("n%d.cdn.test. 60 IN A 192.0.2.77", i)).records...)
		}
		soa := z.zone.SOA.Data[0]
		copy(soa[len(soa)-16:], "\x00\x00\x0e\x10\x00\x00\x0e\x10")
		return z
	}
	to := []cdn.Secondary{{Address: netip.MustParseAddrPort(at), Key: "tsig.test"}}
	f.publish(with(v1(t, to)))
	knot(t, at, f)
	answerOf(t, at, "www.cdn.test.", dns.TypeA, "www.cdn.test. 20 IN A 192.0.2.1; www.cdn.test. 20 IN A 192.0.2.2")
	answerOf(t, at, `\001\.\\.cdn.test.`, dns.TypeTXT, `\001\.\\.cdn.test. 60 IN TXT "a b"`)
	f.publish(with(v2(t, to)))
	answerOf(t, at, "www.cdn.test.", dns.TypeA, "www.cdn.test. 20 IN A 192.0.2.2; www.cdn.test. 20 IN A 192.0.2.3")
	answerOf(t, at, "gone.cdn.test.", dns.TypeA, "")
	answerOf(t, at, "came.cdn.test.", dns.TypeAAAA, "came.cdn.test. 60 IN AAAA 2001:db8::1")
	answerOf(t, at, "ns1.cdn.test.", dns.TypeA, "ns1.cdn.test. 60 IN A 192.0.2.53")
	answerOf(t, at, "n49.cdn.test.", dns.TypeA, "n49.cdn.test. 60 IN A 192.0.2.77")
	metrics := strings.NewReader(`# HELP nearcast_scheduler_transfers_total Zones given to secondaries, by how: whole, differences, unchanged, or failed under way.
# TYPE nearcast_scheduler_transfers_total counter
nearcast_scheduler_transfers_total{kind="differences"} 1
nearcast_scheduler_transfers_total{kind="whole"} 1
`)
	if err := testutil.GatherAndCompare(registry, metrics, "nearcast_scheduler_transfers_total"); err != nil {
		t.Error(err)
	}
}

// TestTools pulls the zone as administrators do.
func TestTools(t *testing.T) {
	f := newFront(t, transfer.Config{Keys: keys(t)})
	f.publish(v1(t, byKey("tsig.test")))
	host, port, err := net.SplitHostPort(f.at)
	if err != nil {
		t.Fatal(err)
	}
	const key = "hmac-sha256:tsig.test:" + tsigSecret
	for _, test := range []struct{ program, debian, args, want string }{
		{"dig", "bind9-dnsutils", "-y " + key + " +nocmd +nostats cdn.test AXFR", "www.cdn.test. 20 IN A 192.0.2.2"},
		{"dig", "bind9-dnsutils", "-y " + key + " +nocmd +nostats cdn.test IXFR=0", "www.cdn.test. 20 IN A 192.0.2.2"},
		{"dig", "bind9-dnsutils", "-y " + key + " +nocmd +norecurse cdn.test SOA", "cdn.test. 3600 IN SOA ns1.cdn.test. hostmaster.cdn.test. 1 2 2 604800 60"},
		{"dig", "bind9-dnsutils", "cdn.test AXFR", "; Transfer failed."},
		{"dig", "bind9-dnsutils", "-y hmac-sha256:tsig.test:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= cdn.test AXFR", "BADSIG"},
		{"dig", "bind9-dnsutils", "-y hmac-sha256:unknown.test:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= cdn.test AXFR", "BADKEY"},
		{"kdig", "knot-dnsutils", "-y " + key + " cdn.test AXFR", "www.cdn.test. 20 IN A 192.0.2.2"},
		{"kdig", "knot-dnsutils", "-y " + key + " cdn.test IXFR=0", "www.cdn.test. 20 IN A 192.0.2.2"},
	} {
		t.Run(test.program+" "+test.args, func(t *testing.T) {
			path := outside.Program(t, test.program, test.debian)
			c := exec.CommandContext(t.Context(), path, append([]string{"@" + host, "-p", port}, strings.Fields(test.args)...)...)
			got, err := c.CombinedOutput()
			text := strings.Join(strings.Fields(string(got)), " ")
			if !strings.Contains(text, test.want) || strings.Contains(text, "Couldn't verify") != strings.HasPrefix(test.want, "BAD") || strings.Contains(text, "WARNING") {
				t.Errorf("%v: it says %s, want %s in it", err, got, test.want)
			}
		})
	}
}
