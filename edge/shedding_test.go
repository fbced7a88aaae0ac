package edge_test

import (
	"context"
	"crypto/tls"
	"io"
	"math"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"nearcast/cdn"
	"nearcast/edge"
	"nearcast/edge/shed"
	"nearcast/internal/web/lane"
)

const nameSuffix = "." + domain + ".cdn.test"

// strain is how busy a node is, and what chance says.
type strain struct {
	utilisation atomic.Uint64
	chance      atomic.Uint64
	relief      atomic.Pointer[shed.Relief]
}

func (s *strain) option(cfg *edge.Config) {
	edge.Pretend(cfg, func() cdn.NodeLoad { return cdn.NodeLoad{CPU: math.Float64frombits(s.utilisation.Load())} },
		func() float64 { return math.Float64frombits(s.chance.Load()) })
	cfg.Relief = s.relief.Load
}

// set makes a node so busy, from an easy start.
func (s *strain) set(r *rig, node *edge.Server, utilisation, chance float64) {
	s.chance.Store(math.Float64bits(chance))
	s.utilisation.Store(0)
	node.Measure()
	r.clock.advance(4 * time.Second)
	node.Measure()
	s.utilisation.Store(math.Float64bits(utilisation))
	node.Measure()
}

// heavyOrigin has contents of all kinds.
func heavyOrigin(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "max-age=3600")
	size := 2 << 20
	switch {
	case strings.HasPrefix(r.URL.Path, "/sliced"):
		h.Set("Etag", `"a"`)
	case strings.HasPrefix(r.URL.Path, "/stale"):
		h.Set("Cache-Control", "max-age=10, stale-while-revalidate=3600")
		size = 100
	case strings.HasPrefix(r.URL.Path, "/big"):
	case strings.HasPrefix(r.URL.Path, "/page"):
		h.Set("Content-Type", "Text/HTML; charset=utf-8")
	case strings.HasPrefix(r.URL.Path, "/mine"):
		h.Set("Vary", "Cookie")
	default:
		size = 100
	}
	h.Set("Content-Length", strconv.Itoa(size))
	if r.Method != http.MethodHead {
		w.Write(make([]byte, size))
	}
}

// neighbourhood is a POP of two nodes beside another one, of which only the first node runs, unless told otherwise.
func neighbourhood(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, heavyOrigin, cdn.Route{Match: cdn.Match{PathPrefix: "/low"}, Priority: cdn.PriorityLow}, cdn.Route{Match: cdn.Match{PathPrefix: "/biglow"}, Priority: cdn.PriorityLow},
		cdn.Route{Match: cdn.Match{PathPrefix: "/bigkey"}, CacheKey: cdn.KeyRule{Cookies: []string{"a"}}})
	node := func(name, pop, addr string) cdn.Node {
		return cdn.Node{Name: cdn.NodeName(name), POP: cdn.POPName(pop), Roles: []cdn.Role{cdn.RoleEdge}, Addresses: []netip.Addr{netip.MustParseAddr(addr)}}
	}
	r.fleet.POPs = []cdn.POP{{Name: "fra", Region: "europe", Tier: cdn.TierEdge}, {Name: "lon", Region: "islands", Tier: cdn.TierEdge}, {Name: "par", Region: "west", Tier: cdn.TierEdge}}
	r.fleet.Nodes = []cdn.Node{node("fra-1", "fra", "127.9.1.1"), node("fra-2", "fra", "127.9.1.2"), node("lon-1", "lon", "127.9.3.1"), node("par-1", "par", "127.9.4.1")}
	r.fleet.Clients = []cdn.ClientPrefix{{Prefix: netip.MustParsePrefix("127.0.0.0/8"), Location: cdn.Location{Latitude: 48.1, Longitude: 11.6, Country: "DE"}, ISP: "isp"}}
	return r
}

// dialer resolves the names of nodes, and all others to the first.
func (r *rig) dialer(ctx context.Context, network, addr string) (net.Conn, error) {
	host, _, _ := strings.Cut(addr, ":")
	to := r.addr("fra-1")
	if node, ok := strings.CutSuffix(host, nameSuffix); ok {
		to = r.addr(node)
	}
	return new(net.Dialer).DialContext(ctx, network, to)
}

// visitor asks in one version of HTTP.
type visitor struct {
	client *http.Client
	base   string // scheme and port
	scheme string
}

