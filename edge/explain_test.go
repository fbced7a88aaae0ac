package edge_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nearcast/cdn"
	"nearcast/edge"
)

func TestExplain(t *testing.T) {
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		if strings.HasSuffix(req.URL.Path, "swr") {
			w.Header().Set("Cache-Control", "max-age=10, stale-while-revalidate=60")
		}
		io.WriteString(w, "x")
	}, cdn.Route{Match: cdn.Match{PathPrefix: "/live/"}, Bypass: true})
	node := r.start(t, "ams-1")
	r.get(t, r.addr("ams-1"), "/old")
	r.get(t, r.addr("ams-1"), "/swr")
	r.clock.advance(61 * time.Second)
	r.get(t, r.addr("ams-1"), "/a")
	explain := func(host cdn.Domain, path string) cdn.Explanation {
		goal := target(path)
		goal.Domain = host
		e := node.Explain(cdn.Question{Target: goal})
		e.Age, e.TTL = 0, 0 // below
		return e
	}
	common := cdn.Explanation{Node: "ams-1", Tier: cdn.TierRegional, Site: "shop", Route: "none", Next: r.origin.URL}
	for name, tt := range map[string]struct {
		host cdn.Domain
		path string
		want cdn.Explanation
	}{
		"hit":    {domain, "/a", cdn.Explanation{Decision: "hit", Reason: "fresh", Section: "RFC 9111 section 4.2"}},
		"cname":  {domain + ".cdn.test", "/a", cdn.Explanation{Decision: "hit", Reason: "fresh", Section: "RFC 9111 section 4.2"}},
		"stale":  {domain, "/old", cdn.Explanation{Decision: "stale", Reason: "stale", Section: "RFC 9111 section 4.2.4"}},
		"swr":    {domain, "/swr", cdn.Explanation{Decision: "stale", Reason: "stale-while-revalidate", Section: "RFC 5861 section 3"}},
		"miss":   {domain, "/b", cdn.Explanation{Decision: "miss", Reason: "nothing stored", Section: "RFC 9111 section 4"}},
		"bypass": {domain, "/live/a", cdn.Explanation{Decision: "bypass", Reason: "bypass", Route: "routes[0]"}},
	} {
		t.Run(name, func(t *testing.T) {
			want := common
			want.Decision, want.Reason, want.Section, want.Key = tt.want.Decision, tt.want.Reason, tt.want.Section, target(tt.path).Key("shop")
			if tt.want.Route != "" {
				want.Route = tt.want.Route
			}
			if diff := cmp.Diff(want, explain(tt.host, tt.path)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	if e := node.Explain(cdn.Question{Target: target("/a")}); e.Age > 1 || e.TTL < 58 || e.TTL > 60 {
		t.Errorf("age %d, ttl %d of a new object", e.Age, e.TTL)
	}
	if e := explain("nobody.example", "/a"); e.Decision != "error" || !strings.Contains(e.Reason, "nobody.example") {
		t.Errorf("unknown domain: %+v", e)
	}
}

func TestExplainBeforeAndAlone(t *testing.T) {
	r := newRig(t, cacheable)
	s := r.startConfig(t, edge.Config{Addr: "127.0.0.1:0"})
	if e := s.Explain(cdn.Question{Target: target("/a")}); e.Decision != "error" || e.Node != "nearcast" {
		t.Errorf("without a configuration: %+v", e)
	}
	if err := s.ApplyStandalone(&cdn.Origin{URLs: []string{r.origin.URL}}); err != nil {
		t.Fatal(err)
	}
	if e := s.Explain(cdn.Question{Target: target("/a")}); e.Decision != "miss" || e.Next != r.origin.URL || e.Tier != "" {
		t.Errorf("alone: %+v", e)
	}
	if r.origin.total != 0 {
		t.Error("Explain asked the origin")
	}
}
