package origin_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"nearcast/cdn"
	"nearcast/origin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newClient returns a client that ends with the test.
func newClient(t *testing.T, cfg origin.Config) *origin.Client {
	t.Helper()
	c := origin.New(cfg)
	t.Cleanup(c.Close)
	return c
}

// serve starts a web server that ends with the test and returns its URL.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// text answers with a status and a body.
func text(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// refusing returns the URL of an address where nobody listens.
func refusing(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

// request returns what the edge hands over for a visitor's request.
func request(t *testing.T, method, rawURL string, body io.Reader) *http.Request {
	t.Helper()
	target, err := cdn.ParseTarget(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, rawURL, body)
	if err != nil {
		t.Fatal(err)
	}
	req.URL, req.Host = target.URL(), string(target.Domain)
	return req
}

// get fetches a URL and returns status and body, or the error of either step.
func get(t *testing.T, c *origin.Client, o *cdn.Origin, rawURL string) (int, string, error) {
	t.Helper()
	return send(t.Context(), c, o, request(t, http.MethodGet, rawURL, nil))
}

func send(ctx context.Context, c *origin.Client, o *cdn.Origin, req *http.Request) (int, string, error) {
	resp, err := c.Fetch(ctx, o, req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// wantMetric compares a counter or gauge that has no labels, or all of one with
// labels, in the text format.
func wantMetric(t *testing.T, r *prometheus.Registry, name, samples string) {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			text := "# HELP " + name + " " + f.GetHelp() + "\n# TYPE " + name + " " + strings.ToLower(f.GetType().String()) + "\n" + samples
			if err := testutil.GatherAndCompare(r, strings.NewReader(text), name); err != nil {
				t.Error(err)
			}
			return
		}
	}
	t.Errorf("no metric %s", name)
}
