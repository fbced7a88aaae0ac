package main_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"nearcast/internal/freeport"
	"nearcast/internal/testcert"
	"nearcast/loadtest/labtest"
)

// popOf is whose the addresses of deploy/examples/two-pops.yaml are.
var popOf = map[string]string{"192.0.2.1": "west", "192.0.2.2": "west", "198.51.100.1": "east", "198.51.100.2": "east"}

// example is a scheduler that runs as the head of deploy/examples/two-pops.yaml says, but for the ports.
type example struct {
	dir, fleet string // its folder; its copy of the file
	ports      *strings.Replacer
	dns, tls   string // host:port
	http       string
	log        string // file
	client     *http.Client
	roots      *x509.CertPool
}

// headLines are the commands at the head of the file, without what follows a "#", and that.
func headLines(t *testing.T) (commands, says []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(labtest.Root(t), "deploy", "examples", "two-pops.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if command, ok := strings.CutPrefix(line, "#   "); ok {
			command, want, _ := strings.Cut(command, " # ")
			commands, says = append(commands, strings.TrimSpace(command)), append(says, strings.TrimSpace(want))
		}
	}
	if len(commands) < 5 {
		t.Fatalf("%d commands at the head of the file", len(commands))
	}
	return commands, says
}

// startExample starts it, with some text of the file replaced by another.
func startExample(t *testing.T, oldnew ...string) *example {
	t.Helper()
	e := &example{dir: t.TempDir(), dns: freeport.Addr(t), tls: freeport.Addr(t), http: freeport.Addr(t)}
	e.ports = strings.NewReplacer(
		"127.0.0.1:5353", e.dns, "127.0.0.1:8853", e.tls, "127.0.0.1:8054", e.http,
		"-p 5353", "-p "+portOf(t, e.dns), "-p 8853", "-p "+portOf(t, e.tls))
	e.fleet = filepath.Join(e.dir, "deploy", "examples", "two-pops.yaml")
	text, err := os.ReadFile(filepath.Join(labtest.Root(t), "deploy", "examples", "two-pops.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := testcert.New("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"cert.pem": cert, "key.pem": key, "deploy/examples/two-pops.yaml": []byte(strings.NewReplacer(oldnew...).Replace(string(text)))} {
		file := filepath.Join(e.dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e.roots = x509.NewCertPool()
	e.roots.AppendCertsFromPEM(cert)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: e.roots}, ForceAttemptHTTP2: true} //nolint:gosec // the default versions
	t.Cleanup(transport.CloseIdleConnections)
	e.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	commands, _ := headLines(t)
	e.start(t, commands[0])
	return e
}

func portOf(t *testing.T, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// start runs the scheduler until the test ends.
func (e *example) start(t *testing.T, command string) {
	t.Helper()
	e.log = filepath.Join(e.dir, "log")
	log, err := os.Create(e.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	args := strings.Fields(e.ports.Replace(command))
	cmd := exec.Command(labtest.Program(t), append(args[1:], "--query-log", filepath.Join(e.dir, "queries"), "--query-log-every", "1")...)
	cmd.Dir, cmd.Stderr = e.dir, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the scheduler ended with %v:\n%s", err, e.logged(t))
		}
	})
	labtest.Eventually(t, 10*time.Second, "the scheduler answers", func() bool {
		conn, err := net.Dial("tcp", e.dns)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

func (e *example) logged(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(e.log)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// ask is what a way in says of a name for a client: the POP of the addresses, or "none".
type ask func(t *testing.T, e *example, name, client string) string

// question is for the /24 that a client is in.
func question(name, client string) *dns.Msg {
	q := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA)
	q.SetEdns0(1232, false)
	net24 := netip.MustParsePrefix(client + "/24").Masked()
	q.IsEdns0().Option = append(q.IsEdns0().Option, &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: net24.Addr().AsSlice()})
	return q
}

// popIn is the POP of an answer's addresses.
func popIn(t *testing.T, in *dns.Msg, err error) string {
	t.Helper()
	switch {
	case err != nil:
		t.Fatal(err)
	case in.Rcode == dns.RcodeNameError && len(in.Answer) == 0:
		return "none"
	case in.Rcode != dns.RcodeSuccess || len(in.Answer) != 2:
		t.Fatalf("%v", in)
	}
	one, other := in.Answer[0].(*dns.A).A.String(), in.Answer[1].(*dns.A).A.String()
	if popOf[one] != popOf[other] || one == other {
		t.Errorf("%v: want two nodes of one POP", in)
	}
	return popOf[one]
}

// over asks over a transport of the DNS library.
func over(network string) ask {
	return func(t *testing.T, e *example, name, client string) string {
		t.Helper()
		c, addr := dns.Client{Net: network, Timeout: 5 * time.Second}, e.dns
		if network == "tcp-tls" {
			c.TLSConfig, addr = &tls.Config{RootCAs: e.roots, NextProtos: []string{"dot"}}, e.tls //nolint:gosec // the default versions
		}
		in, _, err := c.Exchange(question(name, client), addr)
		return popIn(t, in, err)
	}
}

func (e *example) do(t *testing.T, method, url, host string, body []byte, headers ...string) (int, http.Header, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := e.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, text
}

func overHTTPS(t *testing.T, e *example, name, client string) string {
	t.Helper()
	packed, err := question(name, client).Pack()
	if err != nil {
		t.Fatal(err)
	}
	status, _, text := e.do(t, http.MethodPost, "https://"+e.tls+"/dns-query", "", packed, "Content-Type", "application/dns-message")
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, text)
	}
	in := new(dns.Msg)
	err = in.Unpack(text)
	return popIn(t, in, err)
}

