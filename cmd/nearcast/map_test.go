package main_test

import (
	"bufio"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"nearcast/cdn"
	"nearcast/deploy"
	"nearcast/internal/freeport"
	"nearcast/internal/httpjson"
	"nearcast/loadtest/labtest"
)

const fleetSecret = "the secret of the fleet"

// derived is the part of the fleet's secret for a purpose, as the program derives it.
func derived(t *testing.T, purpose string) string {
	t.Helper()
	key, err := hkdf.Key(sha256.New, []byte(fleetSecret), nil, "nearcast/"+purpose, 32)
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(key)
}

// fakeScheduler answers as the API of a scheduler does.
type fakeScheduler struct {
	*httptest.Server
	mu     sync.Mutex // guards the following
	status cdn.MapStatus
	route  cdn.RouteExplanation
}

func newScheduler(t *testing.T, name cdn.NodeName) *fakeScheduler {
	t.Helper()
	s := &fakeScheduler{status: mapOf(name), route: routeOf(name)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/map", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		httpjson.Write(w, http.StatusOK, s.status)
	})
	mux.HandleFunc("POST /v1/map/accept", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.status.Frozen == "" {
			httpjson.WriteError(w, cdn.Errorf(cdn.Conflict, "", "nothing is frozen"))
			return
		}
		httpjson.Write(w, http.StatusOK, cdn.MapAcceptance{Scheduler: name, Accepted: s.status.Frozen})
	})
	mux.HandleFunc("GET /v1/route", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		e := s.route
		e.Name, e.Client = cdn.Domain(r.FormValue("name")), r.FormValue("client")
		httpjson.Write(w, http.StatusOK, e)
	})
	s.Server = httptest.NewServer(httpjson.RequireBearer(derived(t, "scheduler"), mux))
	t.Cleanup(s.Close)
	return s
}

func (s *fakeScheduler) change(edit func(*cdn.MapStatus)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	edit(&s.status)
}

func mapOf(name cdn.NodeName) cdn.MapStatus {
	return cdn.MapStatus{
		Scheduler: name, TableAge: 1.25, Ageing: "fresh", Groups: 4711, Demand: 1.5e9, Capacity: 3.75e9, Moved: 0.004,
		Map:    cdn.MapVersion{Epoch: "e", Version: 90, Slot: 18, Steps: 17, Digest: "0123456789abcdef", At: time.Now().Add(-time.Hour * 4)},
		Alarms: []string{"the table knows no node of POP par"},
		POPs: []cdn.MapPOP{
			{POP: "fra", State: cdn.POPUp, Nodes: 2, Usable: 2, Share: 0.6, Planned: 0.425, Load: 0.41, Factor: 1, Capacity: 2.5e9, Octets: 1e9, HitRatio: 0.973},
			{POP: "lon", Draining: true, Nodes: 1, Load: -1, Factor: 0.94},
		},
	}
}

func routeOf(name cdn.NodeName) cdn.RouteExplanation {
	return cdn.RouteExplanation{
		Scheduler: name, Site: "shop", Group: "net 203.0.113.0/24", Place: "Munich, DE, AS64500", Scope: 24, POP: "fra", Nodes: []cdn.NodeName{"fra-1", "fra-2"},
		Reason: "cheapest, and there is room", Policies: []string{"licence"}, Map: mapOf(name).Map, TableAge: 1.25, Alarms: []string{"the map is frozen"},
		Candidates: []cdn.RouteCandidate{
			{POP: "fra", Cost: 12.25, Terms: []cdn.CostTerm{{Term: "rtt", MS: 10}, {Term: "jitter", MS: 2.25}}, Share: 0.9, State: "up", Planned: 0.425, Load: 0.41, N: 120, Age: 3, Why: "cheapest"},
			{POP: "lon", Cost: 31.5, Terms: []cdn.CostTerm{{Term: "rtt", MS: 21.5}, {Term: "price", MS: 10}}, State: "up,draining", Planned: -1, Load: -1, Age: -1, Why: "draining"},
		},
	}
}