// visitors are one for each version.
func (r *rig) visitors(t *testing.T, node *edge.Server) map[string]visitor {
	t.Helper()
	refuse := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	plain := &http.Transport{DialContext: r.dialer, DisableCompression: true}
	secure := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, node.TLSAddr().String())
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true, DisableCompression: true,
	}
	t.Cleanup(func() { plain.CloseIdleConnections(); secure.CloseIdleConnections() })
	port := strconv.Itoa(int(r.fleet.Port()))
	return map[string]visitor{
		"HTTP/1.1": {&http.Client{Transport: plain, CheckRedirect: refuse}, port, "http"},
		"HTTP/2.0": {&http.Client{Transport: secure, CheckRedirect: refuse}, "8443", "https"},
	}
}

// get asks for something of a host.
func (v visitor) get(t *testing.T, method, host, path string, fields ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, v.scheme+"://"+host+":"+v.base+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	resp, err := v.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, resp)
	return resp
}

func readAll(t *testing.T, resp *http.Response) {
	t.Helper()
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
}

// TestLadder drives a node up the ladder, with real requests in both versions of HTTP.
func TestLadder(t *testing.T) {
	r := neighbourhood(t)
	var s strain
	fra := r.start(t, "fra-1", s.option, withTLS(t, domain, "fra-1"+nameSuffix, "fra-2"+nameSuffix, "lon-1"+nameSuffix, "par-1"+nameSuffix))
	idle := map[cdn.NodeName]float64{"fra-2": 0.5}
	busy := map[cdn.NodeName]float64{"fra-2": 0.9}
	toLondon := &shed.Relief{Default: "lon", Loads: busy}
	type ask struct {
		method, host, path string
		fields             []string
		status             int
		node               string // that a redirect leads to
	}
	get := func(path string, status int, fields ...string) ask {
		return ask{method: http.MethodGet, host: domain, path: path, fields: fields, status: status}
	}
	to := func(node, path string, fields ...string) ask {
		a := get(path, http.StatusFound, fields...)
		a.node = node
		return a
	}
	small := []ask{get("/small", 200), get("/low", 200)}
	for _, test := range []struct {
		name        string
		utilisation float64
		chance      float64 // 0: whatever may happen does
		relief      *shed.Relief
		shedding    int
		asks        []ask
	}{
		{"easy", 0.87, 0, toLondon, 0, append(small, get("/big", 200), get("/sliced", 200))},
		{"spill is not due", 0.91, 0, &shed.Relief{Default: "lon", Loads: idle}, 2, append(small, get("/big", 200))},
		{"spill", 0.93, 0, &shed.Relief{Default: "lon", Loads: idle}, 3, append(small, to("fra-2", "/big"), to("fra-2", "/sliced?a=b"))},
		{"half spills at first", 0.921, 0.6, &shed.Relief{Loads: idle}, 3, append(small, get("/big", 200))},
		{"the other one is busy", 0.93, 0, &shed.Relief{Default: "lon", Loads: busy}, 3, append(small, get("/big", 200))},
		{"of the other one nothing is known", 0.93, 0, &shed.Relief{Default: "lon"}, 3, append(small, get("/big", 200))},
		{"two in five are diverted", 0.97, 0.39, toLondon, 4, append(small, to("lon-1", "/big"), to("lon-1", "/sliced"))},
		{"three in five are not", 0.97, 0.41, toLondon, 4, append(small, get("/big", 200), get("/sliced", 200))},
		{"the POP comes first", 0.97, 0, &shed.Relief{Default: "lon", Loads: idle}, 4, append(small, to("fra-2", "/big"))},
		{"the group's POP", 0.97, 0, &shed.Relief{Default: "lon", Groups: map[cdn.GroupName]cdn.POPName{"net 127.0.0.0/24": "par", "net 127.9.1.0/24": "par"}}, 4, append(small, to("par-1", "/big"))},
		{"nobody helps", 0.99, 0, nil, 4, append(small, get("/big", 200))},
		{"nobody that there is", 0.99, 0, &shed.Relief{Default: "nowhere"}, 4, append(small, get("/big", 200))},
		{"what is not moved", 0.99, 0, toLondon, 4, []ask{
			get("/big", 206, "Range", "bytes=1048576-"), get("/big", 206, "Range", "bytes=0-99"), to("lon-1", "/big", "Range", "bytes=0-"),
			get("/big", 200, "Origin", "https://app.example"), get("/big", 200, "Sec-Fetch-Mode", "cors"), get("/big", 200, "Sec-Fetch-Mode", "same-origin"),
			to("lon-1", "/big", "Sec-Fetch-Mode", "no-cors"), to("lon-1", "/big", "Sec-Fetch-Mode", "navigate"), get("/page", 200),
			to("lon-1", "/big", "Cookie", "a=b"), get("/mine", 200, "Cookie", "a=b"), to("lon-1", "/mine"), get("/bigkey", 200, "Cookie", "a=b"),
			get("/sliced", 304, "If-None-Match", `"a"`),
			{method: http.MethodHead, host: domain, path: "/big", status: 200},
			{method: http.MethodGet, host: "fra-1" + nameSuffix, path: "/big", status: 200},
			{method: http.MethodGet, host: domain + ".cdn.test", path: "/small", status: 200},
		}},
		{"refuse", 1.1, 0, toLondon, 5, []ask{get("/small", 200), get("/low", 503), get("/biglow", 503), to("lon-1", "/big"), {method: http.MethodGet, host: "fra-1" + nameSuffix, path: "/big", status: 200}}},
		{"refuse without help", 1.1, 0, nil, 5, []ask{get("/small", 200), get("/low", 503), get("/big", 200)}},
	} {
		for proto, v := range r.visitors(t, fra) {
			t.Run(test.name+" "+proto, func(t *testing.T) {
				s.relief.Store(test.relief)
				s.set(r, fra, 0, 0)
				for _, path := range []string{"/small", "/low", "/big", "/biglow", "/sliced", "/sliced?a=b", "/page", "/mine", "/bigkey"} {
					v.get(t, http.MethodGet, domain, path)
					v.get(t, http.MethodGet, domain, path, "Cookie", "a=b")
				}
				s.set(r, fra, test.utilisation, test.chance)
				if l := fra.Load(); l.Shedding != test.shedding || l.CPU != test.utilisation {
					t.Errorf("the node says %+v, want step %d", l, test.shedding)
				}
				for _, a := range test.asks {
					if a.host != domain && v.scheme == "https" && strings.HasSuffix(a.host, domain+".cdn.test") && !strings.HasSuffix(a.host, nameSuffix) {
						continue // no certificate has that name
					}
					resp := v.get(t, a.method, a.host, a.path, a.fields...)
					if resp.StatusCode != a.status || resp.Proto != proto {
						t.Errorf("%s %s %s %v: %s %d, want %d", a.method, a.host, a.path, a.fields, resp.Proto, resp.StatusCode, a.status)
						continue
					}
					checkShed(t, v, resp, a.node, a.path)
				}
			})
		}
	}
}

