package main_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"nearcast/internal/freeport"
	"nearcast/loadtest/labtest"
)

// TestGeoExamples runs the examples of docs/OPERATIONS.md about where visitors are. What a file is shown to have, it has.
func TestGeoExamples(t *testing.T) {
	steps := sectionSteps(t, "Where visitors are")
	if len(steps) < 6 {
		t.Fatalf("only %d steps found", len(steps))
	}
	dir := t.TempDir()
	for _, s := range steps {
		if file, ok := strings.CutPrefix(s.command, "cat "); ok {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(strings.Join(s.output, "\n")+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			continue
		}
		cmd := exec.CommandContext(t.Context(), "bash", "-c", s.command)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(labtest.Program(t))+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		want := strings.Join(s.output, "\n")
		if refused := strings.Contains(want, "nothing was changed"); (err != nil) != refused {
			t.Errorf("OPERATIONS.md:%d: $ %s: %v", s.line, s.command, err)
		}
		if diff := cmp.Diff(strings.TrimSpace(want), strings.TrimSpace(string(out))); diff != "" {
			t.Errorf("OPERATIONS.md:%d: $ %s prints something else (-document +got):\n%s", s.line, s.command, diff)
		}
	}
}

// build makes a database of lines of CSV in a directory.
func build(t *testing.T, dir string, lines ...string) {
	t.Helper()
	text := "prefix,country,latitude,longitude,isp\n" + strings.Join(lines, "\n") + "\n"
	if err := os.WriteFile(filepath.Join(dir, "in.csv"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), labtest.Program(t), "geo", "build", "--out", filepath.Join(dir, "geo.mmdb"), filepath.Join(dir, "in.csv")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

const geoFleet = `
zone: cdn.test
pops:
- {name: fra, region: europe, tier: edge, location: {latitude: 50.1, longitude: 8.7, country: DE}}
- {name: tyo, region: asia, tier: edge, location: {latitude: 35.7, longitude: 139.7, country: JP}}
nodes:
- {name: fra-1, pop: fra, roles: [edge], addresses: [192.0.2.1]}
- {name: tyo-1, pop: tyo, roles: [edge], addresses: [192.0.2.2]}
- {name: core, roles: [scheduler], addresses: [192.0.2.3]}
clients:
- {prefix: 198.51.100.128/25, location: {latitude: 35.7, longitude: 139.7, country: JP}}
geo: [%s]
`

// startScheduler runs a scheduler from files until the test ends, and returns where it answers DNS and its admin address.
func startScheduler(t *testing.T, dir string) (addr, admin string) {
	t.Helper()
	addr, admin = freeport.Addr(t), freeport.Addr(t)
	for name, text := range map[string]string{
		"fleet.yaml": fmt.Sprintf(geoFleet, filepath.Join(dir, "geo.mmdb")),
		"site.yaml":  "site: shop\ndomains: [www.shop.example]\norigin: {urls: [\"http://127.0.0.1:9\"]}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(labtest.Program(t), "scheduler", "--listen", addr, "--admin", admin,
		"--fleet", filepath.Join(dir, "fleet.yaml"), "--site", filepath.Join(dir, "site.yaml"))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the scheduler ended with %v", err)
		}
	})
	labtest.Eventually(t, 10*time.Second, "ready", func() bool {
		resp, err := visit(t.Context(), admin, "/readyz")
		return err == nil && resp.StatusCode == http.StatusOK
	})
	return addr, admin
}

// steer asks for the site on behalf of a client and returns the first address and the scope of the answer.
func steer(t *testing.T, server, client string) string {
	t.Helper()
	addr := netip.MustParseAddr(client)
	q := new(dns.Msg).SetQuestion("www.shop.example.cdn.test.", dns.TypeA)
	q.SetEdns0(1232, false)
	subnet := &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: net.IP(addr.AsSlice()).Mask(net.CIDRMask(24, 32))}
	q.IsEdns0().Option = append(q.IsEdns0().Option, subnet)
	in, err := dns.Exchange(q, server)
	if err != nil || len(in.Answer) == 0 {
		t.Fatalf("no answer: %v %v", err, in)
	}
	scope := uint8(0)
	for _, o := range in.IsEdns0().Option {
		if s, ok := o.(*dns.EDNS0_SUBNET); ok {
			scope = s.SourceScope
		}
	}
	return fmt.Sprintf("%s/%d", in.Answer[0].(*dns.A).A, scope)
}

func fetched(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestSchedulerFollowsGeo: a scheduler answers by what geo build makes, follows a new file, and keeps what it knew when the file is damaged.
func TestSchedulerFollowsGeo(t *testing.T) {
	const fra, tyo = "192.0.2.1", "192.0.2.2"
	dir := t.TempDir()
	build(t, dir, "203.0.113.0/24,DE,50,8,", "10.0.0.0/8,JP,,,x", "10.1.0.0/16,DE,,,x", "198.51.100.0/23,DE,50,8,y")
	dnsAddr, admin := startScheduler(t, dir)
	for client, want := range map[string]string{
		"203.0.113.7":  fra + "/24",
		"10.7.0.1":     tyo + "/14", // a country alone: the middle of its POPs; 10.0.0.0/13 has two places
		"10.1.2.3":     fra + "/16",
		"198.51.101.1": fra + "/24",
	} {
		if got := steer(t, dnsAddr, client); got != want {
			t.Errorf("%s is sent to %s, want %s", client, got, want)
		}
	}
	build(t, dir, "203.0.113.0/24,JP,36,140,")
	labtest.Eventually(t, 30*time.Second, "the new database", func() bool { return steer(t, dnsAddr, "203.0.113.7") == tyo+"/24" })
	if err := os.WriteFile(filepath.Join(dir, "geo.mmdb"), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	labtest.Eventually(t, 30*time.Second, "an alarm", func() bool {
		return strings.Contains(fetched(t, "http://"+admin+"/metrics"), "nearcast_geo_bad_files 1")
	})
	if got := steer(t, dnsAddr, "203.0.113.7"); got != tyo+"/24" {
		t.Errorf("with a damaged file, %s", got)
	}
}