// newTable serves a route table as the route-quality service does.
func newTable(t *testing.T) string {
	t.Helper()
	at := time.Now().Add(-time.Hour * 4).Truncate(time.Second)
	table := cdn.RouteTable{
		Epoch: "e", Version: 90, At: at, Nodes: []cdn.NodeHealth{},
		Groups: []*cdn.VisitorGroup{
			{Name: "net 192.0.2.0/24", Octets: 1000, Requests: 1, Paths: []cdn.Path{{POP: "lon", Quality: cdn.Quality{R50: 40, R90: 60}}}},
			{Name: "place AS64500/DE", Octets: 2.5e6, Requests: 12.5, Paths: []cdn.Path{
				{POP: "fra", Quality: cdn.Quality{R50: 8.25, R90: 12, Loss: 0.012, Failures: 0.001, N: 120, Measured: at.Unix() - 7}},
				{POP: "lon", Quality: cdn.Quality{R50: 21, R90: 30, N: 4, Measured: at.Unix() - 100}},
			}},
		},
		Links: []*cdn.Link{
			{From: "fra", To: "lon", Quality: cdn.Quality{R50: 14, R90: 15, N: 50, Measured: at.Unix() - 1}},
			{From: "lon", To: "http://127.0.0.1:9000", Quality: cdn.Quality{R50: 1, R90: 2, Failures: 0.5, N: 50, Measured: at.Unix() - 1}},
		},
	}
	server := httptest.NewServer(httpjson.RequireBearer(derived(t, "route-table"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("version") == "90" {
			<-r.Context().Done() // nothing new
			return
		}
		httpjson.Write(w, http.StatusOK, map[string]any{"tables": []cdn.RouteTable{table}})
	})))
	t.Cleanup(server.Close)
	return server.URL
}

// startControl runs the control plane as a process of its own, and returns what makes a command of an operator.
func startControl(t *testing.T, args ...string) func(args ...string) *exec.Cmd {
	t.Helper()
	dir, api, admin := t.TempDir(), freeport.Addr(t), freeport.Addr(t)
	file := func(name, content string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	token := file("token", "the token of the operators")
	cmd := exec.CommandContext(t.Context(), labtest.Program(t), append([]string{
		"control", "--dir", filepath.Join(dir, "state"), "--listen", api, "--feed", freeport.Addr(t), "--admin", admin, "--log-level", "warn",
		"--token-file", token, "--secret-file", file("secret", fleetSecret), "--fleet", file("fleet.yaml", string(deploy.LabFleet)),
	}, args...)...)
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
	})
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	labtest.Eventually(t, 20*time.Second, "control is ready", func() bool {
		resp, err := client.Get("http://" + admin + "/readyz")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return func(args ...string) *exec.Cmd {
		return exec.CommandContext(t.Context(), labtest.Program(t), append(args, "--api", "http://"+api, "--token-file", token)...)
	}
}

// expect runs a command of an operator and compares what it prints. A "~" stands for the rest of a line that differs from run to run.
func expect(t *testing.T, cmd *exec.Cmd, want string) {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd.Args, err, out)
	}
	if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), cut(string(out), want)); diff != "" {
		t.Errorf("%s prints something else (-want +got):\n%s", cmd.Args, diff)
	}
}

// cut cuts lines where those of want have a "~".
func cut(got, want string) string {
	lines, wants := strings.Split(got, "\n"), strings.Split(strings.TrimPrefix(want, "\n"), "\n")
	for i := range lines {
		if i < len(wants) && strings.HasSuffix(wants[i], "~") && strings.HasPrefix(lines[i], strings.TrimSuffix(wants[i], "~")) {
			lines[i] = wants[i]
		}
	}
	return strings.Join(lines, "\n")
}