// checkShed looks at what an answer says about shedding.
func checkShed(t *testing.T, v visitor, resp *http.Response, node, path string) {
	t.Helper()
	word := resp.Header.Get("X-Cache")
	switch resp.StatusCode {
	case http.StatusFound:
		want := v.scheme + "://" + node + nameSuffix + ":" + v.base + path
		if got := resp.Header.Get("Location"); got != want || resp.Header.Get("Cache-Control") != "no-store" || word != "SHED" {
			t.Errorf("Location %q, want %q; %v", got, want, resp.Header)
		}
	case http.StatusServiceUnavailable:
		if after, err := strconv.Atoi(resp.Header.Get("Retry-After")); err != nil || after < 5 || after > 10 || word != "SHED" || resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%v", resp.Header)
		}
	default:
		if word != "HIT" {
			t.Errorf("%s: %s", path, word)
		}
	}
}

// Nobody is sent on twice, though all nodes are overloaded and name each other.
func TestNoLoop(t *testing.T) {
	r := neighbourhood(t)
	all := map[string]cdn.POPName{"fra-1": "lon", "fra-2": "lon", "lon-1": "fra", "par-1": "fra"}
	strains := make(map[string]*strain)
	for name, other := range all {
		s := new(strain)
		strains[name] = s
		s.relief.Store(&shed.Relief{Default: other, Loads: map[cdn.NodeName]float64{"fra-1": 0.1, "fra-2": 0.1, "lon-1": 0.1}})
		node := r.start(t, name, s.option)
		for range 2 { // so that all have it
			r.ask(t, http.MethodGet, r.addr(name), name+nameSuffix, "/big")
		}
		s.set(r, node, 1.5, 0)
	}
	redirects := 0
	client := &http.Client{
		Transport: &http.Transport{DialContext: r.dialer, DisableKeepAlives: true},
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			redirects = len(via)
			return nil
		},
	}
	for range 5 {
		redirects = 0
		resp, err := client.Get("http://" + domain + ":" + strconv.Itoa(int(r.fleet.Port())) + "/big")
		if err != nil {
			t.Fatal(err)
		}
		readAll(t, resp)
		if resp.StatusCode != http.StatusOK || redirects != 1 {
			t.Errorf("%d after %d redirects, want 200 after one", resp.StatusCode, redirects)
		}
	}
}

