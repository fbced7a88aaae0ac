package edge_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"nearcast/cdn"
	"nearcast/edge"
	"nearcast/internal/freeport"
	"nearcast/internal/testcert"
	"nearcast/internal/waitfor"
	"nearcast/internal/web/tlscert"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const domain = "www.shop.example"

// fetcher is a plain edge.Origin: it asks the first URL.
type fetcher struct{ transport *http.Transport }

func (f fetcher) Fetch(ctx context.Context, o *cdn.Origin, req *http.Request) (*http.Response, error) {
	out := req.Clone(ctx)
	out.URL.Scheme, out.URL.Host = "http", strings.TrimPrefix(o.URLs[0], "http://")
	resp, err := f.transport.RoundTrip(out)
	if err != nil {
		return nil, cdn.Errorf(cdn.Unavailable, "", "asking the origin: %w", err)
	}
	return resp, nil
}

// clock is a clock that tests move.
type clock struct {
	offset atomic.Int64
	still  atomic.Pointer[time.Time] // the time, if it stands still
}

func (c *clock) now() time.Time {
	now := time.Now()
	if still := c.still.Load(); still != nil {
		now = *still
	}
	return now.Add(time.Duration(c.offset.Load()))
}

// stop makes the time stand still, but for advance, at a whole second: Date has no fractions.
func (c *clock) stop() {
	now := time.Now().Truncate(time.Second)
	c.still.Store(&now)
}

func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

// counter is an origin server that counts the requests for each path.
type counter struct {
	*httptest.Server

	mu    sync.Mutex // guards seen
	seen  map[string]int
	total int
}

func newOrigin(t testing.TB, handler http.HandlerFunc) *counter {
	t.Helper()
	c := &counter{seen: map[string]int{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		c.seen[r.URL.Path]++
		c.total++
		c.mu.Unlock()
		handler(w, r)
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *counter) requests(path string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen[path]
}

// rig is what the nodes of one test share.
type rig struct {
	clock   clock
	origin  *counter
	fleet   cdn.Fleet
	sites   []cdn.Site
	client  *http.Client
	prepare func(*edge.Server) // what is done to a server before it runs; nil: nothing
}

// newRig makes a fleet of one edge and two regional nodes, and a site in front of
// an origin. Nodes are started by the test.
func newRig(t testing.TB, handler http.HandlerFunc, routes ...cdn.Route) *rig {
	t.Helper()
	r := &rig{client: &http.Client{
		Transport:     &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 100},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	t.Cleanup(r.client.CloseIdleConnections)
	r.origin = newOrigin(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Date", r.clock.now().UTC().Format(http.TimeFormat)) // or the origin would seem to live in the past
		handler(w, req)
	})
	node := func(name, pop, addr string) cdn.Node {
		return cdn.Node{
			Name: cdn.NodeName(name), POP: cdn.POPName(pop), Roles: []cdn.Role{cdn.RoleEdge},
			Addresses: []netip.Addr{netip.MustParseAddr(addr)},
		}
	}
	r.fleet = cdn.Fleet{
		Zone: "cdn.test", HTTPPort: uint16(freeport.Port(t)),
		POPs: []cdn.POP{
			{Name: "fra", Region: "europe", Tier: cdn.TierEdge},
			{Name: "ams", Region: "europe", Tier: cdn.TierRegional},
		},
		Nodes: []cdn.Node{node("fra-1", "fra", "127.9.1.1"), node("ams-1", "ams", "127.9.2.1"), node("ams-2", "ams", "127.9.2.2")},
	}
	r.sites = []cdn.Site{{Name: "shop", Domains: []cdn.Domain{domain}, Origin: cdn.Origin{URLs: []string{r.origin.URL}}, Routes: routes}}
	return r
}

// addr returns the public address of a node of the fleet.
func (r *rig) addr(name string) string {
	n := r.fleet.Node(cdn.NodeName(name))
	return n.Addresses[0].String() + ":" + strconv.Itoa(int(r.fleet.Port()))
}

// start runs a node of the fleet until the test ends.
func (r *rig) start(t testing.TB, name string, options ...func(*edge.Config)) *edge.Server {
	t.Helper()
	cfg := edge.Config{Node: cdn.NodeName(name), Addr: r.addr(name), RAM: 64 << 20, Secret: "a secret of the fleet"}
	s := r.startConfig(t, cfg, options...)
	if err := s.Apply(&cdn.Snapshot{Generation: 1, Fleet: r.fleet, Sites: r.sites}); err != nil {
		t.Fatal(err)
	}
	eventually(t, name+" ready", func() bool { return s.Ready() == nil })
	return s
}

// startAlone runs a stand-alone edge in front of the origin and returns its address.
func (r *rig) startAlone(t testing.TB, options ...func(*edge.Config)) (s *edge.Server, addr string) {
	t.Helper()
	s = r.startConfig(t, edge.Config{Addr: "127.0.0.1:0", RAM: 64 << 20}, options...)
	if err := s.ApplyStandalone(&cdn.Origin{URLs: []string{r.origin.URL}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "ready", func() bool { return s.Ready() == nil })
	return s, s.Addr().String()
}

func (r *rig) startConfig(t testing.TB, cfg edge.Config, options ...func(*edge.Config)) *edge.Server {
	t.Helper()
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 100}
	cfg.Origin, cfg.Now, cfg.Log = fetcher{transport}, r.clock.now, slog.New(slog.DiscardHandler)
	for _, option := range options {
		option(&cfg)
	}
	s, err := edge.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if r.prepare != nil {
		r.prepare(s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		r.client.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("running %q: %v", cfg.Node, err)
		}
		transport.CloseIdleConnections()
	})
	return s
}

// withTLS makes a node listen with TLS too, with a certificate for some names.
func withTLS(t testing.TB, names ...string) func(*edge.Config) {
	t.Helper()
	cert, key := testcert.Write(t, append(names, "127.0.0.1")...)
	return func(cfg *edge.Config) {
		cfg.TLSAddr, cfg.Certificates = "127.0.0.1:0", []tlscert.Pair{{Chain: cert, Key: key}}
	}
}

// answer is a response with its body.
type answer struct {
	*http.Response
	body string
	err  error // of reading the body
}

// ask sends a request; fields are pairs of name and value.
func (r *rig) ask(t *testing.T, method, addr, host, path string, fields ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+addr+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	for i := 0; i < len(fields); i += 2 {
		req.Header.Add(fields[i], fields[i+1])
	}
	resp, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp, string(body), err}
}

func (r *rig) get(t *testing.T, addr, path string, fields ...string) answer {
	t.Helper()
	return r.ask(t, http.MethodGet, addr, domain, path, fields...)
}

// word is what the node says that it did.
func (a answer) word() string { return a.Header.Get("X-Cache") }

func (a answer) status() string { return strings.Join(a.Header.Values("Cache-Status"), ", ") }

func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	waitfor.That(t, 10*time.Second, what, done)
}

// target is a path of the rig's site.
func target(pathAndQuery string) cdn.Target {
	t, err := cdn.NewTarget("http", domain, pathAndQuery)
	if err != nil {
		panic(err)
	}
	return t
}