func overHTTPDNS(t *testing.T, e *example, name, client string) string {
	t.Helper()
	status, _, text := e.do(t, http.MethodGet, "http://"+e.http+"/resolve?host="+name+"&ip="+client, "", nil)
	var answer struct {
		Answers []struct {
			Status int      `json:"status"`
			POP    string   `json:"pop"`
			IPs    []string `json:"ips"`
		} `json:"answers"`
	}
	if err := json.Unmarshal(text, &answer); err != nil || len(answer.Answers) != 1 {
		t.Fatalf("%d, %v: %s", status, err, text)
	}
	a := answer.Answers[0]
	switch {
	case status == http.StatusNotFound && a.Status == status:
		return "none"
	case status != http.StatusOK || len(a.IPs) != 2 || popOf[a.IPs[0]] != a.POP:
		t.Fatalf("%d: %s", status, text)
	}
	return a.POP
}

// overRedirect says that it asks for somebody else, which counts only if the fleet trusts it.
func overRedirect(t *testing.T, e *example, name, client string) string {
	t.Helper()
	status, header, text := e.do(t, http.MethodGet, "http://"+e.http+"/a?b=c", name, nil, "X-Forwarded-For", client)
	if status == http.StatusNotFound {
		return "none"
	}
	found := regexp.MustCompile(`^http://(east|west)-[12]\.` + regexp.QuoteMeta(name) + `/a\?b=c$`).FindStringSubmatch(header.Get("Location"))
	if status != http.StatusFound || found == nil {
		t.Fatalf("%d, %v, %s", status, header, text)
	}
	return found[1]
}

// TestTwoPOPs starts the example fleet and asks for the first name, one in the middle, the last, and one that is not there, by every way in.
func TestTwoPOPs(t *testing.T) {
	e := startExample(t)
	for way, ask := range map[string]ask{
		"UDP": over("udp"), "TCP": over("tcp"), "TLS": over("tcp-tls"), "HTTPS": overHTTPS, "HTTPDNS": overHTTPDNS, "redirect": overRedirect,
	} {
		for _, name := range []string{"d1", "d500", "d1000", "d1001"} {
			for client, want := range map[string]string{"10.1.2.3": "west", "10.200.2.3": "east", "192.0.2.77": "west", "198.51.100.77": "east"} {
				if way == "redirect" {
					want = "west" // where 127.0.0.1 is, whatever it says
				}
				if name == "d1001" {
					want = "none"
				}
				if got := ask(t, e, name+".cdn.test", client); got != want {
					t.Errorf("%s: %s is sent to %s for %s, want %s", way, client, got, name, want)
				}
			}
		}
	}
	logged := []string{
		`"front":"httpdns","peer":"127.0.0.1","client":"10.200.2.3/32","name":"d500.cdn.test","type":"4,6","code":"200","pop":"east"`,
		`"front":"httpdns","peer":"127.0.0.1","client":"10.200.2.3/32","name":"d1001.cdn.test","type":"4,6","code":"404"`,
		`"front":"redirect","peer":"127.0.0.1","name":"d500.cdn.test","type":"GET","path":"/a","code":"302","pop":"west"`,
		`"front":"redirect","peer":"127.0.0.1","name":"d1001.cdn.test","type":"GET","path":"/a","code":"404"`,
	}
	for _, front := range []string{"udp", "tcp", "tls", "https"} {
		logged = append(logged, fmt.Sprintf(`"front":%q,"peer":"127.0.0.1","client":"10.200.2.0/24","name":"d500.cdn.test.","type":"A","code":"NOERROR","pop":"east"`, front))
	}
	for _, want := range logged {
		labtest.Eventually(t, 20*time.Second, "the query log has "+want, func() bool {
			queries, err := os.ReadFile(filepath.Join(e.dir, "queries"))
			return err == nil && bytes.Contains(queries, []byte(want))
		})
	}
}