// A visitor whose place is known goes where the map sends that place's second.
func TestDivertedByPlace(t *testing.T) {
	r := neighbourhood(t)
	var s strain
	s.relief.Store(&shed.Relief{Default: "lon", Groups: map[cdn.GroupName]cdn.POPName{"place isp/DE/48.1,11.6": "par"}})
	fra := r.start(t, "fra-1", s.option)
	r.get(t, r.addr("fra-1"), "/big")
	s.set(r, fra, 0.99, 0)
	eventually(t, "the visitor's place counts", func() bool {
		return strings.HasPrefix(r.get(t, r.addr("fra-1"), "/big").Header.Get("Location"), "http://par-1.")
	})
}

// Nobody is sent where operators do not allow it: of whom it is not known yet whether they may go, and of sites that policies name.
func TestNotDivertedAgainstPolicy(t *testing.T) {
	for _, test := range []struct {
		name     string
		policies []cdn.Policy
		relief   shed.Relief
		status   int
	}{
		{"anywhere", []cdn.Policy{{Name: "p", Match: cdn.PolicyMatch{Sites: []cdn.SiteName{"shop"}}, Prefer: []cdn.POPPreference{{POP: "par", MS: 5}}}}, shed.Relief{Default: "lon"}, 302},
		{"this network must stay", nil, shed.Relief{Default: "lon", Groups: map[cdn.GroupName]cdn.POPName{"net 127.0.0.0/24": "", "net 127.9.1.0/24": ""}, Bound: true}, 200},
		{"this place must stay", nil, shed.Relief{Default: "lon", Groups: map[cdn.GroupName]cdn.POPName{"place isp/DE/48.1,11.6": ""}, Bound: true}, 200},
		{"the site must stay away", []cdn.Policy{{Name: "p", Match: cdn.PolicyMatch{Sites: []cdn.SiteName{"shop"}}, Deny: []cdn.POPName{"lon"}}}, shed.Relief{Default: "lon"}, 200},
		{"another site must", []cdn.Policy{{Name: "p", Match: cdn.PolicyMatch{Sites: []cdn.SiteName{"blog"}}, Deny: []cdn.POPName{"lon"}}}, shed.Relief{Default: "lon"}, 302},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := neighbourhood(t)
			r.fleet.Policies = test.policies
			var s strain
			s.relief.Store(&test.relief)
			fra := r.start(t, "fra-1", s.option)
			r.get(t, r.addr("fra-1"), "/big")
			s.set(r, fra, 0.99, 0)
			for range 20 { // meanwhile the places become known, or not yet
				if a := r.get(t, r.addr("fra-1"), "/big"); a.StatusCode != test.status {
					t.Fatalf("%d %q, want %d", a.StatusCode, a.Header.Get("Location"), test.status)
				}
			}
		})
	}
}

// A configuration that says the same of visitors' places does not have their index made again, which takes a processor for a while.
func TestPlacesKept(t *testing.T) {
	r := neighbourhood(t)
	var s strain
	s.relief.Store(&shed.Relief{Groups: map[cdn.GroupName]cdn.POPName{"place isp/DE/48.1,11.6": "par"}})
	fra := r.start(t, "fra-1", s.option)
	first := fra.PreparePlaces()
	apply := func(generation cdn.Generation) {
		fleet := r.fleet
		fleet.Clients = slices.Clone(fleet.Clients)
		if err := fra.Apply(&cdn.Snapshot{Generation: generation, Fleet: fleet, Sites: r.sites}); err != nil {
			t.Fatal(err)
		}
	}
	apply(2)
	if again := fra.PreparePlaces(); again != first {
		t.Error("made again of the same")
	}
	r.fleet.Clients = slices.Clone(r.fleet.Clients)
	r.fleet.Clients[0].ISP = "another"
	apply(3)
	if again := fra.PreparePlaces(); again == first {
		t.Error("not made again of something else")
	}
}