func TestMapCommands(t *testing.T) {
	one, two := newScheduler(t, "core-1"), newScheduler(t, "core-2")
	nearcast := startControl(t, "--scheduler", one.URL+","+two.URL, "--routequality", newTable(t))

	expect(t, nearcast("explain", "route", "www.shop.example", "--client", "203.0.113.7"), `
name      www.shop.example
site      shop
client    203.0.113.7
group     net 203.0.113.0/24
place     Munich, DE, AS64500
policies  licence
answer    fra: fra-1,fra-2
why       cheapest, and there is room
scope     203.0.113.0/24
map       version 90, slot 18, step 17, digest 0123456789ab, made 4h ago, of core-1
table     1.2s old
alarm     the map is frozen

POP  COST    RTT   JITTER  PRICE  SHARE  STATE        PLANNED  LOAD   N    AGE   WHY
fra  12.2ms  10.0  2.2     0.0    90.0%  up           42.5%    41.0%  120  3.0s  cheapest
lon  31.5ms  21.5  0.0     10.0   0.0%   up,draining  -        -      0    -     draining
`)
	for _, scheduler := range []string{"core-1", "core-2"} {
		out, err := nearcast("explain", "route", "www.shop.example", "--client", "2001:db8::1", "--scheduler", scheduler, "-o", "json").CombinedOutput()
		if err != nil || !strings.Contains(string(out), fmt.Sprintf(`"scheduler": %q`, scheduler)) || !strings.Contains(string(out), `"client": "2001:db8::1"`) {
			t.Errorf("as %s: %v\n%s", scheduler, err, out)
		}
	}
	refusals := []struct{ want, command string }{
		{"want the IP address of a visitor", "explain route www.shop.example --client nobody"},
		{"there is no scheduler core-3", "explain route www.shop.example --client 192.0.2.1 --scheduler core-3"},
		{"client", "explain route www.shop.example"},
		{"accepts 1 arg", "explain route --client 192.0.2.1"},
		{"--limit -1", "routes --limit -1"},
		{"group", "routes --group x --links"},
	}
	for _, r := range refusals {
		if out, err := nearcast(strings.Fields(r.command)...).CombinedOutput(); err == nil || !strings.Contains(string(out), r.want) {
			t.Errorf("%s: %v\n%s", r.command, err, out)
		}
	}

	block := `
schedulers  2, all with the same map
map         version 90, slot 18, step 17, digest 0123456789ab, made 4h ago, of core-1
table       1.2s old; what was measured is fresh
demand      12Gbit/s of 30Gbit/s, 4711 groups; the last step moved 0.4%
alarm       the table knows no node of POP par

POP  STATE             NODES  SHARE  PLANNED  LOAD   FACTOR  CAPACITY  SENDS     HITS
fra  up                2/2    60.0%  42.5%    41.0%  1.00    20Gbit/s  8.0Gbit/s  97.3%
lon  unknown,draining  0/1    0.0%   0.0%     -      0.94    -         0bit/s    0.0%
`
	block = strings.NewReplacer("SENDS     HITS", "SENDS      HITS", "0bit/s    0.0%", "0bit/s     0.0%").Replace(block)
	expect(t, nearcast("map"), block)
	two.change(func(m *cdn.MapStatus) { m.Map.Version, m.Map.Digest = 91, "fedcba9876543210" })
	expect(t, nearcast("map"), strings.Replace(block, "2, all with the same map", "2 of 2 answer and are of different versions just now: 0123456789ab at core-1; fedcba987654 at core-2", 1))
	two.change(func(m *cdn.MapStatus) { m.Map.Version, m.Frozen = 90, "" })
	one.change(func(m *cdn.MapStatus) { m.Frozen = "4 of 10 POPs went down within 30s" })
	frozen := strings.Replace(block, "alarm   ", "frozen      4 of 10 POPs went down within 30s (if that is true: nearcast map accept)\nalarm   ", 1)
	expect(t, nearcast("map"), strings.Replace(frozen, "2, all with the same map", "2 of 2 answer and DISAGREE: 0123456789ab at core-1; fedcba987654 at core-2", 1))
	expect(t, nearcast("map", "accept"), "\n"+fmt.Sprintf("%-*s  ", len(two.URL), "SCHEDULER")+`ACCEPTS
`+fmt.Sprintf("%-*s  ", len(two.URL), "core-1")+`4 of 10 POPs went down within 30s
`+two.URL+`  nothing: its map is not frozen, and no table is doubted
`)
	one.change(func(m *cdn.MapStatus) { m.Frozen = "" })
	two.Close()
	if out, err := nearcast("map", "accept").CombinedOutput(); err == nil || !strings.Contains(string(out), "not all of them answer") || !strings.Contains(string(out), two.URL+"  no answer: ") {
		t.Errorf("accepted by nobody: %v\n%s", err, out)
	}
	expect(t, nearcast("map"), strings.Replace(block, "2, all with the same map", "1 of 2 answer, all with the same map\nno answer   scheduler "+two.URL+" cannot be asked ~", 1))
	one.Close()
	expect(t, nearcast("map"), "schedulers  none of 2 answers\nno answer   scheduler "+one.URL+" ~\nno answer   scheduler "+two.URL+" ~\n")

	expect(t, nearcast("routes"), `
GROUP             ASKS       REQUESTS  POP  R50   R90   LOSS  FAILURES  N    AGE
place AS64500/DE  20Mbit/s   12.5/s    fra  8.2   12.0  1.2%  0.1%      120  7.0s
                                       lon  21.0  30.0  0.0%  0.0%      4    100s
net 192.0.2.0/24  8.0kbit/s  1.0/s     lon  40.0  60.0  0.0%  0.0%      0    -
2 of 2 groups, of version 90 of the table, published 4h ago
`)
	expect(t, nearcast("routes", "--limit", "1", "--group", "NET"), `
GROUP             ASKS       REQUESTS  POP  R50   R90   LOSS  FAILURES  N  AGE
net 192.0.2.0/24  8.0kbit/s  1.0/s     lon  40.0  60.0  0.0%  0.0%      0  -
1 of 1 groups, of version 90 of the table, published 4h ago
`)
	expect(t, nearcast("routes", "--links", "--limit", "1"), `
FROM  TO   R50   R90   LOSS  FAILURES  N   AGE
fra   lon  14.0  15.0  0.0%  0.0%      50  1.0s
1 of 2 links, of version 90 of the table, published 4h ago; --limit 0 shows all
`)
	if out, err := nearcast("routes", "--links", "-o", "json").CombinedOutput(); err != nil || !strings.Contains(string(out), `"to": "http://127.0.0.1:9000"`) {
		t.Errorf("as JSON: %v\n%s", err, out)
	}
}