// TestTwoPOPsExamples runs the commands at the head of the file, which say where visitors are sent.
func TestTwoPOPsExamples(t *testing.T) {
	e := startExample(t)
	commands, says := headLines(t)
	for i, command := range commands[1:] {
		out, err := exec.CommandContext(t.Context(), "bash", "-c", e.ports.Replace(command)).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v", command, err)
		}
		want, _, _ := strings.Cut(says[i+1], ",")
		found := false
		for addr, pop := range popOf {
			found = found || pop == want && (bytes.Contains(out, []byte(addr)) || bytes.Contains(out, []byte("http://"+pop+"-")))
		}
		if !found {
			t.Errorf("%s: says %s, want an address of %s", command, out, want)
		}
	}
}

// signed reports whether answers have signatures.
func (e *example) signed(t *testing.T) bool {
	t.Helper()
	q := question("d1.cdn.test", "10.1.2.3")
	q.IsEdns0().SetDo()
	in, _, err := (&dns.Client{Net: "tcp", Timeout: 5 * time.Second}).Exchange(q, e.dns)
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(in.Answer, func(r dns.RR) bool { return r.Header().Rrtype == dns.TypeRRSIG })
}

// TestSchedulerFollowsFiles: what changes in the files of a scheduler that stands alone counts without a restart. What is broken is told, once, and
// changes nothing.
func TestSchedulerFollowsFiles(t *testing.T) {
	e := startExample(t, "\n  signed: true\n", "\n  signed: false\n")
	udp := over("udp")
	original, err := os.ReadFile(e.fleet)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		t.Helper()
		fresh := e.fleet + ".new"
		if err := os.WriteFile(fresh, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(fresh, e.fleet); err != nil {
			t.Fatal(err)
		}
	}
	logs := func(what string) func() bool {
		return func() bool { return strings.Contains(e.logged(t), what) }
	}
	if got := udp(t, e, "d1001.cdn.test", "10.1.2.3"); got != "none" {
		t.Fatalf("d1001 leads to %s before it is there", got)
	}
	changed := strings.Replace(string(original), "d[1-1000]", "d[1-1001]", 1)
	changed = strings.Replace(changed, "\n  signed: false\n", "\n  signed: true\n  trusted_proxies: [127.0.0.1/32]\n", 1)
	write(changed)
	if e.signed(t) {
		t.Error("zones are signed before the file says so")
	}
	write(changed)
	labtest.Eventually(t, 20*time.Second, "the file counts", func() bool { return udp(t, e, "d1001.cdn.test", "10.1.2.3") == "west" })
	if !e.signed(t) {
		t.Error("zones are not signed")
	}
	for client, want := range map[string]string{"10.1.2.3": "west", "10.200.2.3": "east"} {
		if got := overRedirect(t, e, "d1001.cdn.test", client); got != want {
			t.Errorf("a trusted proxy's visitor %s is sent to %s, want %s", client, got, want)
		}
	}

	write(strings.Replace(changed, "tier: edge", "tier: edgy", 1))
	labtest.Eventually(t, 20*time.Second, "the mistake is told", logs("the files have changed and cannot be used"))
	if !strings.Contains(e.logged(t), "two-pops.yaml:") || !strings.Contains(e.logged(t), "edgy") {
		t.Errorf("the log does not say where the mistake is:\n%s", e.logged(t))
	}
	if got := udp(t, e, "d1001.cdn.test", "10.200.2.3"); got != "east" {
		t.Errorf("with a broken file, a visitor is sent to %s", got)
	}

	if err := os.Remove(e.fleet); err != nil {
		t.Fatal(err)
	}
	labtest.Eventually(t, 20*time.Second, "its absence is told", logs("no such file"))
	if got := udp(t, e, "d1001.cdn.test", "10.200.2.3"); got != "east" {
		t.Errorf("without a file, a visitor is sent to %s", got)
	}
	write(string(original))
	labtest.Eventually(t, 20*time.Second, "the file counts again", func() bool { return udp(t, e, "d1001.cdn.test", "10.1.2.3") == "none" })
	if n := strings.Count(e.logged(t), "no such file"); n != 1 {
		t.Errorf("its absence was told %d times", n)
	}
}
