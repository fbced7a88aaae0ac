package control_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nearcast/cdn"
	"nearcast/control"
	"nearcast/control/apiclient"
	"nearcast/control/compile"
	"nearcast/control/feedclient"
	"nearcast/control/wire"
	"nearcast/internal/freeport"
)

func files(contents ...string) (out []wire.File) {
	for i, c := range contents {
		out = append(out, wire.File{Name: fmt.Sprintf("f%d", i+1), Content: c})
	}
	return out
}

func siteText(name string) string {
	return fmt.Sprintf("site: %s\ndomains: [%s.example]\norigin: {urls: [\"http://o.example\"]}\n", name, name)
}

// Without the token every path looks alike.
func TestToken(t *testing.T) {
	p := startPlane(t, t.TempDir())
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	answers := make(map[string]bool)
	for _, header := range []string{"", "Bearer ", "Bearer wrong", "Basic " + token, token} {
		for _, path := range []string{"/v1/status", "/v1/nothing", "/", "/metrics"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.APIURL()+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if header != "" {
				req.Header.Set("Authorization", header)
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			answers[resp.Status+string(body)] = true
		}
	}
	if len(answers) != 1 {
		t.Errorf("%d different answers, want one: %v", len(answers), answers)
	}
	for a := range answers {
		if !strings.HasPrefix(a, "401 ") {
			t.Errorf("answer %q, want a 401", a)
		}
	}
	wrong := apiclient.New(p.APIURL(), "wrong")
	defer wrong.Close()
	if _, err := wrong.Status(t.Context()); cdn.KindOf(err) != cdn.Unauthenticated {
		t.Errorf("got %v, want unauthenticated", err)
	}
}

func TestApply(t *testing.T) {
	p := startPlane(t, t.TempDir())
	dry := wire.ApplyRequest{Files: files(siteText("b"), siteText("a")), DryRun: true}
	steps := []struct {
		name string
		req  wire.ApplyRequest
		want wire.ApplyResult
	}{
		{"dry", dry, wire.ApplyResult{Generation: 1, Changes: []wire.Change{{Site: "a", Action: wire.Created}, {Site: "b", Action: wire.Created}}}},
		{"create", wire.ApplyRequest{Files: dry.Files}, wire.ApplyResult{Generation: 2, Changes: []wire.Change{{Site: "a", Action: wire.Created}, {Site: "b", Action: wire.Created}}}},
		{"again", wire.ApplyRequest{Files: dry.Files}, wire.ApplyResult{Generation: 2, Changes: []wire.Change{{Site: "a", Action: wire.Unchanged}, {Site: "b", Action: wire.Unchanged}}}},
		{"update", wire.ApplyRequest{Files: files(siteText("b") + "routes: [{ttl: 1h}]")}, wire.ApplyResult{Generation: 3, Changes: []wire.Change{{Site: "b", Action: wire.Updated}}}},
	}
	for _, step := range steps {
		got, err := p.api.Apply(t.Context(), step.req)
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("%s: the result differs (-want +got):\n%s", step.name, diff)
		}
	}
	sites, err := p.api.Sites(t.Context())
	if err != nil || len(sites) != 2 || sites[0].Name != "a" || len(sites[1].Routes) != 1 {
		t.Errorf("sites %+v, %v", sites, err)
	}
}