// Where nobody looks, the map is shown whenever something but figures changes, and an interrupt is a good end.
func TestMapWatch(t *testing.T) {
	s := newScheduler(t, "core-1")
	nearcast := startControl(t, "--scheduler", s.URL)
	cmd := nearcast("map", "--watch")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string)
	go func() {
		defer close(lines)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			lines <- scan.Text()
		}
	}()
	next := func(prefix string) {
		t.Helper()
		for {
			select {
			case line := <-lines:
				if strings.HasPrefix(line, prefix) {
					return
				}
				if strings.HasPrefix(line, "lon") {
					t.Fatalf("%q, before a line %q", line, prefix)
				}
			case <-time.After(20 * time.Second):
				t.Fatalf("no line %q", prefix)
			}
		}
	}
	next("lon  unknown,draining")
	s.change(func(m *cdn.MapStatus) { m.POPs[0].Load, m.TableAge = 0.5, 3 }) // figures alone are no news
	s.change(func(m *cdn.MapStatus) { m.POPs[1].Draining = false })
	next("lon  unknown  ")
	s.change(func(m *cdn.MapStatus) { m.Frozen = "a test" })
	next("frozen      a test")
	next("lon  unknown  ")
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for line := range lines {
		t.Errorf("one more line: %q", line)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after an interrupt: %v, want a clean end", err)
	}
}

// terminal returns both ends of a terminal: what is written to the second is read from the first.
func terminal(t *testing.T) (screen, program *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("there are no terminals here: %v", err)
	}
	t.Cleanup(func() { screen.Close() })
	number, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	if program, err = os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return screen, program
}

// On a terminal the map is drawn over itself, changed or not.
func TestMapWatchOnTerminal(t *testing.T) {
	s := newScheduler(t, "core-1")
	nearcast := startControl(t, "--scheduler", s.URL)
	screen, program := terminal(t)
	cmd := nearcast("map", "--watch")
	cmd.Stdout, cmd.Stderr = program, t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	seen := make(chan string)
	go func() {
		var text strings.Builder
		for part := make([]byte, 4096); strings.Count(text.String(), "\x1b[J") < 2; {
			n, err := screen.Read(part)
			if err != nil {
				break
			}
			text.Write(part[:n])
		}
		seen <- text.String()
	}()
	select {
	case text := <-seen:
		draws := strings.Split(text, "\x1b[J")
		if len(draws) < 3 || !strings.HasPrefix(draws[0], "\x1b[2J\x1b[Hschedulers") || !strings.HasPrefix(draws[1], "\x1b[Hschedulers") {
			t.Errorf("drawn was %q", text)
		}
		if !strings.Contains(text, "the same map\x1b[K\r\n") {
			t.Errorf("lines are not cleared to their ends: %q", text)
		}
	case <-time.After(20 * time.Second):
		t.Error("not drawn twice")
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after an interrupt: %v, want a clean end", err)
	}
}

// Without schedulers the commands say how to mend it.
func TestMapWithoutSchedulers(t *testing.T) {
	nearcast := startControl(t)
	for command, want := range map[string]string{
		"map": "control knows no scheduler; start it with --scheduler URL", "explain route a.example --client 192.0.2.1": "start it with --scheduler URL",
		"routes": "it follows none (--routequality URL)",
	} {
		if out, err := nearcast(strings.Fields(command)...).CombinedOutput(); err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v\n%s", command, err, out)
		}
	}
}
