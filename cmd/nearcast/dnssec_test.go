package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/control"
	"nearcast/control/wire"
	"nearcast/loadtest/labtest"
)

// hands are a control plane's clock, which a test moves.
type hands struct {
	mu  sync.Mutex // guards now
	now time.Time
}

func (h *hands) time() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *hands) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

// signedPlane runs a control plane of a fleet whose zones are signed until the returned func is called, and returns the environment of a command that
// asks it.
func signedPlane(t *testing.T, dir string, clock *hands) (environment []string, stop func()) {
	t.Helper()
	server, err := control.New(control.Config{
		Dir: dir, APIAddr: "127.0.0.1:0", NATSAddr: "127.0.0.1:0", APIToken: "the-token", NodeSecret: "the-secret", Version: "test",
		Fleet: &cdn.Fleet{
			Zone: "cdn.test", DNS: cdn.DNS{Signed: true}, Zones: []cdn.Zone{{Name: "shop.example"}},
			Nodes: []cdn.Node{{Name: "core-1", Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.2")}, Roles: []cdn.Role{cdn.RoleControl}}},
		},
		Now: clock.time, ZoneSecrets: func() [][]byte { return [][]byte{[]byte("the secret of these keys")} },
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Registry: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- server.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("the-token"), 0o600); err != nil {
		t.Fatal(err)
	}
	return append(os.Environ(), "NEARCAST_API="+server.APIURL(), "NEARCAST_TOKEN_FILE="+token, "PATH="+filepath.Dir(labtest.Program(t))+":"+os.Getenv("PATH")), stop
}

// TestDNSSECExamples runs what docs/OPERATIONS.md shows of keys, with a clock that goes on when it says sleep.
func TestDNSSECExamples(t *testing.T) {
	steps := sectionSteps(t, "DNSSEC")
	if len(steps) < 6 {
		t.Fatalf("only %d steps found", len(steps))
	}
	dir, clock, above := t.TempDir(), &hands{now: time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)}, newParent(t)
	environment, stop := signedPlane(t, dir, clock)
	runKeySteps(t, steps, func(command string) []byte {
		return shell(t, command, append(environment, "NEARCAST_RESOLVER="+above.addr))
	}, func(d time.Duration) {
		above.take(t, shell(t, "nearcast dnssec status -o json", append(environment, "NEARCAST_RESOLVER="+above.addr)))
		stop()
		clock.pass(d)
		environment, stop = signedPlane(t, dir, clock)
	})
}

// shell returns what a command prints. If it fails it says so by a line that begins with "nearcast:".
func shell(t *testing.T, command string, environment []string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-c", command)
	cmd.Env = environment
	out, err := cmd.CombinedOutput()
	if (err != nil) != strings.Contains("\n"+string(out), "\nnearcast: ") {
		t.Errorf("$ %s: %v\n%s", command, err, out)
	}
	return out
}

// runKeySteps runs the steps of a section about keys, and compares what they print. Instead of sleep, pass lets time pass.
func runKeySteps(t *testing.T, steps []step, run func(command string) []byte, pass func(time.Duration)) {
	t.Helper()
	names := map[string]string{}
	for _, s := range steps {
		if later, ok := strings.CutPrefix(s.command, "sleep "); ok {
			d, err := time.ParseDuration(later)
			if err != nil {
				t.Fatal(err)
			}
			pass(d)
			continue
		}
		out := run(s.command)
		// The keys are others each time: those of the document are known by the order in which they come.
		want, got := keysMasked(s.output, names, "doc "), keysMasked(strings.Split(string(out), "\n"), names, "run ")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("OPERATIONS.md:%d: $ %s prints something else (-OPERATIONS.md +got):\n%s", s.line, s.command, diff)
		}
	}
}

// parent is a server of the zones above, which has DS records by name.
type parent struct {
	addr string
	mu   sync.Mutex // guards ds
	ds   map[string][]dns.RR
}

// newParent serves until the test ends.
func newParent(t *testing.T) *parent {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &parent{addr: conn.LocalAddr().String(), ds: make(map[string][]dns.RR)}
	server, done := &dns.Server{PacketConn: conn, Handler: p}, make(chan error, 1)
	go func() { done <- server.ActivateAndServe() }()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return p
}

func (p *parent) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := new(dns.Msg).SetReply(q)
	m.Authoritative = true
	if q.Question[0].Qtype == dns.TypeDS {
		m.Answer = p.ds[q.Question[0].Name]
	}
	w.WriteMsg(m)
}