// Every mistake of every file at once, with its place, and nothing is applied.
func TestMistakes(t *testing.T) {
	p := startPlane(t, t.TempDir())
	p.apply(t, siteText("taken"))
	tests := []struct {
		name  string
		files []wire.File
		want  string
	}{
		{"files", nil, "no file was sent; at least one is needed"},
		{"several", files("site: A\n", siteText("b")+"x: 1\n"), `f1:1:1: a site needs the key "domains"
f1:1:1: a site needs the key "origin"
f1:1:7: site: site name "A": has 'A'; only a-z, 0-9 and inner hyphens are allowed
f2:4:1: x: a site has no such key (allowed: site, domains, origin, redirection, routes)`},
		{
			"taken", files(siteText("a"), strings.Replace(siteText("b"), "b.example", "b.example, taken.example", 1)),
			"f2:2:22: domains[1]: domain taken.example already belongs to site taken (a domain belongs to one site)",
		},
		{
			"zone", files(strings.Replace(siteText("b"), "b.example", "www.cdn.test", 1)),
			"f1:2:11: domains[0]: domain www.cdn.test is inside the CDN's own zone cdn.test (use the name that visitors type)",
		},
		{"twice", files(siteText("a"), siteText("a")), "f2:1:7: site: site a is there twice (choose another name)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := p.api.Apply(t.Context(), wire.ApplyRequest{Files: tt.files})
			if cdn.KindOf(err) != cdn.Invalid {
				t.Fatalf("got %v, want a mistake", err)
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Errorf("mistakes differ (-want +got):\n%s", diff)
			}
			if tt.files != nil && len(compile.MistakesOf(err)) == 0 {
				t.Error("the mistakes did not arrive as a list")
			}
		})
	}
	if st, err := p.api.Status(t.Context()); err != nil || st.Generation != 2 {
		t.Errorf("generation %d, %v; want 2: nothing applied", st.Generation, err)
	}
}

const private = `site: store
domains: [store.example]
origin:
  type: s3
  urls: ["https://oss.example"]
  bucket:
    name: b
    access_key_id: id
    secret_access_key: "%s"
`

// A secret goes in and never comes out, except to the nodes.
func TestSecrets(t *testing.T) {
	p := startPlane(t, t.TempDir())
	f := startFollower(t, p.NATSURL(), "ams-1", t.TempDir())
	redacted := fmt.Sprintf(private, cdn.Redacted)
	_, err := p.api.Apply(t.Context(), wire.ApplyRequest{Files: files(redacted)})
	want := "f1:9:24: origin.bucket.secret_access_key: <redacted> keeps the secret that is stored, and none is stored (write the secret)"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	p.apply(t, fmt.Sprintf(private, "hush"))
	site, err := p.api.Site(t.Context(), "store")
	if err != nil || site.Origin.Bucket.SecretAccessKey != cdn.Redacted {
		t.Errorf("shown is %+v, %v", site.Origin.Bucket, err)
	}
	if r := p.apply(t, redacted); r.Generation != 2 || r.Changes[0].Action != wire.Unchanged {
		t.Errorf("applying what is shown made %+v, want no change", r)
	}
	p.apply(t, redacted+"routes: [{ttl: 1h}]\n")
	eventually(t, "delivered", func() bool { return f.Generation() == 3 })
	if got := f.Snapshot().Sites[0].Origin.Bucket.SecretAccessKey; got != "hush" {
		t.Errorf("the node has the secret %q, want the one that was stored", got)
	}
	diff, err := p.api.Diff(t.Context(), wire.ApplyRequest{Files: files(fmt.Sprintf(private, "louder"))})
	if err != nil {
		t.Fatal(err)
	}
	if text := diff.Sites[0].Text; strings.Contains(text, "hush") || strings.Contains(text, "louder") || !strings.Contains(text, "secret access key changes") {
		t.Errorf("the diff shows a secret, or not that it changes:\n%s", text)
	}
}

