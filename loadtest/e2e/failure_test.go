package e2e_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nearcast/loadtest/labtest"
)

const webDomain = "www.web.example"

func contains(t *testing.T, lab *labtest.Lab, subnet netip.Prefix, node string) bool {
	t.Helper()
	want := netip.MustParseAddrPort(lab.Node(t, node).HTTP).Addr()
	return slices.Contains(lab.Addresses(t, webDomain, subnet), want)
}

func TestKilledEdgeNodeLeavesDNSAndComesBack(t *testing.T) {
	lab := labtest.Start(t)
	if !contains(t, lab, nearFrankfurt, "fra-1") || !contains(t, lab, nearFrankfurt, "fra-2") {
		t.Fatal("not both nodes of Frankfurt are in the answer to begin with")
	}
	others := []string{lab.Node(t, "fra-2").HTTP, lab.Node(t, "lon-1").HTTP}
	ctx, cancel := context.WithCancel(t.Context())
	var visitors sync.WaitGroup
	var served, failed atomic.Int64
	for i := range 4 {
		visitors.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				path := fmt.Sprintf("/src/fmt/print.go?visitor=%d&n=%d", i, n%50)
				resp, err := lab.Get(t.Context(), others[(i+n)%2], webDomain, path)
				if err != nil || resp.StatusCode != http.StatusOK {
					failed.Add(1)
					t.Errorf("through %s: %v %v", others[(i+n)%2], resp, err)
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				served.Add(1)
			}
		})
	}
	lab.Kill(t, "fra-1")
	took := labtest.Eventually(t, 3*time.Second, "fra-1 out of DNS", func() bool { return !contains(t, lab, nearFrankfurt, "fra-1") })
	t.Logf("out of DNS after %s", took)
	lab.StartAgain(t, "fra-1")
	back := labtest.Eventually(t, 10*time.Second, "fra-1 back in DNS", func() bool { return contains(t, lab, nearFrankfurt, "fra-1") })
	t.Logf("back in DNS %s after it was ready; %d requests through the others", back, served.Load())
	cancel()
	visitors.Wait()
	if served.Load() == 0 || failed.Load() != 0 {
		t.Errorf("%d requests served and %d failed through the other nodes", served.Load(), failed.Load())
	}
}

func TestWhenMoreThanHalfLookDeadAllAreUsed(t *testing.T) {
	lab := labtest.Start(t)
	lab.Kill(t, "fra-1")
	labtest.Eventually(t, 3*time.Second, "fra-1 out of DNS", func() bool { return !contains(t, lab, nearFrankfurt, "fra-1") })
	lab.Kill(t, "fra-2")
	labtest.Eventually(t, 5*time.Second, "Frankfurt out of DNS, since Paris and London are there", func() bool {
		return !contains(t, lab, nearFrankfurt, "fra-1") && !contains(t, lab, nearFrankfurt, "fra-2")
	})
	lab.Kill(t, "par-1")
	labtest.Eventually(t, 10*time.Second, "all are used, since three of four look dead", func() bool {
		return contains(t, lab, nearFrankfurt, "fra-1") || contains(t, lab, nearFrankfurt, "fra-2")
	})
}

func TestKilledRegionalNode(t *testing.T) {
	lab := labtest.Start(t)
	edge := lab.EdgeNodes()[0].HTTP
	lab.Kill(t, "ams-1")
	for i := range 40 { // about half of these belong to the dead node
		resp, _ := lab.Fetch(t, edge, webDomain, fmt.Sprintf("/LICENSE?n=%d", i))
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("request %d: %s", i, resp.Status)
		}
	}
	lab.Kill(t, "ams-2")
	for i := range 10 { // no regional node is left: the origin is asked directly
		resp, _ := lab.Fetch(t, edge, webDomain, fmt.Sprintf("/LICENSE?m=%d", i))
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("request %d without regional nodes: %s", i, resp.Status)
		}
	}
}

func TestEverythingServesWithoutControl(t *testing.T) {
	lab := labtest.Start(t)
	origin := newOrigin(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "still here")
	})
	const domain = "www.kept.example"
	addDomain(t, lab, domain, origin.URL)
	lab.Kill(t, "core-1.control")

	for _, name := range []string{"fra-1", "ams-1", "ams-2", "core-1.scheduler", "core-1.routequality"} {
		lab.Kill(t, name)
		labtest.Eventually(t, 10*time.Second, name+" started without control", func() bool {
			lab.StartAgain(t, name)
			return true
		})
	}
	labtest.Eventually(t, 10*time.Second, "DNS answers for what was configured", func() bool { return len(lab.Addresses(t, domain, nearFrankfurt)) > 0 })
	for _, n := range lab.Nodes {
		if resp, body := lab.Fetch(t, n.HTTP, domain, "/x"); resp.StatusCode != http.StatusOK || string(body) != "still here" {
			t.Errorf("%s without control: %s %q", n.Name, resp.Status, body)
		}
	}
	lab.StartAgain(t, "core-1.control")
	addDomain(t, lab, "www.late.example", origin.URL)
	if resp, _ := lab.Fetch(t, lab.Node(t, "fra-1").HTTP, "www.late.example", "/x"); resp.StatusCode != http.StatusOK {
		t.Errorf("a site added after control came back: %s", resp.Status)
	}
}

func TestThousandFirstRequestsAreOneOriginRequest(t *testing.T) {
	lab := labtest.Start(t)
	object := make([]byte, 10<<20)
	for i := range object {
		object[i] = byte(i * 7 >> 3)
	}
	want := sha256.Sum256(object)
	origin := newOrigin(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=600")
		http.ServeContent(w, &http.Request{Method: http.MethodGet}, "", time.Time{}, bytes.NewReader(object))
	})
	const domain = "www.big.example"
	addDomain(t, lab, domain, origin.URL)

	edges := lab.EdgeNodes()
	var readers sync.WaitGroup
	for i := range 1000 {
		readers.Go(func() {
			resp, err := lab.Get(t.Context(), edges[i%len(edges)].HTTP, domain, "/big")
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			sum := sha256.New()
			if n, err := io.Copy(sum, resp.Body); err != nil || !bytes.Equal(sum.Sum(nil), want[:]) {
				t.Errorf("%s: %d bytes, %v", resp.Status, n, err)
			}
		})
	}
	readers.Wait()
	if n := origin.requests("/big"); n != 1 {
		t.Errorf("%d origin requests, want exactly 1", n)
	}
}

func TestLabKeepsItsStateOverARestart(t *testing.T) {
	lab := labtest.Start(t)
	addDomain(t, lab, "www.kept.example", lab.Origins[0].URL)
	lab.Run(t, "purge", "url", "http://www.kept.example/LICENSE")
	lab.Restart(t)
	if resp, _ := lab.Fetch(t, lab.EdgeNodes()[0].HTTP, "www.kept.example", "/LICENSE"); resp.StatusCode != http.StatusOK {
		t.Errorf("a site after a restart of everything: %s", resp.Status)
	}
	if out := lab.Run(t, "purge", "url", "--wait", "http://www.kept.example/LICENSE", "-o", "json"); !strings.Contains(out, `"revision": 2`) {
		t.Errorf("the purge log did not go on after the restart:\n%s", out)
	}
}

func TestNothingOutlivesAKilledDriver(t *testing.T) {
	lab := labtest.Start(t)
	lab.KillDriver(t)
	for _, p := range lab.Processes {
		labtest.Eventually(t, 5*time.Second, p.Name+" has ended", func() bool { return !lab.Alive(p) })
	}
}
