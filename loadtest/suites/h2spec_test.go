package suites_test

import (
	"encoding/xml"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"nearcast/loadtest/labtest"
)

// h2specTests is how many tests h2spec 2.2.1 has, without those that it calls strict.
const h2specTests = 145

// junit is what h2spec reports.
type junit struct {
	Suites []struct {
		Package string `xml:"package,attr"`
		Cases   []struct {
			Package string    `xml:"package,attr"`
			Name    string    `xml:"classname,attr"`
			Failure *struct{} `xml:"failure"`
			Skipped *struct{} `xml:"skipped"`
			Error   *struct {
				Text string `xml:",chardata"`
			} `xml:"error"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

// TestH2spec runs the public suite of tests of RFC 7540 and RFC 7541, once: what fails now and then is a race, and fails.
func TestH2spec(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	suite := filepath.Join(labtest.Root(t), "bin", "h2spec")
	if _, err := os.Stat(suite); err != nil {
		t.Skip("bin/h2spec is not built; `make test` builds it")
	}
	e := startEdge(t)
	serve(t, e.originPort, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		// More than a window: an answer that is complete before the suite's next frame closes the stream, and
		// what then comes is rightly ignored where the suite wants an error (5.1/8, 5.1/9, 6.9.1/3).
		w.Write(make([]byte, 100_000))
	}))
	ran, failing := h2spec(t, suite, e)
	if ran != h2specTests {
		t.Errorf("h2spec ran %d tests, want %d", ran, h2specTests)
	}
	compare(t, "h2spec", failing)
}

// h2spec runs the suite and returns how many tests it ran and the ids of those that did not pass.
func h2spec(t *testing.T, suite string, e edge) (ran int, failing map[string]string) {
	t.Helper()
	host, port, err := net.SplitHostPort(e.tls)
	if err != nil {
		t.Fatal(err)
	}
	report := filepath.Join(t.TempDir(), "junit.xml")
	out := output(t, nil, suite, "--host", host, "--port", port, "--tls", "--insecure", "--timeout", "5", "--junit-report", report)
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatalf("h2spec made no report: %v\n%s", err, out)
	}
	var r junit
	if err := xml.Unmarshal(text, &r); err != nil {
		t.Fatalf("reading h2spec's report: %v\n%s", err, text)
	}
	failing = map[string]string{}
	for _, s := range r.Suites {
		for _, c := range s.Cases {
			ran++
			id := c.Package + ":" + strings.ReplaceAll(strings.TrimSuffix(c.Name, "."), " ", "-") // an id has no spaces
			switch {
			case c.Failure != nil, c.Error != nil:
				failing[id] = "failed"
			case c.Skipped != nil:
				failing[id] = "skipped"
			}
		}
	}
	return ran, failing
}

// serve answers on a port of 127.0.0.1 until the test ends.
func serve(t *testing.T, port int, h http.Handler) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(l)
	}()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
}
