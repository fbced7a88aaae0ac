package e2e_test

import (
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"nearcast/loadtest/labtest"
)

const (
	visitorCount    = 8
	asksPerVisitor  = 250
	failuresAllowed = 3 // of a visitor, so that one defect is not told a thousand times
)

// TestRealFilesInEveryForm asks for files of the Go distribution in every coding, in parts and with conditions,
// through DNS and edge nodes, of the web origin and of the S3 origin, while URLs are purged and nodes die. No octet may be wrong or missing,
// and no field may say what is not so. NEARCAST_E2E_SEED repeats a run's requests.
func TestRealFilesInEveryForm(t *testing.T) {
	seed := seedOf(t)
	t.Logf("NEARCAST_E2E_SEED=%d", seed)
	dir := t.TempDir()
	names := copyFiles(t, rand.New(rand.NewPCG(seed, 0)), goroot(t), dir)
	lab := labtest.Start(t, "--content", dir, "--s3-content", dir)
	applyRealSites(t, lab)
	contents := realContents(t, lab, dir, names)
	all := &crowd{
		forms: newForms(contents), contents: contents, tallies: make(map[string]int),
		mortal: netip.MustParseAddrPort(lab.Node(t, "fra-1").HTTP).Addr(),
	}
	var visitors sync.WaitGroup
	for i := range visitorCount {
		v := newVisitor(t, lab, all, rand.New(rand.NewPCG(seed, uint64(i)+1)))
		visitors.Go(func() { v.stay(t) })
	}
	ended := make(chan struct{})
	go func() {
		visitors.Wait()
		close(ended)
	}()
	defer func() { <-ended }()
	disturb(t, lab, all, ended)
	<-ended
	t.Logf("%d requests for %d contents:\n%s", all.asked.Load(), len(contents), all.report())
	for _, kind := range everyKind() {
		if all.tallies[kind] == 0 {
			t.Errorf("no answer of the kind %q: the test does not test it", kind)
		}
	}
}

// everyKind lists kinds of answers that there must have been.
func everyKind() []string {
	kinds := []string{
		"GET 200", "GET 206", "GET 206 parts", "GET 206 if-range", "GET 200 if-range", "GET 304", "GET 416", "HEAD 200",
		"GET 206 gzip parts",
	}
	for _, coding := range []string{"gzip", "br", "zstd"} {
		kinds = append(kinds, "GET 200 "+coding, "GET 206 "+coding, "HEAD 200 "+coding)
	}
	return kinds
}

func seedOf(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("NEARCAST_E2E_SEED")
	if text == "" {
		return rand.Uint64()
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("NEARCAST_E2E_SEED: %v", err)
	}
	return seed
}

func newVisitor(t *testing.T, lab *labtest.Lab, all *crowd, rng *rand.Rand) *visitor {
	t.Helper()
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	subnet := nearFrankfurt
	if rng.IntN(3) == 0 {
		subnet = nearLondon
	}
	then := *lab // the test's own changes when a process starts again
	return &visitor{lab: &then, port: lab.HTTPPort(t), rng: rng, subnet: subnet, client: &http.Client{Transport: transport}, crowd: all}
}

// stay makes the visitor's requests.
func (v *visitor) stay(t *testing.T) {
	t.Helper()
	failures := 0
	for range asksPerVisitor {
		if failures == failuresAllowed {
			return
		}
		if err := v.visit(t.Context()); err != nil {
			t.Error(err)
			failures++
		}
	}
}

// disturb purges URLs, kills nodes and starts them again, spread over the requests of the visitors.
func disturb(t *testing.T, lab *labtest.Lab, all *crowd, ended <-chan struct{}) {
	t.Helper()
	steps := []func(){
		func() { purgeSome(t, lab, all.contents) },
		func() { lab.Kill(t, "ams-1") },
		func() { lab.StartAgain(t, "ams-1") },
		func() { lab.Kill(t, "fra-1") },
		func() { lab.StartAgain(t, "fra-1") },
		func() { purgeSome(t, lab, all.contents) },
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for i, step := range steps {
		for all.asked.Load() < int64(visitorCount*asksPerVisitor*(i+1)/(len(steps)+1)) {
			select {
			case <-tick.C:
			case <-ended:
				return
			}
		}
		step()
	}
}

// purgeSome purges every third content.
func purgeSome(t *testing.T, lab *labtest.Lab, contents []*content) {
	t.Helper()
	args := []string{"purge", "url"}
	for i := 0; i < len(contents); i += 3 {
		args = append(args, "http://"+contents[i].domain+contents[i].path)
	}
	lab.Run(t, args...)
}