// take puts the DS records there that a status asks for, and no others.
func (p *parent) take(t *testing.T, status []byte) {
	t.Helper()
	var shown wire.DNSSEC
	if err := json.Unmarshal(status, &shown); err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.ds)
	for _, text := range shown.DS {
		record, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		record.Header().Ttl = 3600
		p.ds[record.Header().Name] = []dns.RR{record}
	}
}

var (
	keyID  = regexp.MustCompile(`\b(\d{8})-(\d{5})\b( +\d+)?`)
	dsText = regexp.MustCompile(`\d+ 13 2 [0-9A-F]{64}`)
	hasTag = regexp.MustCompile(`has \d+ instead`)
	asked  = regexp.MustCompile(`\([0-9.]+:\d+, good`)
)

// keysMasked gives keys the numbers in which they came in one of the texts, and takes spaces and digests away.
func keysMasked(lines []string, names map[string]string, text string) (masked []string) {
	for _, l := range lines {
		l = keyID.ReplaceAllStringFunc(l, func(id string) string {
			id, _, _ = strings.Cut(id, " ")
			if names[text+id] == "" {
				names[text] += "i"
				names[text+id] = "key-" + names[text]
			}
			return names[text+id]
		})
		l = dsText.ReplaceAllString(l, "TAG 13 2 DIGEST")
		l = asked.ReplaceAllString(hasTag.ReplaceAllString(l, "has TAG instead"), "(SERVER, good")
		if l = strings.Join(strings.Fields(l), " "); l != "" {
			masked = append(masked, l)
		}
	}
	return masked
}

// TestDNSSECForms: the same as JSON, and what is printed when something is wrong.
func TestDNSSECForms(t *testing.T) {
	environment, _ := signedPlane(t, t.TempDir(), &hands{now: time.Now()})
	nearcast := func(args ...string) (string, string, error) {
		cmd := exec.CommandContext(t.Context(), labtest.Program(t), append([]string{"dnssec"}, args...)...)
		cmd.Env = append(environment, "NEARCAST_RESOLVER="+newParent(t).addr)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := cmd.Run()
		return stdout.String(), stderr.String(), err
	}
	out, _, err := nearcast("status", "-o", "json")
	var status wire.DNSSEC
	if err != nil || json.Unmarshal([]byte(out), &status) != nil || len(status.Keys) != 1 || len(status.DS) != 2 || !strings.HasPrefix(status.DS[1], "shop.example. IN DS ") {
		t.Errorf("%s, %v", out, err)
	}
	if strings.Contains(out, "sealed") || strings.Contains(out, "public") {
		t.Errorf("more is shown than is anybody's business: %s", out)
	}
	if !strings.Contains(out, `"parents": [`) || !strings.Contains(out, `"found": []`) {
		t.Errorf("what the parents have is not there: %s", out)
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"status", "--resolver", "nowhere"}, `resolver "nowhere": want IP:port`},
		{[]string{"confirm"}, "no key waits for its DS; to begin a roll-over: nearcast dnssec roll"},
		{[]string{"confirm", "nokey"}, "there is no key nokey; nearcast dnssec status lists them"},
		{[]string{"confirm", status.Keys[0].ID}, "is active already; nothing has to be confirmed"},
		{[]string{"confirm", "a", "b"}, "accepts at most 1 arg"},
	} {
		if _, stderr, err := nearcast(tt.args...); err == nil || !strings.Contains(stderr, tt.want) {
			t.Errorf("%q: %v, %s; want %s", tt.args, err, stderr, tt.want)
		}
	}
}
