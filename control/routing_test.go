package control_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"nearcast/cdn"
	"nearcast/control"
	"nearcast/control/wire"
	"nearcast/internal/httpjson"
)

// What operators ask about the map is handed on to schedulers, with control's token for them.
func TestRouteIsHandedOn(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/route", func(w http.ResponseWriter, r *http.Request) {
		httpjson.Write(w, http.StatusOK, cdn.RouteExplanation{Scheduler: "core-1", Name: cdn.Domain(r.FormValue("name")), Client: r.FormValue("client"), POP: "ams"})
	})
	mux.HandleFunc("GET /v1/map", func(w http.ResponseWriter, _ *http.Request) {
		httpjson.Write(w, http.StatusOK, cdn.MapStatus{Scheduler: "core-1", Map: cdn.MapVersion{Digest: "d"}})
	})
	mux.HandleFunc("POST /v1/map/accept", func(w http.ResponseWriter, _ *http.Request) {
		httpjson.Write(w, http.StatusOK, cdn.MapAcceptance{Scheduler: "core-1", Accepted: "3 of 6 POPs"})
	})
	scheduler := httptest.NewServer(httpjson.RequireBearer("for-schedulers", mux))
	defer scheduler.Close()
	p := startPlane(t, t.TempDir(), func(cfg *control.Config) {
		cfg.Schedulers, cfg.SchedulerToken = []string{scheduler.URL}, "for-schedulers"
	})
	for _, named := range []string{"", "core-1"} {
		e, err := p.api.Route(t.Context(), "www.a.example", "::ffff:192.0.2.1", named)
		if err != nil || e.POP != "ams" || e.Name != "www.a.example" || e.Client != "192.0.2.1" {
			t.Errorf("%+v, %v", e, err)
		}
	}
	for _, bad := range [][3]string{{"", "192.0.2.1", ""}, {"a.example", "", ""}, {"a.example", "fe80::1%eth0", ""}, {"a.example", "192.0.2.1", "CORE"}} {
		if e, err := p.api.Route(t.Context(), bad[0], bad[1], bad[2]); cdn.KindOf(err) != cdn.Invalid {
			t.Errorf("%q: %+v, %v; want invalid", bad, e, err)
		}
	}
	maps, err := p.api.Maps(t.Context())
	if err != nil || len(maps) != 1 || maps[0].Map == nil || maps[0].Map.Map.Digest != "d" || maps[0].URL != scheduler.URL {
		t.Errorf("%+v, %v", maps, err)
	}
	accepted, err := p.api.AcceptMap(t.Context())
	if err != nil || len(accepted) != 1 || accepted[0].Accepted != "3 of 6 POPs" || accepted[0].Scheduler != "core-1" || accepted[0].URL != scheduler.URL {
		t.Errorf("%+v, %v", accepted, err)
	}
}

func TestNoSchedulers(t *testing.T) {
	p := startPlane(t, t.TempDir())
	if _, err := p.api.Maps(t.Context()); cdn.KindOf(err) != cdn.Unavailable || !strings.Contains(err.Error(), "--scheduler") {
		t.Errorf("got %v, want unavailable and a hint", err)
	}
	if _, err := p.api.Table(t.Context(), wire.TableQuery{}); cdn.KindOf(err) != cdn.Unavailable || !strings.Contains(err.Error(), "--routequality") {
		t.Errorf("got %v, want unavailable and a hint", err)
	}
	cfg := control.Config{Schedulers: []string{"core-1"}, Dir: t.TempDir(), APIAddr: "x", NATSAddr: "x", APIToken: "x", NodeSecret: "x", Log: testLog(t), Registry: prometheus.NewRegistry()}
	if _, err := control.New(cfg); cdn.KindOf(err) != cdn.Invalid || !strings.Contains(err.Error(), `scheduler "core-1": want the URL`) {
		t.Errorf("got %v, want invalid", err)
	}
}

func TestTable(t *testing.T) {
	table := &cdn.RouteTable{
		Epoch: "e", Version: 7,
		Nodes: []cdn.NodeHealth{{Node: "ams-1"}}, POPs: []cdn.POPHealth{{POP: "ams"}},
		Groups: []*cdn.VisitorGroup{{Name: "net 192.0.2.0/24", Octets: 1}, {Name: "place AS64500/DE", Octets: 3}, {Name: "place AS64500/FR", Octets: 2}},
		Links:  []*cdn.Link{{From: "ams", To: "fra"}, {From: "fra", To: "ams"}},
	}
	p := startPlane(t, t.TempDir(), func(cfg *control.Config) { cfg.Health = func() *cdn.RouteTable { return table } })
	tests := []struct {
		name              string
		query             wire.TableQuery
		groups, links     string // of the table
		ofGroups, ofLinks int
		withNodes, valid  bool
	}{
		{"all", wire.TableQuery{}, "net 192.0.2.0/24 place AS64500/DE place AS64500/FR", "ams-fra fra-ams", 3, 2, true, true},
		{"groups", wire.TableQuery{Only: "groups"}, "net 192.0.2.0/24 place AS64500/DE place AS64500/FR", "", 3, 0, false, true},
		{"the biggest groups", wire.TableQuery{Only: "groups", Limit: 2}, "place AS64500/DE place AS64500/FR", "", 3, 0, false, true},
		{"some groups", wire.TableQuery{Only: "groups", Group: "as64500", Limit: 1}, "place AS64500/DE", "", 2, 0, false, true},
		{"links", wire.TableQuery{Only: "links", Limit: 1}, "", "ams-fra", 0, 2, false, true},
		{"health", wire.TableQuery{Only: "health"}, "", "", 0, 0, true, true},
		{"nonsense", wire.TableQuery{Only: "rubbish"}, "", "", 0, 0, false, false},
		{"less than none", wire.TableQuery{Limit: -1}, "", "", 0, 0, false, false},
	}
	for _, tt := range tests {
		got, err := p.api.Table(t.Context(), tt.query)
		if !tt.valid {
			if cdn.KindOf(err) != cdn.Invalid {
				t.Errorf("%s: %v, want invalid", tt.name, err)
			}
			continue
		}
		if err != nil || got.Table.Version != 7 {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
			continue
		}
		var groups, links []string
		for _, g := range got.Table.Groups {
			groups = append(groups, string(g.Name))
		}
		for _, l := range got.Table.Links {
			links = append(links, string(l.From)+"-"+l.To)
		}
		if strings.Join(groups, " ") != tt.groups || strings.Join(links, " ") != tt.links || got.Groups != tt.ofGroups || got.Links != tt.ofLinks {
			t.Errorf("%s: groups %q of %d, links %q of %d", tt.name, groups, got.Groups, links, got.Links)
		}
		if (len(got.Table.Nodes) > 0) != tt.withNodes || (len(got.Table.POPs) > 0) != tt.withNodes {
			t.Errorf("%s: health %v", tt.name, got.Table.Nodes)
		}
	}
	if len(table.Groups) != 3 || table.Groups[0].Name != "net 192.0.2.0/24" || len(table.Links) != 2 {
		t.Error("the table itself was changed")
	}
}