// TestSecretsOfRoutes: so do the credentials that routes add to requests, also when the routes are moved.
func TestSecretsOfRoutes(t *testing.T) {
	const route = "- match: {path_prefix: /api/}\n  request_headers: {set: {X-Api-Key: \"%s\", X-Tier: gold}}\n"
	text := func(routes ...string) string { return siteText("a") + "routes:\n" + strings.Join(routes, "") }
	p := startPlane(t, t.TempDir())
	f := startFollower(t, p.NATSURL(), "ams-1", t.TempDir())
	redacted := fmt.Sprintf(route, cdn.Redacted)
	if _, err := p.api.Apply(t.Context(), wire.ApplyRequest{Files: files(text(redacted))}); err == nil || !strings.Contains(err.Error(), "none is stored") {
		t.Errorf("a mark for nothing: %v", err)
	}
	p.apply(t, text(fmt.Sprintf(route, "hush")))
	site, err := p.api.Site(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if set := site.Routes[0].RequestHeaders.Set; set["X-Api-Key"] != cdn.Redacted || set["X-Tier"] != "gold" {
		t.Errorf("shown is %v", set)
	}
	if r := p.apply(t, text(redacted)); r.Changes[0].Action != wire.Unchanged {
		t.Errorf("applying what is shown made %+v, want no change", r)
	}
	p.apply(t, text("- match: {path_prefix: /static/}\n  ttl: 1h\n", redacted))
	eventually(t, "delivered", func() bool { return f.Generation() == 3 })
	if got := f.Snapshot().Sites[0].Routes[1].RequestHeaders.Set["X-Api-Key"]; got != "hush" {
		t.Errorf("the node has the secret %q, want the one that was stored", got)
	}
}

func TestDiff(t *testing.T) {
	p := startPlane(t, t.TempDir())
	p.apply(t, siteText("a"))
	got, err := p.api.Diff(t.Context(), wire.ApplyRequest{Files: files(strings.Replace(siteText("a"), "a.example", "a.example, z.example", 1), siteText("b"))})
	if err != nil {
		t.Fatal(err)
	}
	want := wire.DiffResult{Generation: 2, Changed: true, Sites: []wire.Diff{
		{Site: "a", Action: wire.Updated, Changed: true, Text: " site: a\n domains:\n   - a.example\n+  - z.example\n origin:\n   urls:\n     - http://o.example\n"},
		{Site: "b", Action: wire.Created, Changed: true, Text: "+site: b\n+domains:\n+  - b.example\n+origin:\n+  urls:\n+    - http://o.example\n"},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the diff differs (-want +got):\n%s", diff)
	}
}

func TestDelete(t *testing.T) {
	p := startPlane(t, t.TempDir())
	p.apply(t, siteText("a")+"---\n"+siteText("b"))
	if r, err := p.api.DeleteSite(t.Context(), "a", false); err != nil || r.Generation != 3 {
		t.Errorf("deleting one of two: %+v, %v", r, err)
	}
	if _, err := p.api.DeleteSite(t.Context(), "a", false); cdn.KindOf(err) != cdn.NotFound {
		t.Errorf("deleting it again: %v, want not found", err)
	}
	if _, err := p.api.DeleteSite(t.Context(), "A", false); cdn.KindOf(err) != cdn.Invalid {
		t.Errorf("deleting a bad name: %v, want invalid", err)
	}
	if _, err := p.api.DeleteSite(t.Context(), "b", false); cdn.KindOf(err) != cdn.Invalid || !strings.Contains(err.Error(), "force") {
		t.Errorf("deleting the last site: %v, want a call for force", err)
	}
	if _, err := p.api.DeleteSite(t.Context(), "b", true); err != nil {
		t.Errorf("deleting the last site with force: %v", err)
	}
}

func TestRollback(t *testing.T) {
	p := startPlane(t, t.TempDir())
	p.apply(t, siteText("a"))                                             // 2
	p.apply(t, siteText("b")+"---\n"+siteText("c")+"---\n"+siteText("d")) // 3
	if _, err := p.api.Rollback(t.Context(), wire.RollbackRequest{Generation: 2}); cdn.KindOf(err) != cdn.Invalid {
		t.Errorf("rolling most sites back: %v, want a call for force", err)
	}
	r, err := p.api.Rollback(t.Context(), wire.RollbackRequest{Generation: 2, Force: true})
	if err != nil || r.Generation != 4 || len(r.Changes) != 4 || r.Changes[1].Action != wire.Deleted {
		t.Errorf("rolling back with force: %+v, %v", r, err)
	}
	if r, err = p.api.Rollback(t.Context(), wire.RollbackRequest{Generation: 2}); err != nil || r.Generation != 4 {
		t.Errorf("rolling back to what is in force: %+v, %v; want no new version", r, err)
	}
	if _, err := p.api.Rollback(t.Context(), wire.RollbackRequest{Generation: 9}); cdn.KindOf(err) != cdn.NotFound {
		t.Errorf("rolling back to the future: %v, want not found", err)
	}
	versions, err := p.api.Versions(t.Context())
	if err != nil || len(versions) != 4 || versions[0].Digest != versions[2].Digest || versions[0].Sites != 1 {
		t.Errorf("versions %+v, %v", versions, err)
	}
}

// Many hands at once: each change is made, none is lost.
func TestConcurrent(t *testing.T) {
	p := startPlane(t, t.TempDir())
	var hands sync.WaitGroup
	for i := range 4 { // fewer than the API's attempts, so that none may fail
		hands.Go(func() {
			if _, err := p.api.Apply(t.Context(), wire.ApplyRequest{Files: files(siteText(fmt.Sprint("s", i)))}); err != nil {
				t.Error(err)
			}
		})
	}
	hands.Wait()
	if st, err := p.api.Status(t.Context()); err != nil || st.Sites != 4 || st.Generation != 5 {
		t.Errorf("%d sites in generation %d, %v; want 4 and 5", st.Sites, st.Generation, err)
	}
}

func TestPurge(t *testing.T) {
	p := startPlane(t, t.TempDir())
	p.apply(t, shop)
	var mu sync.Mutex // guards the following
	var targets []cdn.Target
	record := func(cfg *feedclient.Config) {
		cfg.OnPurge = func(purge cdn.Purge) {
			mu.Lock()
			defer mu.Unlock()
			targets = purge.Targets
		}
	}
	edge := startFollower(t, p.NATSURL(), "ams-1", t.TempDir(), record)
	regional := startFollower(t, p.NATSURL(), "fra-1", t.TempDir())
	eventually(t, "caught up", func() bool { return edge.CaughtUp() && regional.CaughtUp() })

	_, err := p.api.Purge(t.Context(), wire.PurgeRequest{URLs: []string{"http://www.shop.example/", "x", "http://other.example/"}})
	want := "urls[1]: URL \"x\": want \"http://\" or \"https://\" in front\nurls[2]: no site has the domain other.example"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := p.api.Purge(t.Context(), wire.PurgeRequest{}); cdn.KindOf(err) != cdn.Invalid {
		t.Errorf("a purge of nothing: %v, want invalid", err)
	}

	r, err := p.api.Purge(t.Context(), wire.PurgeRequest{URLs: []string{"http://www.shop.example/a", "https://WWW.shop.example/%61"}, Wait: true})
	if err != nil {
		t.Fatal(err)
	}
	if r.Revision != 1 { // the refused ones left no trace
		t.Errorf("revision %d, want 1", r.Revision)
	}
	if diff := cmp.Diff([]cdn.NodeName{"ams-1", "fra-1"}, r.Applied); diff != "" || len(r.Missing) > 0 {
		t.Errorf("applied by %v, not by %v", r.Applied, r.Missing)
	}
	mu.Lock()
	defer mu.Unlock()
	both := []cdn.Target{
		{Scheme: "http", Domain: "www.shop.example", Path: "/a"},
		{Scheme: "https", Domain: "www.shop.example", Path: "/a"},
	}
	if diff := cmp.Diff(both, targets); diff != "" {
		t.Errorf("targets differ (-want +got):\n%s", diff)
	}
}

// TestPurgeScopes: what a request becomes in the log, as the nodes get it.
func TestPurgeScopes(t *testing.T) {
	p := startPlane(t, t.TempDir())
	p.apply(t, shop)
	var mu sync.Mutex // guards the following
	var got cdn.Purge
	edge := startFollower(t, p.NATSURL(), "ams-1", t.TempDir(), func(cfg *feedclient.Config) {
		cfg.OnPurge = func(purge cdn.Purge) {
			mu.Lock()
			defer mu.Unlock()
			got = purge
		}
	})
	regional := startFollower(t, p.NATSURL(), "fra-1", t.TempDir())
	eventually(t, "caught up", func() bool { return edge.CaughtUp() && regional.CaughtUp() })
	for _, tt := range []struct {
		name string
		req  wire.PurgeRequest
		want []cdn.Scope
	}{
		{
			"directories",
			wire.PurgeRequest{Directories: []string{"http://www.shop.example/%69mg/", "https://WWW.shop.example/img/", "http://www.shop.example"}},
			[]cdn.Scope{{Kind: cdn.ScopeDir, Site: "shop", Domain: "www.shop.example", Path: "/img/"}, {Kind: cdn.ScopeDir, Site: "shop", Domain: "www.shop.example", Path: "/"}},
		},
		{
			"tags by site",
			wire.PurgeRequest{Tags: []string{"a", "Two words", "a"}, Site: "shop"},
			[]cdn.Scope{{Kind: cdn.ScopeTag, Site: "shop", Tag: "a"}, {Kind: cdn.ScopeTag, Site: "shop", Tag: "Two words"}},
		},
		{"tag by domain, soft", wire.PurgeRequest{Tags: []string{"a"}, Site: "WWW.shop.example", Soft: true}, []cdn.Scope{{Kind: cdn.ScopeTag, Site: "shop", Tag: "a"}}},
		{"regular expression of a site", wire.PurgeRequest{Regexps: []string{`\.png$`}, Site: "shop"}, []cdn.Scope{{Kind: cdn.ScopeRegexp, Site: "shop", Regexp: `\.png$`}}},
		{
			"regular expression of a domain",
			wire.PurgeRequest{Regexps: []string{"x"}, Domain: "www.shop.example"},
			[]cdn.Scope{{Kind: cdn.ScopeRegexp, Site: "shop", Domain: "www.shop.example", Regexp: "x"}},
		},
		{"site", wire.PurgeRequest{WholeSite: true, Site: "shop", Soft: true}, []cdn.Scope{{Kind: cdn.ScopeSite, Site: "shop"}}},
	} {
		tt.req.Wait = true
		r, err := p.api.Purge(t.Context(), tt.req)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		mu.Lock()
		if diff := cmp.Diff(tt.want, got.Scopes); diff != "" || got.Soft != tt.req.Soft || got.Revision != r.Revision || len(got.Targets) > 0 {
			t.Errorf("%s: revision %d of %d, soft %v, differences (-want +got):\n%s", tt.name, got.Revision, r.Revision, got.Soft, diff)
		}
		mu.Unlock()
	}
}

// TestBadPurge: every mistake is told, where it is and how to mend it.
func TestBadPurge(t *testing.T) {
	p := startPlane(t, t.TempDir())
	p.apply(t, shop)
	many := make([]string, 1001)
	for _, tt := range []struct {
		req  wire.PurgeRequest
		want []string
	}{
		{wire.PurgeRequest{}, []string{"covers nothing"}},
		{wire.PurgeRequest{Site: "shop"}, []string{"covers nothing"}},
		{wire.PurgeRequest{URLs: many}, []string{"at most 1000 URLs, not 1001"}},
		{wire.PurgeRequest{Site: "shop", Tags: many[:257]}, []string{"at most 256", "not 257"}},
		{
			wire.PurgeRequest{Directories: []string{"http://www.shop.example/img", "http://www.shop.example/img/?x", "http://other.example/", "img/"}},
			[]string{
				`directories[0]: directory "http://www.shop.example/img" does not end in "/": want "http://www.shop.example/img/"`,
				`directories[1]: `, `leave out "?x"`, `directories[2]: no site has the domain other.example`, `directories[3]: URL "img/": want "http://"`,
			},
		},
		{wire.PurgeRequest{Tags: []string{"a"}}, []string{"site: name the site"}},
		{wire.PurgeRequest{Tags: []string{"", " a", "\u00e9"}, Site: "nobody"}, []string{"site: no site is called nobody", "tags[0]: a tag is empty", "tags[1]: ", "space", "tags[2]: ", "not printable ASCII"}},
		{
			wire.PurgeRequest{Regexps: []string{"/a(b", "http://www.shop.example/a", strings.Repeat("x", 513), ""}, Site: "shop"},
			[]string{"regexps[0]: ", "missing closing )", "(at octet 0)", "regexps[1]: ", "leave out scheme and domain", "regexps[2]: ", "1 to 512 octets", "regexps[3]: "},
		},
		{wire.PurgeRequest{Regexps: []string{"x[z-a]"}, Site: "shop"}, []string{"invalid character class range: `z-a` (at octet 2)"}},
		{wire.PurgeRequest{Regexps: []string{"x"}, Domain: "other.example"}, []string{"domain: no site has the domain other.example"}},
		{wire.PurgeRequest{Tags: []string{"x"}, Domain: "www.shop.example"}, []string{"only regular expressions are restricted to a domain; name the site, shop"}},
		{wire.PurgeRequest{WholeSite: true, Site: "a b"}, []string{"site: "}},
	} {
		_, err := p.api.Purge(t.Context(), tt.req)
		if cdn.KindOf(err) != cdn.Invalid {
			t.Errorf("%.100v: %v, want invalid", tt.req, err)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%.100v:\n%v\nwant %q in it", tt.req, err, want)
			}
		}
	}
	if st, err := p.api.Status(t.Context()); err != nil || st.PurgeHead != 0 {
		t.Errorf("the refused ones have left revision %d, %v", st.PurgeHead, err)
	}
}

func TestStatus(t *testing.T) {
	health := &cdn.RouteTable{Nodes: []cdn.NodeHealth{{Node: "fra-1", State: cdn.StateDown}}}
	p := startPlane(t, t.TempDir(), func(cfg *control.Config) { cfg.Health = func() *cdn.RouteTable { return health } })
	p.apply(t, shop)
	for _, node := range []cdn.NodeName{"ams-1", "fra-1"} {
		startFollower(t, p.NATSURL(), node, t.TempDir())
	}
	eventually(t, "nobody lags", func() bool {
		st, err := p.api.Status(t.Context())
		return err == nil && st.Nodes == wire.NodeCount{Total: 2, Ready: 1, Lagging: 0}
	})
	nodes, err := p.api.Nodes(t.Context())
	if err != nil || nodes[1].State != cdn.StateDown || nodes[1].Region != "eu" || nodes[1].Tier != cdn.TierRegional {
		t.Errorf("nodes %+v, %v", nodes, err)
	}
}

// A control plane without a fleet has nothing that sites could be added to.
func TestFleetless(t *testing.T) {
	p := startPlane(t, t.TempDir(), func(cfg *control.Config) { cfg.Fleet = nil })
	if _, err := p.api.Apply(t.Context(), wire.ApplyRequest{Files: files(siteText("a"))}); cdn.KindOf(err) != cdn.Unavailable {
		t.Errorf("got %v, want unavailable", err)
	}
	if st, err := p.api.Status(t.Context()); err != nil || st.Generation != 0 {
		t.Errorf("status %+v, %v", st, err)
	}
}

func TestUnreachable(t *testing.T) {
	c := apiclient.New("http://"+freeport.Addr(t), token)
	defer c.Close()
	if _, err := c.Status(t.Context()); cdn.KindOf(err) != cdn.Unavailable {
		t.Errorf("got %v, want unavailable", err)
	}
}