// Over TLS nobody is sent to a name that the certificate is not for.
func TestNoRedirectWithoutCertificate(t *testing.T) {
	r := neighbourhood(t)
	var s strain
	s.relief.Store(&shed.Relief{Default: "lon"})
	fra := r.start(t, "fra-1", s.option, withTLS(t, domain))
	v := r.visitors(t, fra)["HTTP/2.0"]
	v.get(t, http.MethodGet, domain, "/big")
	s.set(r, fra, 0.99, 0)
	if resp := v.get(t, http.MethodGet, domain, "/big"); resp.StatusCode != http.StatusOK {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
}

// Above 0.88 what is stale is served without a fetch beside it, below with one.
func TestNoBackgroundWork(t *testing.T) {
	r := neighbourhood(t)
	var s strain
	fra := r.start(t, "fra-1", s.option)
	addr := r.addr("fra-1")
	r.get(t, addr, "/stale")
	s.set(r, fra, 0.89, 0)
	r.clock.advance(time.Minute)
	for range 5 {
		if a := r.get(t, addr, "/stale"); a.word() != "STALE" {
			t.Fatalf("%s", a.word())
		}
	}
	if n := r.origin.requests("/stale"); n != 1 {
		t.Errorf("%d fetches while the node is busy, want the first alone", n)
	}
	s.set(r, fra, 0.1, 0)
	r.get(t, addr, "/stale")
	eventually(t, "renewed once there is time", func() bool { return r.origin.requests("/stale") == 2 })
}

// What another node asks for is done whatever the load: a node behind the edge sends nobody elsewhere or away, and renews what is stale, which
// the other one would ask for again and again otherwise.
func TestNodesAreNotShed(t *testing.T) {
	r := newRig(t, heavyOrigin, cdn.Route{Match: cdn.Match{PathPrefix: "/low"}, Priority: cdn.PriorityLow})
	var s strain
	s.relief.Store(&shed.Relief{Default: "fra", Loads: map[cdn.NodeName]float64{"ams-1": 0.1, "ams-2": 0.1}})
	r.start(t, "fra-1")
	behind := []*edge.Server{r.start(t, "ams-1", s.option), r.start(t, "ams-2", s.option)}
	addr := r.addr("fra-1")
	r.get(t, addr, "/stale")
	for _, node := range behind {
		s.set(r, node, 1.5, 0)
		if node.Load().Shedding != int(shed.Refuse) {
			t.Fatalf("%+v", node.Load())
		}
	}
	for _, path := range []string{"/low", "/big", "/sliced"} {
		if a := r.get(t, addr, path); a.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
	}
	r.clock.advance(time.Minute)
	if a := r.get(t, addr, "/stale"); a.word() != "STALE" {
		t.Errorf("%s", a.word())
	}
	eventually(t, "renewed behind", func() bool { return r.origin.requests("/stale") == 2 })
}

// Until they are refused, small contents of low priority stay in the lane: to answer them in a dearer way would be more load for a node that has too
// much of it.
func TestLowPriorityStaysInLane(t *testing.T) {
	r := newRig(t, heavyOrigin)
	var s strain
	node := r.startConfig(t, edge.Config{Addr: "127.0.0.1:0", RAM: 64 << 20, ShedAlone: true}, s.option)
	if err := node.ApplyStandalone(&cdn.Origin{URLs: []string{r.origin.URL}}, cdn.Route{Priority: cdn.PriorityLow}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "ready", func() bool { return node.Ready() == nil })
	for _, path := range []string{"/small", "/big"} {
		r.get(t, node.Addr().String(), path)
	}
	for _, test := range []struct {
		utilisation float64
		small, big  bool
	}{{0.5, true, true}, {0.91, true, true}, {0.93, true, false}, {0.98, true, false}, {1.1, false, false}} {
		s.set(r, node, test.utilisation, 0)
		for path, want := range map[string]bool{"/small": test.small, "/big": test.big} {
			var q lane.Request
			q.Method, q.Host, q.Target, q.Major, q.Minor, q.At = http.MethodGet, domain, path, 1, 1, time.Now()
			if got := node.Lane().Take(&lane.Peer{Client: "192.0.2.1"}, &q, new(lane.Answer)); got != want {
				t.Errorf("utilisation %v, %s: in the lane is %v, want %v", test.utilisation, path, got, want)
			}
		}
	}
}

// Alone a node sheds nothing unless it is told to.
func TestShedAlone(t *testing.T) {
	for _, told := range []bool{false, true} {
		r := newRig(t, heavyOrigin)
		var s strain
		s.relief.Store(&shed.Relief{Default: "lon"})
		node := r.startConfig(t, edge.Config{Addr: "127.0.0.1:0", RAM: 64 << 20, ShedAlone: told}, s.option)
		if err := node.ApplyStandalone(&cdn.Origin{URLs: []string{r.origin.URL}}, cdn.Route{Priority: cdn.PriorityLow}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "ready", func() bool { return node.Ready() == nil })
		addr := node.Addr().String()
		r.get(t, addr, "/big")
		s.set(r, node, 1.5, 0)
		want := http.StatusOK
		if told {
			want = http.StatusServiceUnavailable
		}
		if a := r.get(t, addr, "/big"); a.StatusCode != want || node.Load().Shedding > 0 != told {
			t.Errorf("told %v: %d, step %d", told, a.StatusCode, node.Load().Shedding)
		}
	}
}
